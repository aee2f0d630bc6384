"""How many iterations fit into a time: measured once, before training."""

from __future__ import annotations

import time
from statistics import median

from splat.fit.optimisation import Optimisation
from splat.fit.rate import work
from splat.fit.step_cost import gpu_growth_seconds, growth_seconds

SAMPLES = 5
SAFETY = 0.9
GROWTH = 1.4
"""A step late in training over one at the start: more Gaussians, more of them over each pixel."""
REACHED = 0.9
"""Mean over a run of how far the Gaussians have grown from their first number to the budget."""
FEWEST, MOST = 50, 30_000


def later_seconds(optimisation: Optimisation) -> float:
    """What a step at the budget takes longer than one at the start for the Gaussians alone."""
    plan = optimisation.plan
    added = max(0, plan.budget - len(optimisation.scene))
    if plan.device != "cpu":
        return gpu_growth_seconds(added)
    return growth_seconds(added, plan.threads, plan.kernel, plan.antialias)


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
    mean = median(samples) * GROWTH * share + REACHED * later_seconds(optimisation)
    possible = SAFETY * seconds / mean
    return int(min(MOST, max(FEWEST, possible)))
