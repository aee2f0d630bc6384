"""Everything that changes with the iteration alone, as fractions of the planned length.

The rates are those of 3DGS (Kerbl et al. 2023): means log-linear from 1.6e-4 to 1.6e-6 times the scene
extent, colour 2.5e-3 (higher orders a twentieth), opacity 0.025 (0.05 in the paper), scales 5e-3,
rotations 1e-3; one more spherical-harmonics degree every so often. Photos start small and grow
(DashGaussian, Chen et al. 2025), which saves most of the time of the early steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Rates:
    """Learning rates at their 3DGS values; means in units of the scene extent."""

    means_first: float = 1.6e-4
    means_last: float = 1.6e-6
    sh0: float = 2.5e-3
    sh_rest: float = 2.5e-3 / 20
    opacity: float = 0.05
    scales: float = 5e-3
    quats: float = 1e-3


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
        boost: factor on the rate of the means; a short run must move them faster.
    """

    iterations: int
    extent: float
    max_sh_degree: int
    downscales: tuple[tuple[float, int], ...]
    base: Rates = Rates()
    sh_every: float = 0.05
    boost: float = 1.0

    def fraction(self, iteration: int) -> float:
        """Part of the plan that is done, 0 to 1."""
        return min(1.0, iteration / self.iterations)

    def rates(self, iteration: int) -> dict[str, float]:
        """Learning rate by optimiser group."""
        done = self.fraction(iteration)
        ratio = math.log(self.base.means_last / self.base.means_first)
        return {
            "means": self.base.means_first * math.exp(done * ratio) * self.extent * self.boost,
            "quats": self.base.quats,
            "log_scales": self.base.scales,
            "logit_opacities": self.base.opacity,
            "sh0": self.base.sh0,
            "sh_rest": self.base.sh_rest,
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


def length_boost(iterations: int) -> float:
    """Factor on the rate of the means for runs shorter than the 30,000 steps of 3DGS."""
    return min(4.0, max(1.0, math.sqrt(30_000 / iterations)))
