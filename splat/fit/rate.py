"""Speed of training, and how long the rest will take."""

from __future__ import annotations

from collections import deque

from splat.fit.protocols import Schedule

WINDOW = 50


class Rate:
    """Recent steps per second, and an estimate that knows of the small photos of the first steps.

    Args:
        schedule: photo sizes by iteration.
        iterations: planned steps.
    """

    def __init__(self, schedule: Schedule, iterations: int) -> None:
        self._schedule = schedule
        self._iterations = iterations
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._unit = 0.0

    def add(self, iteration: int, seconds: float) -> None:
        """Count the step that led to ``iteration``."""
        self._recent.append(seconds)
        mean = sum(self._recent) / len(self._recent)
        self._unit = mean / work(self._schedule.downscale(iteration - 1))

    @property
    def per_second(self) -> float:
        """Recent steps per second; 0 before the first."""
        spent = sum(self._recent)
        return len(self._recent) / spent if spent > 0 else 0.0

    def eta_seconds(self, iteration: int) -> float | None:
        """Estimated seconds of training from ``iteration`` to the end; None before the first step."""
        if not self._unit:
            return None
        left, step = 0.0, max(1, self._iterations // 200)
        for start in range(iteration, self._iterations, step):
            left += work(self._schedule.downscale(start)) * min(step, self._iterations - start)
        return left * self._unit


def work(factor: int) -> float:
    """Cost of a step on photos shrunk by ``factor``, against one at full size."""
    return 0.25 + 0.75 / factor**2
