"""The strip rule: the Gaussian's integral over the pixel, exact along one of the pixel's axes."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt

import torch
from torch import Tensor

from splat.rasterize.filter_analytic import capped_mass
from splat.rasterize.footprint import Footprint, gaussian_extent

_NARROW = 0.5
"""Standard deviations: below this width, quadrature; above, differences of the normal CDF."""
_Z_MIN = 1e-20
"""An interval of less mass than this adds nothing."""
_SMALLEST = 1e-12
"""Lower bound of the conditional variance and of det S, px^2 and px^4."""
_NODES = ((-sqrt(0.6), 5 / 9), (0.0, 8 / 9), (sqrt(0.6), 5 / 9))
"""Gauss-Legendre nodes and weights on [-1, 1]."""


@dataclass(frozen=True)
class StripFootprint(Footprint):
    """o 2 pi sqrt(det S) sum over strips of Z [Phi(z1) - Phi(z0)].

    Along s, the pixel axis with the larger variance (y if equal), the integral over the strip is
    exact; across it, the distribution given the strip is taken as the Gaussian of its exact mean
    and variance. Exact for b = 0.

    Attributes:
        covariance: [M, 3] (a, b, c) of S, px^2.
        determinant: [M] a c - b^2.
        opacity: [M] peak opacity (may exceed 1 for the equal of a generalised exponential).
        strips: how many strips a pixel is cut into.
    """

    covariance: Tensor
    determinant: Tensor
    opacity: Tensor
    strips: int

    def alphas(self, offsets: Tensor) -> Tensor:
        """The integral over the unit pixel."""
        dx, dy = offsets.unbind(-1)
        a, b, c = self.covariance.unbind(-1)
        rows = c >= a
        s, t = torch.where(rows, dy, dx), torch.where(rows, dx, dy)
        variance = torch.where(rows, c, a).clamp(min=_SMALLEST)
        sigma, determinant = variance.sqrt(), self.determinant.clamp(min=_SMALLEST)
        k = b / sigma
        total = torch.zeros_like(s)
        for strip in range(self.strips):
            low, high = strip / self.strips - 0.5, (strip + 1) / self.strips - 0.5
            mass, mean, spread = interval((s + low) / sigma, (s + high) / sigma)
            across = (determinant / variance + k * k * spread).clamp(min=_SMALLEST).sqrt()
            z = (t - k * mean) / across
            total = total + mass * interval(z - 0.5 / across, z + 0.5 / across)[0]
        return 2 * pi * self.opacity * determinant.sqrt() * total

    @property
    def peak(self) -> Tensor:
        """At most the opacity, and at most the splat's mass."""
        return capped_mass(self.opacity.detach(), self.determinant.detach().sqrt())

    @property
    def half_extent(self) -> Tensor:
        """A pixel's mean is at most the largest value in it."""
        return gaussian_extent(self.opacity, self.covariance) + 0.5

    @property
    def proper(self) -> Tensor:
        """The determinant is positive and finite."""
        return (self.determinant > 0) & self.determinant.isfinite()


def interval(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mass, mean and variance of the standard normal on [low, high], any width.

    A mass below 1e-20 is given as 0 (mean 0, variance 0).
    """
    narrow = high - low < _NARROW
    quadrature = _interval_narrow(low, high)
    differences = _interval_wide(torch.where(narrow, low - 1, low), torch.where(narrow, high + 1, high))
    mass, mean, spread = (torch.where(narrow, *pair) for pair in zip(quadrature, differences, strict=True))
    return mass, mean, spread


def _interval_narrow(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """By three Gauss-Legendre nodes, whose weights are taken relative to the middle's density."""
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    half = half.clamp(max=_NARROW)
    density = _density(middle)
    # phi(m + h x) / phi(m); m bounded so that it stays finite where the density is 0 anyway.
    x = middle.new_tensor([x for x, _ in _NODES])
    lever = (middle.clamp(-15, 15) * half)[..., None] * x
    bend = (half[..., None] * x).square()
    weights = middle.new_tensor([w for _, w in _NODES]) * torch.exp(-lever - 0.5 * bend)
    total = weights.sum(-1)
    shift = (weights * x).sum(-1) / total
    mass = half * density * total
    kept = mass >= _Z_MIN
    spread = half.square() * (weights * (x - shift[..., None]).square()).sum(-1) / total
    mean = middle + half * shift
    return torch.where(kept, mass, 0.0), torch.where(kept, mean, 0.0), torch.where(kept, spread, 0.0)


def _interval_wide(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """By differences of the normal CDF, taken in the negative tail."""
    flipped = low + high > 0
    near, far = torch.where(flipped, -low, high), torch.where(flipped, -high, low)
    mass = _normal_cdf(near) - _normal_cdf(far)
    kept = mass >= _Z_MIN
    safe = torch.where(kept, mass, 1.0)
    at_low, at_high = _density(low), _density(high)
    mean = (at_low - at_high) / safe
    second = 1 + (low * at_low - high * at_high) / safe
    spread = (second - mean * mean).clamp(0, 1)
    return torch.where(kept, mass, 0.0), torch.where(kept, mean, 0.0), torch.where(kept, spread, 0.0)


def _normal_cdf(x: Tensor) -> Tensor:
    """Phi(x) with full relative precision in the negative tail, which torch's ndtr lacks."""
    return 0.5 * torch.erfc(x * -sqrt(0.5))


def _density(x: Tensor) -> Tensor:
    return torch.exp(-0.5 * x.clamp(-40, 40).square()) / sqrt(2 * pi)
