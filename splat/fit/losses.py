"""Image losses: what a render is compared to a photo with.

SSIM is that of Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
structural similarity" (2004): 11 x 11 Gaussian window, sigma 1.5, C1 = 0.01^2, C2 = 0.03^2, per channel;
with zero padding, so that the map has the size of the image, as 3D Gaussian Splatting trains and scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from splat.device_core import core_for
from splat.errors import SplatError

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_C1 = 0.01**2
SSIM_C2 = 0.03**2


class Loss(Protocol):
    """Compares a render with a photo."""

    def __call__(
        self, image: Tensor, target: Tensor, mask: Tensor | None = None, done: float = 1.0
    ) -> Tensor:
        """Scalar loss of ``image`` [H, W, 3] against ``target`` [H, W, 3], both RGB 0 to 1.

        Args:
            image: the render; the gradient flows to it only.
            target: the photo; may be uint8, 0 to 255, which ``unit_rgb`` says the meaning of.
            mask: [H, W] bool, True where the photo counts, or None when all of it does.
            done: fraction of the training that is done, 0 to 1.
        """
        ...

    def state_dict(self) -> dict[str, Tensor | float]:
        """Everything a resumed run needs; empty for a loss without state."""
        ...

    def load_state_dict(self, state: dict[str, Tensor | float]) -> None:
        """Take back what ``state_dict`` gave."""
        ...


@dataclass(frozen=True)
class PhotometricLoss:
    """(1 - w) L1 + w (1 - SSIM), computed with its gradient in one pass of the native core.

    Attributes:
        ssim_weight: w, 0 to 1.
    """

    ssim_weight: float = 0.2

    def __call__(
        self, image: Tensor, target: Tensor, mask: Tensor | None = None, done: float = 1.0
    ) -> Tensor:
        """See ``Loss``; float32, or a uint8 photo. A mask that keeps nothing gives 0."""
        return L1Ssim.apply(image, target, mask, self.ssim_weight)

    def with_gradient(
        self, image: Tensor, target: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The loss and dL/d(image), [H, W, 3], without autograd; arguments and errors as the call."""
        return _l1_ssim(image, target, mask, self.ssim_weight)

    def state_dict(self) -> dict[str, Tensor | float]:
        """Nothing: this loss has no state."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor | float]) -> None:
        """Accept the empty state."""
        if state:
            raise SplatError(f"the loss has no state, but the checkpoint holds {sorted(state)} for it")


class L1Ssim(torch.autograd.Function):
    """Native (1 - w) L1 + w (1 - SSIM) of a float32 image [H, W, 3] and a float32 or uint8 one.

    Bytes are read as they are, which saves the memory and time of a float copy and gives the same bits
    as ``unit_rgb`` of them. The gradient is made together with the value, so backward only hands it on.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, target: Tensor, mask: Tensor | None, ssim_weight: float) -> Tensor:
        """Arguments as ``PhotometricLoss``; returns a float32 scalar."""
        value, gradient = _l1_ssim(image, target, mask, ssim_weight)
        ctx.save_for_backward(gradient)
        return value

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        """The stored gradient, scaled only if the loss itself was."""
        (gradient,) = ctx.saved_tensors
        if grad_output.device.type == "cpu" and float(grad_output) == 1.0:
            return gradient, None, None, None
        return gradient * grad_output, None, None, None


def _l1_ssim(image: Tensor, target: Tensor, mask: Tensor | None, ssim_weight: float) -> tuple[Tensor, Tensor]:
    """The native loss and its gradient."""
    _check_pair(image, target, mask)
    if image.dtype != torch.float32 or target.dtype not in (torch.float32, torch.uint8):
        raise SplatError(
            f"the native loss got {image.dtype}, {target.dtype}",
            expected="torch.float32; the photo may be torch.uint8",
        )
    core = core_for(image.device)
    render, photo = image.detach().contiguous(), target.detach().contiguous()
    gradient = torch.empty_like(render)
    kept = None if mask is None else mask.contiguous()
    return core.loss(render, photo, kept, float(ssim_weight), gradient)[0], gradient


def value_and_gradient(
    loss: Loss, image: Tensor, target: Tensor, mask: Tensor | None = None, done: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Any loss and dL/d(image), [H, W, 3]; ``image`` itself stays out of any autograd graph.

    Arguments as ``Loss``.
    """
    if type(loss) is PhotometricLoss:
        return loss.with_gradient(image, target, mask)
    leaf = image.detach().requires_grad_()
    with torch.enable_grad():
        value = loss(leaf, target, mask, done)
    if not value.requires_grad:  # of nothing, say a mask that keeps no pixel
        return value, torch.zeros_like(leaf)
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach(), gradient


def photometric_loss(
    image: Tensor, target: Tensor, mask: Tensor | None = None, ssim_weight: float = 0.2
) -> Tensor:
    """Plain PyTorch (1 - w) L1 + w (1 - SSIM): defines what ``PhotometricLoss`` computes; any float type.

    Both terms are means over channels and over the pixels that ``mask`` keeps. Arguments as ``Loss``.
    """
    target = unit_rgb(target)
    similarity = ssim(image, target, mask)
    difference = mean_over(torch.abs(image - target), mask)
    return (1.0 - ssim_weight) * difference + ssim_weight * (1.0 - similarity)


def unit_rgb(photo: Tensor) -> Tensor:
    """RGB 0 to 1: float32 of a uint8 ``photo``, times float32(1 / 255); anything else as it is."""
    return photo.to(torch.float32).mul_(1 / 255) if photo.dtype == torch.uint8 else photo


def ssim(image: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean structural similarity of two [H, W, 3] images with range 1; plain PyTorch, any float type.

    With a mask, windows still see the pixels left out, but only kept pixels enter the mean.
    """
    return mean_over(ssim_map(image, target), mask)


def ssim_map(image: Tensor, target: Tensor) -> Tensor:
    """[H, W, 3] structural similarity of each pixel's window."""
    _check_pair(image, target, None)
    mean_x, mean_y = _blur(image), _blur(target)
    variance_x = _blur(image * image) - mean_x * mean_x
    variance_y = _blur(target * target) - mean_y * mean_y
    covariance = _blur(image * target) - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + SSIM_C1) * (2 * covariance + SSIM_C2)
    return similarity / ((mean_x**2 + mean_y**2 + SSIM_C1) * (variance_x + variance_y + SSIM_C2))


def psnr(image: Tensor, target: Tensor, mask: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(1 / mean squared error); infinite for equal images."""
    _check_pair(image, target, mask)
    error = mean_over((image.double() - target.double()) ** 2, mask)
    return float(-10.0 * torch.log10(error))


def mean_over(values: Tensor, mask: Tensor | None) -> Tensor:
    """Mean of [H, W, 3] ``values`` over channels and the pixels that ``mask`` [H, W] keeps.

    A mask that keeps nothing gives the mean of nothing, NaN.
    """
    return values.mean() if mask is None else values[mask].mean()


def _blur(image: Tensor) -> Tensor:
    """[H, W, 3] filtered with the SSIM window, zeros beyond the border."""
    half = SSIM_WINDOW // 2
    offsets = torch.arange(-half, half + 1, dtype=torch.float64)
    weights = torch.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    taps = (weights / weights.sum()).to(image)
    planes = image.permute(2, 0, 1)[:, None]
    rows = F.conv2d(planes, taps.view(1, 1, 1, -1), padding=(0, half))
    return F.conv2d(rows, taps.view(1, 1, -1, 1), padding=(half, 0))[:, 0].permute(1, 2, 0)


def _check_pair(image: Tensor, target: Tensor, mask: Tensor | None) -> None:
    """Raise SplatError unless the shapes fit."""
    if image.ndim != 3 or image.shape[2] != 3 or image.shape != target.shape:
        raise SplatError(
            f"images of shapes {tuple(image.shape)} and {tuple(target.shape)} cannot be compared",
            expected="two images of the same [H, W, 3] shape",
        )
    if mask is not None and (mask.shape != image.shape[:2] or mask.dtype != torch.bool):
        raise SplatError(
            f"a mask of shape {tuple(mask.shape)} and type {mask.dtype} does not fit an image of shape "
            f"{tuple(image.shape)}",
            expected="a bool mask [H, W]",
        )
