"""A training step on a fixed view, by splat and by gsplat, for measuring side by side in one process.

Learning rates are negligible, so that every step does the same work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from gpu_trainer import start_tensors
from scenes import Workload
from torch import Tensor

from splat.device_core import core_for
from splat.fit.engine import Engine
from splat.fit.losses import L1Ssim, PhotometricLoss, photometric_loss
from splat.fit.scene import TrainedScene
from splat.rasterize import RenderSettings, rasterize
from splat.rasterize.direct import DirectPass

RATE = 1e-9
RATES = dict.fromkeys(("means", "quats", "log_scales", "logit_opacities", "sh0", "sh_rest", "shape"), RATE)
SSIM_WEIGHT = 0.2

Mark = Callable[[str], None]
"""Called with the name of the part of a step that has just been queued."""


class Step(Protocol):
    """One engine on one workload."""

    def run(self, mark: Mark) -> None:
        """Render, loss, backward, Adam."""
        ...

    def image(self) -> Tensor:
        """[H, W, 3] the picture, without gradients."""
        ...


class Marks:
    """CUDA events between the parts of a step."""

    def __init__(self) -> None:
        self._events = [("", self._event())]

    def __call__(self, name: str) -> None:
        """The part ``name`` ends here."""
        self._events.append((name, self._event()))

    def milliseconds(self) -> dict[str, float]:
        """By part, and of the whole ("iteration"); waits for the device."""
        torch.cuda.synchronize()
        parts = {
            name: before.elapsed_time(event)
            for (_, before), (name, event) in zip(self._events, self._events[1:], strict=False)
        }
        return {**parts, "iteration": self._events[0][1].elapsed_time(self._events[-1][1])}

    @staticmethod
    def _event() -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


class OurStep:
    """splat: loss and gradient in one pass, Adam on the SH coefficients inside the backward pass.

    Args:
        work: scene, view and photo.
        device: to work on.
        antialias: pixel filter.
        deterministic: gradients added up in a fixed order, or by atomics.
    """

    def __init__(self, work: Workload, device: torch.device, antialias: str, deterministic: bool) -> None:
        self.core, self.deterministic, self.camera = core_for(device), deterministic, work.camera
        self.scene = TrainedScene(work.gaussians.to(device), RATES, Engine("native", device))
        self.photo = (work.photo * 255).round().to(torch.uint8).to(device)
        self.settings = RenderSettings(antialias=antialias)  # type: ignore[arg-type]
        self.direct = DirectPass(device)

    def run(self, mark: Mark) -> None:
        """As ``Step.run``."""
        self.core.deterministic = self.deterministic  # type: ignore[attr-defined]
        scene = self.scene
        rendered = self.direct.render(scene.gaussians, self.camera, self.settings)
        mark("forward")
        _, v_color = PhotometricLoss(SSIM_WEIGHT).with_gradient(rendered.color, self.photo)
        mark("loss")
        target = scene.gradient_target(RATES)
        self.direct.backward(v_color, target)
        scene.adopt(target)
        mark("backward")
        scene.step(RATES)
        scene.clear_gradients()
        mark("Adam")

    def image(self) -> Tensor:
        """As ``Step.image``."""
        with torch.no_grad():
            return rasterize(self.scene.gaussians, self.camera, self.settings, "native", check=False).color

    def stages(self) -> dict[str, float]:
        """Milliseconds of the rasteriser's stages, each waited for."""
        frames: list[Any] = self.core.idle  # type: ignore[attr-defined]
        for frame in frames:
            frame.timed = True
        self.run(lambda _: None)
        seconds = frames[-1].seconds
        for frame in frames:
            frame.timed = False
        names = ("project and SH", "sort", "bin", "blend", "blend backward", "project backward")
        return {name: 1e3 * value for name, value in zip(names, seconds, strict=True)}

    def pairs(self) -> int:
        """(splat, tile) pairs of the last step."""
        return int(self.core.idle[-1].intersections)  # type: ignore[attr-defined]


class GsplatStep:
    """gsplat as its own trainer runs it: its rasterization, a loss, torch's fused Adam a tensor.

    Its trainer takes SSIM from the package fused-ssim, which is not on PyPI. Here SSIM is either plain
    PyTorch (two separable convolutions) or splat's own fused loss.

    Args:
        work: scene, view and photo.
        device: to work on.
        antialias: "none" or "mip".
        our_loss: take splat's loss.
        packed: gsplat's packed mode (its trainer's default is False).
    """

    def __init__(
        self, work: Workload, device: torch.device, antialias: str, our_loss: bool, packed: bool = False
    ) -> None:
        scene, camera = work.gaussians, work.camera
        self.tensors = start_tensors(scene, device)
        self.optimizers = [
            torch.optim.Adam([value], lr=RATE, eps=1e-15, fused=True) for value in self.tensors.values()
        ]
        photo = (work.photo * 255).round().to(torch.uint8).to(device)
        self.photo = photo if our_loss else photo.float() / 255
        self.our_loss = our_loss
        self.view = {
            "viewmats": camera.world_to_camera[None].to(device),
            "Ks": camera.intrinsics[None].to(device),
            "width": camera.width,
            "height": camera.height,
            "near_plane": 0.01,
            "far_plane": 1e10,
            "packed": packed,
            "sh_degree": round(scene.sh.shape[1] ** 0.5) - 1,
            "rasterize_mode": "antialiased" if antialias == "mip" else "classic",
            "eps2d": 0.1 if antialias == "mip" else 0.3,
        }
        self.info: dict[str, Any] = {}

    def run(self, mark: Mark) -> None:
        """As ``Step.run``."""
        color = self._render()
        mark("forward")
        if self.our_loss:
            loss = L1Ssim.apply(color, self.photo, None, SSIM_WEIGHT)
        else:
            loss = photometric_loss(color, self.photo, None, SSIM_WEIGHT)
        mark("loss")
        loss.backward()
        mark("backward")
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        mark("Adam")

    def image(self) -> Tensor:
        """As ``Step.image``."""
        with torch.no_grad():
            return self._render()

    def pairs(self) -> int:
        """(splat, tile) pairs of the last step."""
        return int(self.info["flatten_ids"].numel())

    def _render(self) -> Tensor:
        from gsplat import rasterization

        t = self.tensors
        color, _, self.info = rasterization(
            means=t["means"],
            quats=t["quats"],
            scales=torch.exp(t["scales"]),
            opacities=torch.sigmoid(t["opacities"]),
            colors=torch.cat([t["sh0"], t["shN"]], 1),
            **self.view,
        )
        return color[0]


def gsplat_problem() -> str:
    """Why gsplat's CUDA part cannot be used, or nothing."""
    try:
        from gsplat.cuda._backend import _C
    except Exception as error:  # whatever its build throws is what is to be said
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return "" if _C is not None else "its CUDA part is not built"
