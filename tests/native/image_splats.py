"""Splats on the image, as the tests of kernels and pixel filters give them to the formulas."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def random_splats(count: int, smallest: float = 0.15, largest: float = 4.0, seed: int = 0) -> Tensor:
    """[count, 7]: mean, covariance a, b, c, opacity logit, t. Axes log-uniform, any rotation."""
    make = torch.Generator().manual_seed(seed)
    random = torch.rand(count, 7, generator=make, dtype=torch.float64)
    axes = smallest * (largest / smallest) ** random[:, :2]
    angle = math.pi * random[:, 2]
    c, s = angle.cos(), angle.sin()
    a = (c * axes[:, 0]) ** 2 + (s * axes[:, 1]) ** 2
    b = c * s * (axes[:, 0] ** 2 - axes[:, 1] ** 2)
    d = (s * axes[:, 0]) ** 2 + (c * axes[:, 1]) ** 2
    mean = random[:, 3:5] * 2 - 1
    return torch.stack([*mean.T, a, b, d, 3 * random[:, 5] - 1, 0.27 + 1.35 * random[:, 6]], 1)


def gaussians(splats: Tensor) -> Tensor:
    """The same with t = 1."""
    return torch.cat([splats[:, :6], torch.ones_like(splats[:, :1])], 1)


def random_pixels(seed: int = 1, reach: float = 3.0, count: int = 11) -> Tensor:
    """[count, 2], anywhere."""
    make = torch.Generator().manual_seed(seed)
    return (torch.rand(count, 2, generator=make, dtype=torch.float64) * 2 - 1) * reach


def curves(t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Variance of the unit kernel, mass at variance 1 (over 2 pi), kurtosis; from the Gamma function."""
    g = torch.lgamma
    m2 = 2**t * torch.exp(g(2 * t) - g(t)) / 2
    rho = 2**t * torch.exp(g(1 + t)) / 2 / m2
    return m2, rho, torch.exp(g(3 * t) + g(t) - 2 * g(2 * t))


def covariance(splats: Tensor) -> Tensor:
    """[N, 2, 2] before any filter."""
    a, b, c = splats[:, 2], splats[:, 3], splats[:, 4]
    return torch.stack([a, b, b, c], 1).view(-1, 2, 2)


def supersampled(splats: Tensor, pixels: Tensor, samples: int = 24) -> Tensor:
    """[N, P] mean of alpha over samples x samples points of each pixel."""
    steps = (torch.arange(samples, dtype=torch.float64) + 0.5) / samples - 0.5
    offsets = torch.cartesian_prod(steps, steps)
    d = pixels[None, :, None] + offsets - splats[:, None, None, :2]
    q = torch.einsum("npsi,nij,npsj->nps", d, torch.linalg.inv(covariance(splats)), d)
    t = splats[:, 6, None, None]
    kernel = torch.exp(-0.5 * (curves(splats[:, 6])[0][:, None, None] * q) ** (1 / t))
    return splats[:, 5, None].sigmoid() * kernel.mean(2)
