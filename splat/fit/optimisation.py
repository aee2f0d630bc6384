"""The optimiser itself: one photo, one step. Knows only protocols; holds everything that changes."""

from __future__ import annotations

import gc
import math
from dataclasses import replace
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from splat.cameras import Camera
from splat.capture.types import Capture
from splat.errors import SplatError
from splat.fit.engine import Engine
from splat.fit.filter3d import UPDATE_EVERY, Filter3D
from splat.fit.losses import value_and_gradient
from splat.fit.out_of_memory import OutOfMemory
from splat.fit.photos import RGB, PhotoSource
from splat.fit.presets import Plan
from splat.fit.protocols import Change, Loss, Schedule, Strategy
from splat.fit.scene import TrainedScene
from splat.fit.viewpoints import ViewOrder
from splat.gaussians import Gaussians
from splat.morton import morton_order
from splat.rasterize import Rendered, RenderSettings, rasterize
from splat.rasterize.direct import DirectPass

LOOK_AHEAD = 4
CHECK_EVERY = 50


class Optimisation:
    """State of a fit, and the step from one iteration to the next.

    Args:
        capture: views and their split.
        plan: the numbers of the fit.
        scene: where to start.
        schedule: rates, degrees and sizes by iteration.
        strategy: adds and removes Gaussians.
        loss: compares render and photo.
        photos: training targets, on the engine's device.
        engine: its name is the rasteriser's backend; its device that of scene and photos.

    Attributes:
        iteration: steps done.
        change: what the last step's densification did, or None.
        filter: the 3D filter between the trained scene and what is rendered, or None.
    """

    def __init__(
        self,
        capture: Capture,
        plan: Plan,
        scene: TrainedScene,
        schedule: Schedule,
        strategy: Strategy,
        loss: Loss,
        photos: PhotoSource,
        engine: Engine,
    ) -> None:
        self.capture, self.plan, self.scene = capture, plan, scene
        self.schedule, self.strategy, self.loss = schedule, strategy, loss
        self.photos, self.engine = photos, engine
        self.iteration = 0
        self.filter: Filter3D | None = None
        if plan.filter3d:
            cameras = [capture.views[index].camera for index in capture.train]
            self.filter = Filter3D(cameras, engine.device)
        straight = engine.name == "native" and self.filter is None
        self._direct = DirectPass(engine.device) if straight else None
        self._view: int | None = None
        self.change: Change | None = None
        self._order = ViewOrder(capture.train, plan.seed)
        self._backgrounds = torch.Generator().manual_seed(plan.seed + 1)
        self._cameras: dict[tuple[int, int], Camera] = {}
        self._losses: list[Tensor | float] = []

    @property
    def count(self) -> int:
        """Gaussians now."""
        return len(self.scene)

    def step(self) -> None:
        """Train on the next photo.

        Raises:
            SplatError: the loss or a parameter is not finite any more, or a photo cannot be read.
            OutOfMemory: of the device. Either nothing has changed, or the step is done (``iteration`` tells)
                and at most what comes after it, densification above all, was left out.
        """
        iteration, scene = self.iteration, self.scene
        rates, factor = self.schedule.rates(iteration), self.schedule.downscale(iteration)
        drawn = self._backgrounds.get_state() if self.plan.random_background else None
        view = self._view = self._order.next()
        camera = self._camera(view, factor)
        try:
            rendered = self._gradients(view, camera, rates, factor)
        except OutOfMemory:
            self._order.put_back(view)
            if drawn is not None:
                self._backgrounds.set_state(drawn)
            scene.clear_gradients()
            raise
        self.change = None
        try:
            self.strategy.before_step(scene, rendered, camera, iteration)
        finally:  # the step on "sh" was taken with the gradients: there is no way back
            scene.step(rates)
            self.iteration += 1
        del rendered
        self._after_step(rates)

    def mean_loss(self) -> float:
        """Mean loss of the steps since this was last asked; waits for the device.

        Raises:
            SplatError: one of them is not finite.
        """
        on_device = [value for value in self._losses if isinstance(value, Tensor)]
        values = [value for value in self._losses if isinstance(value, float)]
        if on_device:
            values += torch.stack(on_device).tolist()
        self._losses = []
        if not all(map(math.isfinite, values)):
            raise self._broken("the loss is not a finite number")
        return fmean(values)

    def _gradients(self, view: int, camera: Camera, rates: dict[str, float], factor: int) -> Rendered:
        """Render, compare and go back: the gradients are there, and the step on "sh" is taken."""
        iteration, scene = self.iteration, self.scene
        self.photos.prefetch(self._order.upcoming(LOOK_AHEAD), factor)
        background = self._background()
        photo = self.photos.get(view, factor, background if self.plan.random_background else None)
        settings = self._settings(iteration, background)
        screen = self.strategy.reads_screen(iteration)
        done = iteration / self.plan.iterations
        if self._direct is not None:
            rendered = self._direct.render(scene.gaussians, camera, settings, screen)
            loss, v_color = value_and_gradient(self.loss, rendered.color, photo.pixels, photo.mask, done)
            value = self._finite(loss)
            target = scene.gradient_target(rates, screen)
            self._direct.backward(v_color, target)
            scene.adopt(target)
            self._losses.append(value)
            return rendered
        rendered = rasterize(self._shown(), camera, settings, self.engine.name, check=False)
        loss = self.loss(rendered.color, photo.pixels, photo.mask, done)
        value = self._finite(loss.detach())
        scene.clear_gradients()
        if loss.requires_grad:
            loss.backward()
        self._losses.append(value)
        return rendered

    def _finite(self, loss: Tensor) -> Tensor | float:
        """The loss as a number; on a device that would wait for it, so there ``mean_loss`` looks."""
        if self.engine.device.type != "cpu":
            return loss
        value = float(loss)
        if not math.isfinite(value):
            raise self._broken("the loss is not a finite number")
        return value

    def _after_step(self, rates: dict[str, float]) -> None:
        """Densify and check, when due."""
        scene = self.scene
        self.change = self.strategy.after_step(scene, rates, self.iteration)
        if self.change is not None:
            scene.keep(morton_order(scene.gaussians.means))
        if self.filter is not None and (self.change or self.iteration % UPDATE_EVERY == 0):
            self.filter.update(scene.gaussians)
        if self.iteration % CHECK_EVERY == 0:
            self.check()

    def release(self) -> int:
        """Give back all memory of the device that is only kept for speed.

        Returns:
            Bytes that were of photos, which are not kept there any more.
        """
        self.scene.forget_gradients()
        if self._direct is not None:
            self._direct.release()
        freed = self.photos.release()
        gc.collect()  # what the error that led here may still hold
        self.engine.release()
        return freed

    def shrink(self, budget: int) -> None:
        """At most ``budget`` Gaussians from now on; the faintest beyond it go."""
        self.plan = replace(self.plan, budget=budget)
        self.strategy.limit(budget)
        if len(self.scene) > budget:
            logits = self.scene.gaussians.logit_opacities.detach().cpu()
            self.scene.keep_by_way_of_host(logits.topk(budget).indices.sort().values)

    def try_view(self, view: int) -> None:
        """The work of a step on one photo at full size, changing nothing but the gradients."""
        photo, background = self.photos.get(view, 1), self.capture.background or (0.0, 0.0, 0.0)
        settings = self._settings(self.plan.iterations, background)
        camera = self._camera(view, 1)
        rendered = rasterize(self._shown(), camera, settings, self.engine.name, check=False)
        loss = self.loss(rendered.color, photo.pixels, photo.mask)
        if loss.requires_grad:
            loss.backward()
        self.scene.clear_gradients()

    def load_photos(self) -> None:
        """Decode every photo now, if all of them fit into the memory set aside for them."""
        pixels = sum(view.camera.width * view.camera.height for view in self.capture.views)
        if 5 * pixels <= self.plan.photo_bytes:
            self.photos.preload([*self.capture.train, *self.capture.test])

    def finished(self) -> Gaussians:
        """The scene as it is to be shown and written: what training renders, cut from it."""
        return self._shown().detached()

    def scoring_settings(self) -> RenderSettings:
        """How the scene is rendered to be compared with held-out photos."""
        return self._settings(self.iteration, self.capture.background or (0.0, 0.0, 0.0))

    def check(self) -> None:
        """Raise SplatError if a parameter is NaN or infinite."""
        name = self.scene.first_bad_tensor()
        if name is not None:
            raise self._broken(f"{name} holds NaN or infinity")

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next steps depend on."""
        return {
            "iteration": self.iteration,
            "scene": self.scene.state_dict(),
            "filter": {} if self.filter is None else self.filter.state_dict(),
            "strategy": self.strategy.state_dict(),
            "loss": dict(self.loss.state_dict()),
            "order": self._order.state_dict(),
            "backgrounds": self._backgrounds.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that ``state_dict`` gave."""
        self.iteration = int(state["iteration"])
        self.scene.load_state_dict(state["scene"])
        if self.filter is not None:
            self.filter.load_state_dict(state["filter"])
        self.strategy.load_state_dict(state["strategy"])
        self.loss.load_state_dict(state["loss"])
        self._order.load_state_dict(state["order"])
        self._backgrounds.set_state(state["backgrounds"])

    def _shown(self) -> Gaussians:
        """The scene after the 3D filter, if there is one."""
        return self.scene.gaussians if self.filter is None else self.filter.apply(self.scene.gaussians)

    def _background(self) -> RGB:
        if self.plan.random_background:
            red, green, blue = torch.rand(3, generator=self._backgrounds).tolist()
            return red, green, blue
        return self.capture.background or (0.0, 0.0, 0.0)

    def _settings(self, iteration: int, background: RGB) -> RenderSettings:
        degree = self.schedule.sh_degree(iteration)
        return RenderSettings(antialias=self.plan.antialias, sh_degree=degree, background=background)

    def _camera(self, view: int, factor: int) -> Camera:
        key = (view, factor)
        if key not in self._cameras:
            camera = self.capture.views[view].camera
            self._cameras[key] = camera if factor == 1 else camera.resized(*self.photos.size(view, factor))
        return self._cameras[key]

    def _broken(self, what: str) -> SplatError:
        where = "" if self._view is None else f" on photo {self.capture.views[self._view].name}"
        return SplatError(
            f"training broke down at iteration {self.iteration}{where}: {what}",
            advice="The last checkpoint is kept; look at this photo's camera and mask, or try another --seed",
        )
