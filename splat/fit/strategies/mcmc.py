"""3D Gaussian Splatting as Markov chain Monte Carlo (Kheradmand et al. 2024), from its formulas.

Dead Gaussians move onto living ones, chosen in proportion to opacity; new ones are added the same way
until the budget; every step adds noise along each covariance, strongest where opacity is low; opacity
and scale are pulled down a little so that what is not needed dies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from splat.cameras import Camera
from splat.fit.protocols import Change
from splat.fit.scene import TrainedScene
from splat.fit.strategies.covariance import (
    chosen,
    covariance_times_noise,
    restore,
    seeded,
)
from splat.fit.strategies.growth import Growth
from splat.rasterize.rendered import Rendered

CPU = torch.device("cpu")
MOST_COPIES = 51
MOST_OPACITY = 1 - 1e-6
LEAST_NOISE = 0.01
"""Gaussians whose noise would be below this fraction of the most get none."""


@dataclass(frozen=True)
class McmcSettings:
    """Constants.

    Attributes:
        dead: a Gaussian of at most this opacity is dead.
        opacity_weight: weight of mean opacity in the loss.
        scale_weight: weight of mean scale in the loss.
        noise: factor on the position rate for the noise.
        relocate_until: iteration after which nothing moves.
    """

    dead: float = 0.005
    opacity_weight: float = 0.01
    scale_weight: float = 0.01
    noise: float = 5e5
    relocate_until: int = 25_000

    @classmethod
    def scaled_to(cls, iterations: int) -> McmcSettings:
        """Constants for a run of this many steps."""
        return cls(relocate_until=int(iterations * 25 / 30))


class Mcmc:
    """Relocation, growth and noise.

    Args:
        settings: constants.
        growth: when, and up to how many.
        seed: of the choices and the noise.
        device: of the scene.
    """

    def __init__(self, settings: McmcSettings, growth: Growth, seed: int, device: torch.device = CPU) -> None:
        self.settings = settings
        self.growth = growth
        self._generator = seeded(seed, device)

    def reads_screen(self, iteration: int) -> bool:
        """Never: opacities decide."""
        return False

    def before_step(self, scene: TrainedScene, rendered: Rendered, camera: Camera, iteration: int) -> None:
        """Add the gradients of the two regularisers, weight * mean(opacity) and weight * mean(scale)."""
        gaussians, count = scene.gaussians, len(scene)
        if gaussians.logit_opacities.grad is not None:
            opacity = torch.sigmoid(gaussians.logit_opacities.detach())
            slope = opacity * (1 - opacity)
            gaussians.logit_opacities.grad.add_(slope, alpha=self.settings.opacity_weight / count)
        if gaussians.log_scales.grad is not None:
            scale = gaussians.log_scales.detach().exp()
            gaussians.log_scales.grad.add_(scale, alpha=self.settings.scale_weight / (3 * count))

    def after_step(self, scene: TrainedScene, rates: dict[str, float], iteration: int) -> Change | None:
        """Add noise; when due, move the dead and add new Gaussians."""
        self._add_noise(scene, rates["means"])
        due = iteration % self.growth.every == 0
        if not due or not self.growth.start <= iteration <= self.settings.relocate_until:
            return None
        moved = self._relocate(scene)
        added = self._grow(scene, iteration) if self.growth.due(iteration) else 0
        return Change(added=added, moved=moved)

    def limit(self, budget: int) -> None:
        """No more than ``budget`` Gaussians from now on."""
        self.growth = replace(self.growth, budget=budget)

    def state_dict(self) -> dict[str, Any]:
        """The generator; everything else is in the settings."""
        return {"generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that ``state_dict`` gave."""
        restore(self._generator, state["generator"])

    def _add_noise(self, scene: TrainedScene, rate: float) -> None:
        """mean += rate * noise * sigmoid(-100 (o - dead)) * covariance @ normal."""
        opacity = torch.sigmoid(scene.gaussians.logit_opacities.detach())
        weight = torch.sigmoid(-100 * (opacity - self.settings.dead))
        if weight.device.type != "cpu":
            return self._add_noise_to_all(scene, rate, weight)
        rows = (weight > LEAST_NOISE).nonzero().squeeze(1)
        if rows.numel() == 0:
            return
        noise = covariance_times_noise(scene.gaussians, rows, self._generator)
        noise *= (rate * self.settings.noise * weight[rows])[:, None]
        scene.gaussians.means.detach().index_add_(0, rows, noise)

    def _add_noise_to_all(self, scene: TrainedScene, rate: float, weight: Tensor) -> None:
        """The same without counting the rows, for which the host would wait for the device each step."""
        noise = covariance_times_noise(scene.gaussians, None, self._generator)
        weight = torch.where(weight > LEAST_NOISE, weight, 0.0)
        scene.gaussians.means.detach().addcmul_(noise, weight[:, None], value=rate * self.settings.noise)

    def _relocate(self, scene: TrainedScene) -> int:
        opacity = torch.sigmoid(scene.gaussians.logit_opacities.detach())
        dead = (opacity <= self.settings.dead).nonzero().squeeze(1)
        alive = (opacity > self.settings.dead).nonzero().squeeze(1)
        if dead.numel() == 0 or alive.numel() == 0:
            return 0
        sources = alive[chosen(opacity[alive], dead.numel(), self._generator)]
        rows, values = self._shared(scene, sources)
        copies = _copies(scene, sources, rows, values)
        scene.overwrite(rows, values)
        scene.overwrite(dead, copies)
        return dead.numel()

    def _grow(self, scene: TrainedScene, iteration: int) -> int:
        count = self.growth.room(len(scene), iteration)
        if count == 0:
            return 0
        opacity = torch.sigmoid(scene.gaussians.logit_opacities.detach())
        sources = chosen(opacity, count, self._generator)
        rows, values = self._shared(scene, sources)
        scene.append(_copies(scene, sources, rows, values))
        scene.overwrite(rows, values)
        return count

    def _shared(self, scene: TrainedScene, sources: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Each source's row once, and the opacity and scale with which it and its copies look as it did."""
        copies = torch.bincount(sources, minlength=len(scene)) + 1
        rows = (copies > 1).nonzero().squeeze(1)
        gaussians = scene.gaussians
        opacity = torch.sigmoid(gaussians.logit_opacities.detach()[rows])
        betas = gaussians.betas.detach()[rows]
        shared, factor = shared_opacity_and_scale(opacity, copies[rows], betas)
        shared = shared.clamp(self.settings.dead, MOST_OPACITY)
        return rows, {
            "logit_opacities": torch.logit(shared),
            "log_scales": gaussians.log_scales.detach()[rows] + factor.log()[:, None],
        }


def _copies(
    scene: TrainedScene, sources: Tensor, rows: Tensor, values: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The ``sources`` as they will be once ``rows`` have ``values``; the scene stays as it is."""
    copies = scene.rows(sources)
    for name, value in values.items():
        changed = getattr(scene.gaussians, name).detach().clone()
        changed[rows] = value
        copies[name] = changed[sources]
    return copies


def shared_opacity_and_scale(opacity: Tensor, copies: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
    """Opacity of each of N equal splats that together look like one, and the factor on their scale.

    1 - (1 - o_N)^N = o, and the factor keeps the integral of the blended profile along a line:
    factor = o / sum_{j=1..N} C(N, j) (-1)^(j-1) o_N^j j^(-1/beta). (For beta = 2 the double sum of the
    MCMC paper, summed over its first index.) N is cut at 51.

    The power comes from exp(-x^beta/2)^j being the same profile, narrower by j^(1/beta). The rule of
    Deformable Beta Splatting, the same o_N and scales left alone, is the limit of a flat top
    (beta -> infinity, where the sum is o); for softer profiles it widens what is shared: two
    Gaussians in place of one by 5 % at o = 0.5 and by 29 % as o nears 1. So each splat has its factor.

    Args:
        opacity: [M], 0 to 1.
        copies: [M] int64 N, at least 1.
        betas: [M] exponents of the profiles; 2 for Gaussians.

    Returns:
        [M] opacities and [M] factors, float32.
    """
    count = copies.clamp(max=MOST_COPIES)
    single = 1 - (1 - opacity.double().clamp(max=MOST_OPACITY)) ** (1 / count.double())
    orders = torch.arange(1, MOST_COPIES + 1, dtype=torch.float64, device=opacity.device)
    signs = torch.where(orders % 2 == 1, 1.0, -1.0).double()
    widths = orders ** (-1 / betas.double()[:, None])
    powers = single[:, None] ** orders
    blended = (_binomials().to(opacity.device)[count] * signs * widths * powers).sum(1)
    return single.float(), (opacity.double() / blended).float()


def _binomials() -> Tensor:
    """[52, 51] C(n, j) for n = 0..51 and j = 1..51."""
    rows = [[math.comb(n, j) for j in range(1, MOST_COPIES + 1)] for n in range(MOST_COPIES + 1)]
    return torch.tensor(rows, dtype=torch.float64)
