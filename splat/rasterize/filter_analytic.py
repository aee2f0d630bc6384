"""Analytic-Splatting (Liang et al. 2024): the integral over the pixel turned into the splat's axes."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt

import torch
from torch import Tensor

from splat.rasterize.footprint import Ellipses, Footprint, gaussian_extent

_SATURATED = 9.0
"""The logistic is 0 or 1 beyond this."""
_ROUND = 1e-6
"""Lower bound of (radius / centre)^2 of Mohr's circle in the gradient of the axes' direction."""
_SMALLEST = 1e-12
"""Lower bound of the variances, px^2."""


@dataclass(frozen=True)
class AnalyticFootprint(Footprint):
    """o 2 pi s1 s2 [F((u + 1/2) / s1) - F((u - 1/2) / s1)] [the same of v, s2], F the logistic.

    Attributes:
        covariance: [M, 3] (a, b, c) of S, px^2; for the bound.
        sigmas: [M, 2] standard deviations along the axes, the larger first, px.
        axis: [M, 2] unit vector of the first axis.
        opacity: [M] peak opacity.
    """

    covariance: Tensor
    sigmas: Tensor
    axis: Tensor
    opacity: Tensor

    def alphas(self, offsets: Tensor) -> Tensor:
        """The published formula; offsets along the axes are u and v."""
        x, y = self.axis.unbind(-1)
        dx, dy = offsets.unbind(-1)
        along = torch.stack([x * dx + y * dy, x * dy - y * dx], -1)
        windows = window((along - 0.5) / self.sigmas, (along + 0.5) / self.sigmas)
        return 2 * pi * self.opacity * (self.sigmas * windows).prod(-1)

    @property
    def peak(self) -> Tensor:
        """At most the opacity, and at most the splat's mass."""
        return capped_mass(self.opacity.detach(), self.sigmas.detach().prod(-1))

    @property
    def half_extent(self) -> Tensor:
        """The turned pixel reaches half a diagonal."""
        return gaussian_extent(self.opacity, self.covariance) + sqrt(0.5)

    @property
    def proper(self) -> Tensor:
        """The standard deviations are finite."""
        return self.sigmas.isfinite().all(-1)


def analytic(ellipses: Ellipses) -> AnalyticFootprint:
    """Axes and standard deviations; a round splat has the axes (1, 0), (0, 1) and finite gradients."""
    a, b, c = ellipses.covariance.unbind(-1)
    center, p = 0.5 * (a + c), 0.5 * (a - c)
    smallest = _ROUND * center.detach().square()
    radius = (p * p + b * b).clamp(min=1e-30).maximum(1e-12 * smallest).sqrt()
    larger = (center + radius).clamp(min=_SMALLEST)
    smaller = (ellipses.determinant / larger).clamp(min=_SMALLEST)
    # The value of 1/2 atan2(b, p), and its gradient with a bound at the round splat.
    p0, b0 = p.detach(), b.detach()
    turn = (p0 * (b - b0) - b0 * (p - p0)) / (p0 * p0 + b0 * b0).maximum(smallest).clamp(min=1e-30)
    angle = 0.5 * (torch.atan2(b0, p0) + turn)
    axis = torch.stack([angle.cos(), angle.sin()], -1)
    sigmas = torch.stack([larger, smaller], -1).sqrt()
    return AnalyticFootprint(ellipses.covariance, sigmas, axis, ellipses.opacity)


def window(low: Tensor, high: Tensor) -> Tensor:
    """F(high) - F(low), F(x) = 1 / (1 + exp(-(1.6 x + 0.07 x^3))), without cancellation."""
    low, high = low.clamp(-_SATURATED, _SATURATED), high.clamp(-_SATURATED, _SATURATED)
    rise = (high - low) * (1.6 + 0.07 * (high * high + high * low + low * low))
    return _exponent(high).sigmoid() * (-_exponent(low)).sigmoid() * -torch.expm1(-rise)


def _exponent(x: Tensor) -> Tensor:
    return x * (1.6 + 0.07 * x * x)


def capped_mass(opacity: Tensor, root: Tensor) -> Tensor:
    """o min(1, 2 pi sqrt(det S)): no pixel can hold more; ``root`` is sqrt(det S)."""
    return opacity * (2 * pi * root).clamp(max=1)
