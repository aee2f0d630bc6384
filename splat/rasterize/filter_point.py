"""Filters that sample a (grown) splat at the pixel's centre: "none", "mip", and parts of others."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from splat.rasterize import profile
from splat.rasterize.footprint import Ellipses, Footprint, gaussian_extent
from splat.rasterize.settings import ALPHA_MIN


@dataclass(frozen=True)
class PointFootprint(Footprint):
    """o exp(-(m2 d^T S^-1 d)^(beta/2) / 2) at the pixel's centre.

    Attributes:
        covariance: [M, 3] (a, b, c) of S, px^2.
        determinant: [M] a c - b^2.
        opacity: [M] peak opacity.
        t: [M] 2 / beta, or None for Gaussians.
    """

    covariance: Tensor
    determinant: Tensor
    opacity: Tensor
    t: Tensor | None

    def alphas(self, offsets: Tensor) -> Tensor:
        """d^T S^-1 d is taken as dx^2 / a + (dy - b/a dx)^2 a / det, which does not cancel."""
        dx, dy = offsets.unbind(-1)
        a, b, _ = self.covariance.unbind(-1)
        q = dx.square() / a + (dy - b / a * dx).square() * (a / self.determinant)
        if self.t is None:
            return self.opacity * torch.exp(-0.5 * q)
        return self.opacity * profile.profile(profile.variance(self.t) * q, 2 / self.t)

    @property
    def peak(self) -> Tensor:
        """The opacity."""
        return self.opacity.detach()

    @property
    def half_extent(self) -> Tensor:
        """The ellipse m2 q <= (2 ln(255 o))^t, exactly."""
        if self.t is None:
            return gaussian_extent(self.opacity, self.covariance)
        t = self.t.detach()
        tau = (2 * torch.log(self.peak / ALPHA_MIN)).clamp(min=0) ** t / profile.variance(t)
        return (tau[:, None] * self.covariance.detach()[:, [0, 2]]).sqrt()

    @property
    def proper(self) -> Tensor:
        """The determinant is positive and finite."""
        return (self.determinant > 0) & self.determinant.isfinite()


def dilated(ellipses: Ellipses, variance: float) -> PointFootprint:
    """S + variance I, opacity as it was (3D Gaussian Splatting)."""
    covariance, determinant, _ = ellipses.grown(variance)
    return PointFootprint(covariance, determinant, ellipses.opacity, ellipses.t)


def spread(ellipses: Ellipses, variance: float) -> PointFootprint:
    """S + variance I with the splat's mass kept: opacity times sqrt(det S / det S') (Mip-Splatting)."""
    covariance, determinant, ratio = ellipses.grown(variance)
    return PointFootprint(covariance, determinant, ellipses.opacity * ratio, ellipses.t)
