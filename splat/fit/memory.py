"""How much memory a fit will take, and the budget that fits into a limit.

Counted per Gaussian: parameter, gradient and Adam's two moments (4 floats for each of 11 + 3K), the
copy of them while rows are added, and the rasteriser's work space. On a GPU that space grows with the
(splat, tile) pairs of a picture; how many a Gaussian has depends on the scene, and 5 are assumed.
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

GPU_WORK_BYTES = 180
"""CUDA driver, per Gaussian: row of 64, depth sort 28, colour gradients 16, screen gradients 32, radii,
statistics of the strategy; and an eighth of room to grow."""
PAIRS = 5.0
"""Assumed (splat, tile) pairs of a picture per Gaussian of the scene; 4 to 6 in full views of scenes of
peers. Tiles are 16 x 16 pixels and only those that a splat really meets count."""
PAIR_BYTES = 1.5 * 1.125 * (20 + 48 + 64)
"""CUDA driver, per pair: numbers and keys while sorting, 12 gradient sums, and its share (1/64) of the
states of 256 pixels; reserved for half as many pairs again, and an eighth of room to grow."""


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


@dataclass(frozen=True)
class Limit:
    """Where the memory is that a plan has to fit into, in words for a person.

    Attributes:
        what: "memory" or "GPU memory".
        default: what --max-memory is unless given.
        many_times: what happens to photos that do not fit, many times.
        others: how to have more of it.
    """

    what: str
    default: str
    many_times: str
    others: str


HOST = Limit("memory", "80% of what is free", "decoded", "close other programs or raise --max-memory")
GPU = Limit(
    "GPU memory",
    "85% of what is free",
    "uploaded",
    "close other programs that use the GPU, raise --max-memory, or train with --device cpu",
)


def floats_per_gaussian(sh_degree: int, kernel: Kernel = "gaussian") -> int:
    """Trained numbers of one Gaussian: 11, 3 for each coefficient, 1 for an exponent."""
    return 11 + 3 * (sh_degree + 1) ** 2 + (kernel == "gef")


def bytes_per_gaussian(sh_degree: int, kernel: Kernel = "gaussian", filter3d: bool = False) -> int:
    """Peak bytes of training state and work space for one Gaussian."""
    floats = floats_per_gaussian(sh_degree, kernel)
    state = 4 * 4 * floats
    growing = 3 * 4 * floats
    return state + growing + WORK_BYTES + FILTER_BYTES * filter3d


def gpu_bytes_per_gaussian(sh_degree: int, kernel: Kernel = "gaussian", filter3d: bool = False) -> int:
    """The same on a GPU, where the gradient of the colours is never written."""
    floats = floats_per_gaussian(sh_degree, kernel)
    state = 4 * (3 * floats + floats - 3 * (sh_degree + 1) ** 2)
    growing = 4 * 3 * floats
    return int(state + growing + GPU_WORK_BYTES + FILTER_BYTES * filter3d + PAIRS * PAIR_BYTES)


def plan_memory(
    budget: int,
    each: int,
    pixels: int,
    photo_bytes: int,
    limit_gib: float,
    resident_gib: float,
    where: Limit = HOST,
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
        where: the words for it.

    Raises:
        SplatError: not even a tiny scene fits.
    """
    room = (limit_gib - resident_gib) * GIB - 4 * FRAME_FLOATS * pixels
    if room < FEWEST * each:
        least = resident_gib + (4 * FRAME_FLOATS * pixels + FEWEST * each) / GIB
        raise SplatError(
            f"{limit_gib:.2f} GiB of {where.what} (--max-memory, or {where.default}) is too little",
            expected=f"at least {least + 0.05:.2f} GiB for this capture",
            advice=f"Give smaller photos (--max-size), {where.others}",
        )
    photos = photo_bytes
    if photos + budget * each > room:
        photos = int(min(photo_bytes, max(room / 4, room - budget * each)))
    fitting = max(FEWEST, int((room - photos) // each))
    if fitting >= budget:
        note = None
        if photos < photo_bytes:
            share = f"{limit_gib:.2f} GiB hold {photos / photo_bytes:.0%}"
            note = f"photos are {where.many_times} many times: {share}"
        return MemoryPlan(budget, photos, note)
    within = f"{limit_gib:.2f} GiB" if where is HOST else f"{limit_gib:.2f} GiB of {where.what}"
    note = f"the budget is lowered from {budget} to {fitting} Gaussians to stay within {within}"
    return MemoryPlan(fitting, photos, note)
