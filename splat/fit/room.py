"""Is there room on the disk for what a fit will write?"""

from __future__ import annotations

import shutil

from splat.errors import SplatError
from splat.fit.memory import floats_per_gaussian
from splat.fit.presets import Plan
from splat.fit.run import RunFolder

OTHER_BYTES = 20_000_000
"""Log, renders of held-out photos and report, roughly."""


def check_disk(run: RunFolder, plan: Plan) -> None:
    """Raise SplatError unless three checkpoints and the scene at full budget would fit."""
    floats = floats_per_gaussian(plan.sh_degree, plan.kernel)
    needed = plan.budget * floats * 4 * (3 * 3 + 1) + OTHER_BYTES
    free = shutil.disk_usage(run.path).free
    if free < needed:
        raise SplatError(
            f"the disk of {run.path} has {free / 1e9:.2f} GB free",
            expected=f"{needed / 1e9:.2f} GB for checkpoints and the scene at {plan.budget} Gaussians",
            advice="Free some space, choose another folder, or lower --budget",
        )
