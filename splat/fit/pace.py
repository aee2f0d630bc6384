"""How many iterations fit into a time: measured once, before training."""

from __future__ import annotations

import time
from statistics import median

from splat.fit.optimisation import Optimisation
from splat.fit.rate import work

SAMPLES = 5
SAFETY = 0.9
GROWTH = 1.25
"""A step late in training over one at the start: more Gaussians, more of them over each pixel."""
FEWEST, MOST = 50, 30_000


def iterations_within(seconds: float, optimisation: Optimisation) -> int:
    """Iterations that should take ``seconds``, from a few steps at full size that change nothing.

    Args:
        seconds: time for training.
        optimisation: at iteration 0; left as it is.
    """
    samples = []
    for view in (optimisation.capture.train * SAMPLES)[:SAMPLES]:
        optimisation.photos.get(view, 1)
        started = time.perf_counter()
        optimisation.try_view(view)
        samples.append(time.perf_counter() - started)
    share, steps = 0.0, 100
    for step in range(steps):
        share += (
            work(optimisation.schedule.downscale(int(step / steps * optimisation.plan.iterations))) / steps
        )
    possible = SAFETY * seconds / (median(samples) * GROWTH * share)
    return int(min(MOST, max(FEWEST, possible)))
