"""gsplat's default trainer, on this program's captures: the other side of benchmarks/gpu_train.py.

Written from the documented defaults of gsplat's examples/simple_trainer.py and of its ``DefaultStrategy``:
learning rates, their schedules, degrees of the spherical harmonics, loss, growth. It starts from the points
that splat itself starts from.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splat.capture.types import Capture
from splat.fit.losses import L1Ssim
from splat.fit.photos import PhotoStore
from splat.gaussians import Gaussians

SSIM_WEIGHT = 0.2
SH_EVERY = 1000
"""Iterations after which one more degree is trained."""
RATES = {"scales": 5e-3, "quats": 1e-3, "opacities": 5e-2, "sh0": 2.5e-3, "shN": 2.5e-3 / 20}
MEANS_RATE = 1.6e-4
"""Times the scene's scale; falls to a hundredth over the schedule."""


@dataclass(frozen=True)
class Settings:
    """What is asked of the trainer.

    Attributes:
        iterations: steps to take.
        schedule: steps that the rate of the means falls over; gsplat's default is 30,000.
        seed: of the order of the photos.
    """

    iterations: int
    schedule: int = 30_000
    seed: int = 42


@dataclass(frozen=True)
class Outcome:
    """A trained scene.

    Attributes:
        gaussians: on the processor.
        seconds: of the steps.
        peak_bytes: most device memory in tensors.
        iterations: steps taken; fewer than asked for where time was short.
    """

    gaussians: Gaussians
    seconds: float
    peak_bytes: int
    iterations: int


def start_tensors(first: Gaussians, device: torch.device) -> torch.nn.ParameterDict:
    """The trained tensors by gsplat's names."""
    values = {
        "means": first.means,
        "scales": first.log_scales,
        "quats": first.quats,
        "opacities": first.logit_opacities,
        "sh0": first.sh[:, :1],
        "shN": first.sh[:, 1:],
    }
    return torch.nn.ParameterDict(
        {
            name: torch.nn.Parameter(value.detach().to(device, copy=True).contiguous())
            for name, value in values.items()
        }
    )


def optimizers_of(tensors: torch.nn.ParameterDict, scene_scale: float) -> dict[str, torch.optim.Optimizer]:
    """One Adam a tensor, as gsplat's strategies want."""
    rates = {"means": MEANS_RATE * scene_scale, **RATES}
    fused = tensors["means"].is_cuda
    return {
        name: torch.optim.Adam([{"params": tensors[name], "lr": rate, "name": name}], eps=1e-15, fused=fused)
        for name, rate in rates.items()
    }


def as_gaussians(tensors: torch.nn.ParameterDict) -> Gaussians:
    """The scene as splat has it, on the processor."""
    t = {name: value.detach().cpu() for name, value in tensors.items()}
    sh = torch.cat([t["sh0"], t["shN"]], 1)
    quats = torch.nn.functional.normalize(t["quats"], dim=1)
    return Gaussians(t["means"], quats, t["scales"], t["opacities"], sh.contiguous())


class GsplatTrainer:
    """The loop.

    Args:
        capture: views and split.
        first: where to start.
        photos: on the processor; sent to the device once.
        device: to train on.
        settings: how long.
    """

    def __init__(
        self, capture: Capture, first: Gaussians, photos: PhotoStore, device: torch.device, settings: Settings
    ) -> None:
        from gsplat import DefaultStrategy

        self.settings, self.device = settings, device
        self.tensors = start_tensors(first, device)
        self.optimizers = optimizers_of(self.tensors, capture.extent)
        gamma = 0.01 ** (1 / settings.schedule)
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(self.optimizers["means"], gamma)
        self.strategy = DefaultStrategy()
        self.strategy.check_sanity(self.tensors, self.optimizers)
        self.state = self.strategy.initialize_state(scene_scale=capture.extent)
        self.background = torch.tensor([capture.background or (0.0, 0.0, 0.0)], device=device)
        self.views = [capture.views[index].camera for index in capture.train]
        self.photos = [photos.get(index, 1).pixels.to(device) for index in capture.train]
        self.poses = torch.stack([camera.world_to_camera for camera in self.views]).to(device)
        self.intrinsics = torch.stack([camera.intrinsics for camera in self.views]).to(device)

    def train(self, seconds: float) -> Outcome:
        """Train, for at most ``seconds``."""
        torch.cuda.reset_peak_memory_stats(self.device)
        order = torch.Generator().manual_seed(self.settings.seed)
        torch.manual_seed(self.settings.seed)
        queue: list[int] = []
        torch.cuda.synchronize(self.device)
        begin, step = time.perf_counter(), 0
        while step < self.settings.iterations and time.perf_counter() - begin < seconds:
            queue = queue or torch.randperm(len(self.views), generator=order).tolist()
            self._step(step, queue.pop())
            step += 1
        torch.cuda.synchronize(self.device)
        spent = time.perf_counter() - begin
        peak = torch.cuda.max_memory_allocated(self.device)
        return Outcome(as_gaussians(self.tensors), spent, peak, step)

    def _step(self, step: int, view: int) -> None:
        color, info = self._render(view, min(step // SH_EVERY, 3))
        self.strategy.step_pre_backward(self.tensors, self.optimizers, self.state, step, info)
        loss: Tensor = L1Ssim.apply(color, self.photos[view], None, SSIM_WEIGHT)
        loss.backward()
        for optimizer in self.optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.schedule.step()
        self.strategy.step_post_backward(self.tensors, self.optimizers, self.state, step, info)

    def _render(self, view: int, degree: int) -> tuple[Tensor, dict[str, Any]]:
        from gsplat import rasterization

        t, camera = self.tensors, self.views[view]
        color, _, info = rasterization(
            means=t["means"],
            quats=t["quats"],
            scales=torch.exp(t["scales"]),
            opacities=torch.sigmoid(t["opacities"]),
            colors=torch.cat([t["sh0"], t["shN"]], 1),
            viewmats=self.poses[view : view + 1],
            Ks=self.intrinsics[view : view + 1],
            width=camera.width,
            height=camera.height,
            near_plane=0.01,
            far_plane=1e10,
            packed=False,
            sh_degree=degree,
            backgrounds=self.background,
            rasterize_mode="classic",
        )
        return color[0], info
