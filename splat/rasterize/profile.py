"""The radial profiles exp(-r^beta / 2) as functions of t = 2 / beta: moments, mass, kurtosis.

With G the gamma function and E[.] over the plane: mass 2 pi 2^t G(1 + t) / 2, variance per axis
m2 = 2^t G(2t) / (2 G(t)), kurtosis E[r^4] / E[r^2]^2 = G(3t) G(t) / G(2t)^2. All are smooth and
monotone over the range used here; t = 1 is the Gaussian.
"""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

from splat.rasterize.settings import Q_MIN

T_MIN, T_MAX = 0.2, 1.75
"""Range of t; scenes have 2/8 to 2/1.2, the pixel's box alone about 0.22."""
_EXPONENT_MAX = 7.0
"""Upper bound of ln q^(beta/2): exp(-exp(7) / 2) is 0, and so is its gradient."""


def variance(t: Tensor) -> Tensor:
    """m2(t): variance per axis of the bare profile; 1 at t = 1."""
    return 0.5 * torch.exp(t * log(2) + torch.lgamma(2 * t) - torch.lgamma(t))


def relative_mass(t: Tensor) -> Tensor:
    """rho(t): mass / (2 pi) of the profile scaled to variance 1; 1 at t = 1."""
    return t * torch.exp(2 * torch.lgamma(t) - torch.lgamma(2 * t))


def kurtosis(t: Tensor) -> Tensor:
    """E[r^4] / E[r^2]^2; 2 at t = 1, 4/3 (a disc) towards t = 0."""
    return torch.exp(torch.lgamma(3 * t) + torch.lgamma(t) - 2 * torch.lgamma(2 * t))


def kurtosis_slope(t: Tensor) -> Tensor:
    """Derivative of ``kurtosis``."""
    log_slope = 3 * torch.digamma(3 * t) + torch.digamma(t) - 4 * torch.digamma(2 * t)
    return kurtosis(t) * log_slope


def from_kurtosis(kurt: Tensor) -> Tensor:
    """t of that kurtosis, clamped to [T_MIN, T_MAX] (no gradient beyond).

    Bisection and Newton without a graph, then one Newton step in which only ``kurt`` has one: by
    the implicit function theorem its gradient is that of the inverse.
    """
    with torch.no_grad():
        low, high = torch.full_like(kurt, T_MIN), torch.full_like(kurt, T_MAX)
        for _ in range(6):
            middle = 0.5 * (low + high)
            below = kurtosis(middle) < kurt
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        t = 0.5 * (low + high)
        for _ in range(4):
            t = (t - (kurtosis(t) - kurt) / kurtosis_slope(t)).clamp(T_MIN, T_MAX)
        value, slope = kurtosis(t), kurtosis_slope(t)
    return (t + (kurt - value) / slope).clamp(T_MIN, T_MAX)


def profile(q: Tensor, beta: Tensor) -> Tensor:
    """exp(-q^(beta/2) / 2), q >= 0; q is taken as at least ``Q_MIN``, where beta < 2 has no slope."""
    exponent = (0.5 * beta * q.clamp(min=Q_MIN).log()).clamp(max=_EXPONENT_MAX)
    return torch.exp(-0.5 * exponent.exp())
