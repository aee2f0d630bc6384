"""Adaptive density control of 3DGS (Kerbl et al. 2023) with absolute gradients (AbsGS, Ye et al. 2024).

Gaussians whose projected centre has a large mean gradient are halved along their longest axis (see
``splitting``), or, as in 3DGS, cloned when small and split when large; nearly transparent and oversized
ones are removed; opacities are pulled down now and then so that what is not needed goes. Every count obeys
the budget: when more want to grow than may, the largest win.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from splat.cameras import Camera
from splat.fit.options import Split
from splat.fit.protocols import Change
from splat.fit.scene import TrainedScene
from splat.fit.strategies.covariance import restore, seeded
from splat.fit.strategies.growth import Growth
from splat.fit.strategies.splitting import halves, split_in_two
from splat.rasterize.rendered import Rendered

CPU = torch.device("cpu")


@dataclass(frozen=True)
class AdcSettings:
    """Constants of 3DGS; those in iterations are scaled to the run.

    Attributes:
        absgrad: judge by the sum of absolute per-pixel gradients instead of the signed sum.
        threshold: least mean gradient, in NDC units, that densifies.
        split: "halved" cuts each into halves, whatever its size; "drawn", as 3DGS, clones what is small and
            draws the children of the rest.
        small: largest scale that "drawn" clones rather than splits, normalised units.
        large: scale beyond which a Gaussian is removed once opacities were reset, normalised units.
        faint: opacity below which a Gaussian is removed.
        reset_every: iterations between opacity resets.
        reset_until: iteration after which there is none.
        reset_opacity: what opacities are cut to.
    """

    absgrad: bool = True
    threshold: float = 8e-4
    split: Split = "halved"
    small: float = 0.01
    large: float = 0.1
    faint: float = 0.005
    reset_every: int = 3000
    reset_until: int = 15_000
    reset_opacity: float = 0.01

    @classmethod
    def scaled_to(
        cls, iterations: int, extent: float, absgrad: bool = True, split: Split = "halved"
    ) -> AdcSettings:
        """Constants for a run of this many steps.

        A reset needs some hundred steps to heal, so a short run has fewer of them, or none.
        """
        return cls(
            absgrad=absgrad,
            threshold=8e-4 if absgrad else 2e-4,
            split=split,
            small=0.01 * extent,
            large=0.1 * extent,
            reset_every=max(1500, iterations // 10),
            reset_until=int(0.45 * iterations),
        )


class Adc:
    """Clone, split, prune and reset.

    Args:
        settings: constants.
        growth: when, and up to how many.
        seed: of where split Gaussians go.
        device: of the scene.
    """

    def __init__(self, settings: AdcSettings, growth: Growth, seed: int, device: torch.device = CPU) -> None:
        self.settings = settings
        self.growth = growth
        self._generator = seeded(seed, device)
        self._device = device
        self._restart(0)
        self._was_reset = False
        self._half: dict[tuple[int, int], Tensor] = {}

    def reads_screen(self, iteration: int) -> bool:
        """Until the last densification."""
        return iteration < self.growth.stop

    def before_step(self, scene: TrainedScene, rendered: Rendered, camera: Camera, iteration: int) -> None:
        """Add this view's screen gradients, in NDC units (pixels times half the image size)."""
        if not self.reads_screen(iteration) or rendered.screen is None or rendered.screen.grad is None:
            return
        if self._gradient.shape[0] != len(scene):
            self._restart(len(scene))
        pair = rendered.screen.grad[:, 2:] if self.settings.absgrad else rendered.screen.grad[:, :2]
        norm = torch.linalg.vector_norm(pair * self._half_size(camera, pair), dim=1)
        self._gradient += norm
        self._views += rendered.visible

    def after_step(self, scene: TrainedScene, rates: dict[str, float], iteration: int) -> Change | None:
        """Densify and prune when due; reset opacities when due."""
        change = None
        if self.growth.due(iteration) and self._gradient.shape[0] == len(scene):
            change = self._densify(scene, iteration)
            self._restart(len(scene))
        settings = self.settings
        if 0 < iteration <= settings.reset_until and iteration % settings.reset_every == 0:
            self._reset(scene)
        return change

    def limit(self, budget: int) -> None:
        """No more than ``budget`` Gaussians from now on."""
        self.growth = replace(self.growth, budget=budget)

    def state_dict(self) -> dict[str, Any]:
        """Statistics gathered since the last densification, and the generator."""
        return {
            "generator": self._generator.get_state(),
            "gradient": self._gradient,
            "views": self._views,
            "was_reset": self._was_reset,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that ``state_dict`` gave."""
        restore(self._generator, state["generator"])
        self._gradient = state["gradient"].to(self._device, copy=True)
        self._views = state["views"].to(self._device, copy=True)
        self._was_reset = bool(state["was_reset"])

    def _restart(self, count: int) -> None:
        self._gradient = torch.zeros(count, device=self._device)
        self._views = torch.zeros(count, device=self._device)

    def _half_size(self, camera: Camera, like: Tensor) -> Tensor:
        """[2] half of the image's width and height; kept, as making it waits for the device."""
        size = (camera.width, camera.height)
        if size not in self._half:
            self._half[size] = torch.tensor([size[0] / 2, size[1] / 2]).to(like)
        return self._half[size]

    def _densify(self, scene: TrainedScene, iteration: int) -> Change:
        before = len(scene)
        mean = self._gradient / self._views.clamp_min(1)
        doomed = self._doomed(scene)
        room = self.growth.room(before - int(doomed.sum()), iteration)
        mean[doomed] = 0
        wanting = (mean >= self.settings.threshold).nonzero().squeeze(1)
        chosen = wanting[mean[wanting].topk(min(room, wanting.numel())).indices].sort().values
        new, replaced = self._children(scene, chosen)
        doomed[replaced] = True
        rows = {name: torch.cat([part[name] for part in new]) for name in new[0]}
        scene.keep((~doomed).nonzero().squeeze(1), rows)
        return Change(added=chosen.numel(), removed=before + chosen.numel() - len(scene))

    def _children(self, scene: TrainedScene, chosen: Tensor) -> tuple[list[dict[str, Tensor]], Tensor]:
        """What the ``chosen`` become, and which of them it replaces."""
        if self.settings.split == "halved":
            return halves(scene, chosen), chosen
        largest = scene.gaussians.log_scales.detach()[chosen].amax(1)
        is_small = largest <= math.log(self.settings.small)
        cloned, split = chosen[is_small], chosen[~is_small]
        return [scene.rows(cloned), *split_in_two(scene, split, self._generator)], split

    def _doomed(self, scene: TrainedScene) -> Tensor:
        """[N] bool: too faint, or (after the first reset) too large; never all of them."""
        doomed = torch.sigmoid(scene.gaussians.logit_opacities.detach()) < self.settings.faint
        if self._was_reset:
            doomed |= scene.gaussians.log_scales.detach().amax(1) > math.log(self.settings.large)
        return doomed if not bool(doomed.all()) else torch.zeros_like(doomed)

    def _reset(self, scene: TrainedScene) -> None:
        limit = math.log(self.settings.reset_opacity / (1 - self.settings.reset_opacity))
        logits = scene.gaussians.logit_opacities.detach()
        every = torch.arange(len(scene), device=logits.device)
        scene.overwrite(every, {"logit_opacities": logits.clamp_max(limit)}, ("logit_opacities",))
        self._was_reset = True
