"""Everything that changes with the iteration alone, as fractions of the planned length.

The rates are those of 3DGS (Kerbl et al. 2023): means log-linear from 1.6e-4 to 1.6e-6 times the scene
extent, colour 2.5e-3, opacity 0.05, scales 5e-3, rotations 1e-3; higher orders of colour get a 7.5th
of the rate of the first rather than a 20th. They are meant for 30,000 steps; a shorter run raises them
(``means_boost``, ``boost``) and lowers all of them towards its end. One more spherical-harmonics degree
every so often. Photos start small and grow (DashGaussian, Chen et al. 2025), which saves most of the
time of the early steps.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rates:
    """Learning rates at their 3DGS values; means in units of the scene extent. 3DGS has no ``shape``."""

    means_first: float = 1.6e-4
    means_last: float = 1.6e-6
    sh0: float = 2.5e-3
    sh_rest: float = 2.5e-3 / 7.5
    opacity: float = 0.05
    scales: float = 5e-3
    quats: float = 1e-3
    shape: float = 2e-3


@dataclass(frozen=True)
class FitSchedule:
    """The schedule of one fit.

    Attributes:
        iterations: planned steps.
        extent: scene extent, normalised units.
        max_sh_degree: degree reached in the end.
        downscales: (fraction of the iterations from which it holds, whole factor), ascending.
        base: rates of 3DGS.
        sh_every: fraction of the iterations between degrees.
        settle: fraction of the run from which the rates other than the means' fall, log-linearly.
        settled: factor on those rates at the end.
    """

    iterations: int
    extent: float
    max_sh_degree: int
    downscales: tuple[tuple[float, int], ...]
    base: Rates = Rates()
    sh_every: float = 0.05
    settle: float = 0.6
    settled: float = 0.2

    def fraction(self, iteration: int) -> float:
        """Part of the plan that is done, 0 to 1."""
        return min(1.0, iteration / self.iterations)

    def rates(self, iteration: int) -> dict[str, float]:
        """Learning rate by optimiser group."""
        done = self.fraction(iteration)
        ratio = self.base.means_last / self.base.means_first
        late = max(0.0, (done - self.settle) / (1 - self.settle))
        factor = boost(self.iterations) * self.settled**late
        return {
            "means": self.base.means_first * ratio**done * self.extent * means_boost(self.iterations),
            "quats": self.base.quats * factor,
            "log_scales": self.base.scales * factor,
            "logit_opacities": self.base.opacity * factor,
            "sh0": self.base.sh0 * factor,
            "sh_rest": self.base.sh_rest * factor,
            "shape": self.base.shape * factor,
        }

    def sh_degree(self, iteration: int) -> int:
        """Highest spherical-harmonics degree trained."""
        return min(self.max_sh_degree, int(self.fraction(iteration) / self.sh_every))

    def downscale(self, iteration: int) -> int:
        """Whole factor by which photos are shrunk."""
        done = self.fraction(iteration)
        return [factor for start, factor in self.downscales if done >= start][-1]


def coarse_to_fine(long_side: int, smallest: int = 100) -> tuple[tuple[float, int], ...]:
    """Factors 4, 2, 1 over the first part of a run, less where photos are small already.

    Args:
        long_side: of the photos, pixels.
        smallest: no photo's long side is shrunk below this.
    """
    stages = ((0.0, 4), (0.08, 2), (0.3, 1))
    kept = [(start, factor) for start, factor in stages if factor == 1 or long_side / factor >= smallest]
    return ((0.0, kept[0][1]), *kept[1:])


def means_boost(iterations: int) -> float:
    """Factor on the rate of the means for runs shorter than the 30,000 steps of 3DGS."""
    return min(4.0, max(1.0, (30_000 / iterations) ** 0.5))


def boost(iterations: int) -> float:
    """Factor on all other rates for short runs; found by trial on 500 and 1500 steps."""
    return min(4.0, max(1.0, (30_000 / iterations) ** 0.25))
