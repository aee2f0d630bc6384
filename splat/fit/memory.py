"""How much memory a fit will take, and the budget that fits into a limit.

Counted per Gaussian: parameter, gradient and Adam's two moments (4 floats for each of 11 + 3K), the
copy of them while rows are added, and the rasteriser's work space.
"""

from __future__ import annotations

from dataclasses import dataclass

from splat.errors import SplatError
from splat.fit.machine import GIB
from splat.gaussians import Kernel

WORK_BYTES = 800
"""Rasteriser's projected splats, gradients of them, sorting and tile lists, per Gaussian."""
FILTER_BYTES = 120
"""Filtered scales and opacities of the 3D filter, and their gradients, per Gaussian."""
FRAME_FLOATS = 60
"""Floats per pixel of render, target, loss maps and their gradients."""
FEWEST = 100


@dataclass(frozen=True)
class MemoryPlan:
    """What fits.

    Attributes:
        budget: most Gaussians.
        photo_bytes: limit for decoded photos.
        note: a sentence if something had to give way, else None.
    """

    budget: int
    photo_bytes: int
    note: str | None


def floats_per_gaussian(sh_degree: int, kernel: Kernel = "gaussian") -> int:
    """Trained numbers of one Gaussian: 11, 3 for each coefficient, 1 for an exponent."""
    return 11 + 3 * (sh_degree + 1) ** 2 + (kernel == "gef")


def bytes_per_gaussian(sh_degree: int, kernel: Kernel = "gaussian", filter3d: bool = False) -> int:
    """Peak bytes of training state and work space for one Gaussian."""
    floats = floats_per_gaussian(sh_degree, kernel)
    state = 4 * 4 * floats
    growing = 3 * 4 * floats
    return state + growing + WORK_BYTES + FILTER_BYTES * filter3d


def plan_memory(
    budget: int, each: int, pixels: int, photo_bytes: int, limit_gib: float, resident_gib: float
) -> MemoryPlan:
    """Fit a budget and the decoded photos into a limit.

    Photos give way first, down to a quarter of what is left after the frame; then the budget.

    Args:
        budget: wanted number of Gaussians.
        each: bytes of one Gaussian.
        pixels: of the largest photo.
        photo_bytes: all photos, decoded.
        limit_gib: most memory of the process.
        resident_gib: memory of the process now.

    Raises:
        SplatError: not even a tiny scene fits.
    """
    room = (limit_gib - resident_gib) * GIB - 4 * FRAME_FLOATS * pixels
    if room < FEWEST * each:
        least = resident_gib + (4 * FRAME_FLOATS * pixels + FEWEST * each) / GIB
        raise SplatError(
            f"{limit_gib:.2f} GiB of memory (--max-memory, or 80% of what is free) is too little",
            expected=f"at least {least + 0.05:.2f} GiB for this capture",
            advice="Give smaller photos (--max-size), close other programs or raise --max-memory",
        )
    photos = photo_bytes
    if photos + budget * each > room:
        photos = int(min(photo_bytes, max(room / 4, room - budget * each)))
    fitting = max(FEWEST, int((room - photos) // each))
    if fitting >= budget:
        note = None
        if photos < photo_bytes:
            note = f"photos are decoded many times: {limit_gib:.2f} GiB hold {photos / photo_bytes:.0%}"
        return MemoryPlan(budget, photos, note)
    note = f"the budget is lowered from {budget} to {fitting} Gaussians to stay within {limit_gib:.2f} GiB"
    return MemoryPlan(fitting, photos, note)
