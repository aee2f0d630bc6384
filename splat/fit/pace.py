"""How many iterations fit into a time: measured once, before training."""

from __future__ import annotations

import time
from statistics import median

from splat.fit.optimisation import Optimisation
from splat.fit.presets import GPU_MS_PER_TEN_THOUSAND, MS_PER_TEN_THOUSAND
from splat.fit.rate import work

SAMPLES = 5
SAFETY = 0.9
GROWTH = 1.4
"""A step late in training over one at the start: more Gaussians, more of them over each pixel."""
REACHED = 0.9
"""Mean over a run of how far the Gaussians have grown from their first number to the budget."""
FEWEST, MOST = 50, 30_000


def growth_seconds(optimisation: Optimisation) -> float:
    """What a step at the budget takes longer than one at the start for the Gaussians alone."""
    plan = optimisation.plan
    added = max(0, plan.budget - len(optimisation.scene))
    return MS_PER_TEN_THOUSAND / 1000 * added / 1e4 / (plan.threads / 2) ** 0.85


def gpu_growth_seconds(optimisation: Optimisation) -> float:
    """The same on a GPU."""
    added = max(0, optimisation.plan.budget - len(optimisation.scene))
    return GPU_MS_PER_TEN_THOUSAND / 1000 * added / 1e4


def iterations_within(seconds: float, optimisation: Optimisation) -> int:
    """Iterations that should take ``seconds``, from a few steps at full size that change nothing.

    Args:
        seconds: time for training.
        optimisation: at iteration 0; left as it is.
    """
    samples = []
    for view in (optimisation.capture.train * SAMPLES)[:SAMPLES]:
        optimisation.photos.get(view, 1)
        optimisation.engine.wait()
        started = time.perf_counter()
        optimisation.try_view(view)
        optimisation.engine.wait()
        samples.append(time.perf_counter() - started)
    share, steps = 0.0, 100
    for step in range(steps):
        share += (
            work(optimisation.schedule.downscale(int(step / steps * optimisation.plan.iterations))) / steps
        )
    growth = growth_seconds if optimisation.plan.device == "cpu" else gpu_growth_seconds
    mean = median(samples) * GROWTH * share + REACHED * growth(optimisation)
    possible = SAFETY * seconds / mean
    return int(min(MOST, max(FEWEST, possible)))
