"""The frequency-modulated loss of GES (Hamdi et al. 2024), from its formula.

A band of the render's detail, found with a difference of Gaussians whose width follows the progress of
training, says where differences count in full; elsewhere L1 counts less by the weight:

    (1 - w_ssim - w) L1 + w_ssim (1 - SSIM) + w mean(M |image - target|)
  = base loss - w mean((1 - M) |image - target|)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from splat.fit.losses import Loss, mean_over, unit_rgb

SHRINK = 0.2
"""The band is looked for in the render at this scale."""
THRESHOLD = 0.5
LEAST_CONTRAST = 1e-5
"""A band with less is rounding."""


@dataclass(frozen=True)
class FrequencyLoss:
    """A loss that counts L1 less outside the band of detail that is due.

    Attributes:
        base: (1 - w_ssim) L1 + w_ssim (1 - SSIM).
        weight: w, 0 to 1 - w_ssim; 0.5 in GES.
    """

    base: Loss
    weight: float

    def __call__(
        self, image: Tensor, target: Tensor, mask: Tensor | None = None, done: float = 1.0
    ) -> Tensor:
        """As ``Loss``."""
        outside = ~detail_band(image.detach(), done)
        difference = (image - unit_rgb(target)).abs() * outside[..., None]
        return self.base(image, target, mask, done) - self.weight * mean_over(difference, mask)

    def state_dict(self) -> dict[str, Tensor | float]:
        """The state of the base loss."""
        return self.base.state_dict()

    def load_state_dict(self, state: dict[str, Tensor | float]) -> None:
        """Take back what ``state_dict`` gave."""
        self.base.load_state_dict(state)


def detail_band(image: Tensor, done: float) -> Tensor:
    """[H, W] bool: the part of a render [H, W, 3] whose detail is due when ``done`` of 1 is trained.

    In a fifth of the size, grey(sigma) - grey(2 sigma) with sigma = 0.1 + 0.1 f pixels, f = 100 done up
    to the half and 100 (1 - done) after it; enlarged again and stretched to 0..1. Before the half what is
    at most 0.5 (flat parts), after it what is more (detail). A render without any contrast is all in.
    """
    height, width = image.shape[:2]
    grey = image.mean(2)[None, None]
    small = (max(1, round(SHRINK * height)), max(1, round(SHRINK * width)))
    percent = 100 * min(1.0, max(0.0, done))
    sigma = 0.1 + 0.1 * (percent if percent < 50 else 100 - percent)
    coarse = F.interpolate(grey, small, mode="area")
    band = blurred(coarse, sigma) - blurred(coarse, 2 * sigma)
    band = F.interpolate(band, (height, width), mode="bilinear", align_corners=False)[0, 0]
    low, high = band.min(), band.max()
    flat = high - low < LEAST_CONTRAST
    stretched = (band - low) / (high - low)
    return flat | (stretched <= THRESHOLD if percent < 50 else stretched > THRESHOLD)


def blurred(image: Tensor, sigma: float) -> Tensor:
    """[1, 1, H, W] convolved with a Gaussian of ``sigma`` pixels, cut at 3 sigma; the border goes on."""
    radius = max(1, math.ceil(3 * sigma))
    offsets = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    taps = torch.exp(-(offsets**2) / (2 * sigma**2))
    taps = taps / taps.sum()
    rows = F.conv2d(F.pad(image, (radius, radius, 0, 0), mode="replicate"), taps.view(1, 1, 1, -1))
    return F.conv2d(F.pad(rows, (0, 0, radius, radius), mode="replicate"), taps.view(1, 1, -1, 1))
