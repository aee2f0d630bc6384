"""The moment closure: the member of the family with the moments of splat and pixel together."""

from __future__ import annotations

import torch

from splat.rasterize import profile
from splat.rasterize.filter_point import PointFootprint
from splat.rasterize.footprint import Ellipses
from splat.rasterize.settings import BOX_VARIANCE


def matched(ellipses: Ellipses) -> PointFootprint:
    """Splat convolved with the pixel's box, as one splat of equal mass, covariance and kurtosis.

    V = S + I/12 is the covariance; with G = V^-1, g = tr G, h = tr GG, Q = (g^2 + 2h) / 144 the
    whitened kurtosis is k' = k + (2 - k) (g/12 - Q/8) - (G11^2 + G22^2) / 480: k counts for the
    splat's share of V, 2 for the mixed terms, and the box's own kurtosis gives the rest.
    """
    covariance, determinant, ratio = ellipses.grown(BOX_VARIANCE)
    a, _, c = covariance.unbind(-1)
    first, second = c / determinant, a / determinant
    g = first + second
    q = (3 * g * g - 4 / determinant) / 144
    t = torch.ones_like(a) if ellipses.t is None else ellipses.t
    kurt = profile.kurtosis(t)
    kurt = kurt + (2 - kurt) * (g / 12 - q / 8) - (first * first + second * second) / 480
    closed = profile.from_kurtosis(kurt)
    mass = profile.relative_mass(t) / profile.relative_mass(closed)
    return PointFootprint(covariance, determinant, ellipses.opacity * mass * ratio, closed)
