"""Which code does the heavy work: the native core, or plain PyTorch where it is not built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from splat.device_core import AdamStep, core_for
from splat.fit.adam import Adam, Moments, adam_reference
from splat.fit.frequency import FrequencyLoss
from splat.fit.losses import Loss, PhotometricLoss, photometric_loss, ssim

EngineName = Literal["native", "reference"]
SSIM_WEIGHT = 0.2


class PlainAdam(Adam):
    """The optimiser step in plain PyTorch, the one on "sh" as a backward pass of the native core takes it."""

    def step(self, grads: Mapping[str, Tensor | None]) -> None:
        """As ``Adam.step``; rows of "sh" without a gradient stay, unless gradients are added up."""
        kept, grad = [], grads.get("sh")
        if grad is not None and (state := self.moments["sh"]).waiting is None:
            still = (grad == 0).flatten(1).all(1)
            tensors = (self.parameters["sh"].detach(), state.exp_avg, state.exp_avg_sq)
            kept = [(tensor, tensor[still]) for tensor in tensors]
        super().step(grads)
        for tensor, rows in kept:
            tensor[still] = rows

    def take(self, steps: list[AdamStep]) -> None:
        """As ``Adam.take``."""
        for step in steps:
            value, grad, first, second = (tensor.detach() for tensor in step.tensors)
            state = Moments(first, second, step.number - 1)
            rates = torch.tensor(step.rates, device=value.device)
            if rates.numel() > 1:
                rates = rates.view(1, *value.shape[1:])
            adam_reference(value, grad, state, rates, self.betas, self.eps)


@dataclass(frozen=True)
class PlainLoss:
    """(1 - w) L1 + w (1 - SSIM) in plain PyTorch; no state."""

    ssim_weight: float = SSIM_WEIGHT

    def __call__(
        self, image: Tensor, target: Tensor, mask: Tensor | None = None, done: float = 1.0
    ) -> Tensor:
        """As ``PhotometricLoss``."""
        return photometric_loss(image, target, mask, self.ssim_weight)

    def state_dict(self) -> dict[str, Tensor | float]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor | float]) -> None:
        """Accept the empty state."""


@dataclass(frozen=True)
class Engine:
    """The choice, and what follows from it.

    Attributes:
        name: also the rasteriser's backend.
        device: where scene, photos and gradients lie; cameras stay on the processor.
    """

    name: EngineName
    device: torch.device = torch.device("cpu")

    def adam(self, parameters: Mapping[str, Tensor], rates: Mapping[str, float], sh_every: int = 1) -> Adam:
        """The optimiser over ``parameters``; arguments as ``Adam``."""
        return (Adam if self.name == "native" else PlainAdam)(parameters, rates, sh_every=sh_every)

    def loss(self, frequency_weight: float = 0.0) -> Loss:
        """The photometric loss of 3DGS, 0.8 L1 + 0.2 (1 - SSIM); with a weight, frequency-modulated."""
        base: Loss = PhotometricLoss(SSIM_WEIGHT) if self.name == "native" else PlainLoss(SSIM_WEIGHT)
        return FrequencyLoss(base, frequency_weight) if frequency_weight else base

    def ssim(self, image: Tensor, target: Tensor, mask: Tensor | None) -> float:
        """Mean SSIM of two [H, W, 3] images."""
        if self.name == "native" and mask is None:
            return core_for(image.device).ssim(image.contiguous(), target.contiguous())
        return float(ssim(image, target, mask))

    def mean_squared_spacing(self, points: Tensor, neighbours: int = 3) -> Tensor:
        """[N] mean squared distance of each of [N, 3] points to its nearest others, exact."""
        if self.name == "native":
            return core_for(points.device).spacing(points.float().contiguous(), neighbours)
        rows = partial(_plain_spacing, points, neighbours)
        return torch.cat([rows(start) for start in range(0, points.shape[0], 1024)])

    def wait(self) -> None:
        """Until the device has done everything that was asked of it."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def release(self) -> None:
        """Give back work space and memory that are kept for the next call."""
        if self.name == "native":
            core_for(self.device).idle.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def set_threads(self, threads: int) -> None:
        """Use this many processor threads from now on.

        Beside the native core torch keeps to one: its own pool spins between calls and takes a core
        away (measured on two cores: 56 ms a step with both pools, 45 ms with one).
        """
        if self.name == "native":
            from splat import native_core

            torch.set_num_threads(1)
            native_core.set_threads(threads)
        else:
            torch.set_num_threads(threads)


def choose_engine() -> Engine:
    """The native core where it is built, else plain PyTorch; on the processor."""
    from splat import native_core

    return Engine("native" if native_core.available() else "reference")


def _plain_spacing(points: Tensor, neighbours: int, start: int) -> Tensor:
    squared = torch.cdist(points[start : start + 1024].double(), points.double()) ** 2
    nearest = squared.topk(neighbours + 1, dim=1, largest=False).values[:, 1:]
    return nearest.mean(1).float()
