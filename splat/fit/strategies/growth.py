"""When to densify, and how many Gaussians there may be by then."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Growth:
    """A concave path from the first count to the budget, as Taming-3DGS (Mallick et al. 2024).

    Attributes:
        first: Gaussians at the start.
        budget: most Gaussians ever.
        start: first iteration that may densify.
        stop: iteration at which the budget may be reached, and densification ends.
        every: iterations between densifications.
        step: most new Gaussians at once, as a fraction of those there are.
    """

    first: int
    budget: int
    start: int
    stop: int
    every: int
    step: float = 0.25

    @classmethod
    def scaled_to(cls, iterations: int, first: int, budget: int, stop: float) -> Growth:
        """Densify about 60 times, 5 to 100 steps apart, until the fraction ``stop`` of the run."""
        every = max(5, min(100, round(stop * iterations / 60)))
        return cls(
            first, budget, start=max(1, iterations // 60), stop=max(2, int(stop * iterations)), every=every
        )

    def due(self, iteration: int) -> bool:
        """Whether this iteration densifies."""
        return self.start <= iteration < self.stop and iteration % self.every == 0

    def room(self, now: int, iteration: int) -> int:
        """How many Gaussians may be added to the ``now`` there are; never beyond the budget."""
        part = min(1.0, max(0.0, (iteration - self.start) / max(1, self.stop - self.every - self.start)))
        target = self.first + (self.budget - self.first) * (2 * part - part * part)
        most = min(int(target), self.budget, now + max(1, int(self.step * now)))
        return max(0, most - now)
