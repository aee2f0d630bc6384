"""The kernel family's curves against the Gamma function, and its raw shape."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from splat import native_core

pytestmark = pytest.mark.skipif(not native_core.available(), reason="the native core is not built")

LN2 = math.log(2.0)


def _exact(t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """log2 of the unit kernel's variance, log2 of the mass at variance 1 (over 2 pi), kurtosis."""
    g = torch.lgamma
    variance = t * LN2 + g(2 * t) - math.log(2.0) - g(t)
    mass = t * LN2 + g(1 + t) - math.log(2.0) - variance
    return variance / LN2, mass / LN2, torch.exp(g(3 * t) + g(t) - 2 * g(2 * t))


def _profile(t: Tensor) -> Tensor:
    out = torch.empty(len(t), 8, dtype=torch.float64)
    native_core.load().formulas.profile(t, out)
    return out


def test_curves_are_those_of_the_gamma_function() -> None:
    t = torch.linspace(0.2, 1.82, 2001, dtype=torch.float64)
    got = _profile(t)
    for column, want in zip((0, 2, 4), _exact(t), strict=True):
        torch.testing.assert_close(got[:, column], want, rtol=0, atol=2.5e-7)
    inside = t <= 1.75
    torch.testing.assert_close(got[inside, 6], t[inside], rtol=0, atol=5e-7)


def test_slopes_are_the_curves_own() -> None:
    t = torch.linspace(0.21, 1.74, 101, dtype=torch.float64)
    step = 1e-5
    difference = (_profile(t + step) - _profile(t - step)) / (2 * step)
    got = _profile(t)
    for column in (0, 2, 4):
        torch.testing.assert_close(got[:, column + 1], difference[:, column], rtol=1e-8, atol=1e-8)
    # the inverse is taken at kurt(t): its slope times kurt's is that of t -> t
    torch.testing.assert_close(got[:, 7] * got[:, 5], difference[:, 6], rtol=1e-8, atol=1e-8)
    for column, want in zip((1, 3, 5), _exact_slopes(t), strict=True):
        torch.testing.assert_close(got[:, column], want, rtol=0, atol=4e-5)


def _exact_slopes(t: Tensor) -> list[Tensor]:
    leaf = t.clone().requires_grad_()
    return [torch.autograd.grad(curve.sum(), leaf, retain_graph=True)[0] for curve in _exact(leaf)]


def test_the_gaussian_is_met_exactly() -> None:
    at_one = _profile(torch.ones(1, dtype=torch.float64))[0]
    assert at_one[0] == 0 and at_one[2] == 0 and at_one[4] == 2
    assert at_one[6] == pytest.approx(1, abs=1e-7)


def test_the_curves_are_moments_of_the_kernel() -> None:
    """By radial quadrature, without the Gamma function."""
    r = torch.linspace(0, 60, 300_001, dtype=torch.float64)
    for t in (0.25, 0.6, 1.0, 1.5):
        kernel = torch.exp(-0.5 * r ** (2 / t))
        mass = torch.trapezoid(kernel * r, r)
        second, fourth = (torch.trapezoid(kernel * r ** (k + 1), r) / mass for k in (2, 4))
        got = _profile(torch.tensor([t], dtype=torch.float64))[0]
        assert 2 ** got[0] == pytest.approx(float(second / 2), rel=1e-6)
        assert 2 ** got[2] == pytest.approx(float(mass / (second / 2)), rel=1e-6)
        assert got[4] == pytest.approx(float(fourth / second**2), rel=1e-6)


def test_raw_shape() -> None:
    formulas = native_core.load().formulas
    raw = torch.tensor([-1e30, -50.0, -3.0, math.log(0.8 / 6.0), 0.0, 2.0, 50.0, 1e30], dtype=torch.float64)
    out = torch.empty(len(raw), 2, dtype=torch.float64)
    formulas.shape(raw, out)
    leaf = raw.clone().requires_grad_()
    want = 2 / (1.2 + 6.8 * torch.sigmoid(leaf))
    torch.testing.assert_close(out[:, 0], want.detach(), rtol=1e-7, atol=0)
    assert out[3, 0] == pytest.approx(1, abs=1e-7)
    (slope,) = torch.autograd.grad(want.sum(), leaf)
    torch.testing.assert_close(out[:, 1], slope, rtol=1e-6, atol=1e-15)
    formulas.shape(torch.full((1,), math.nan, dtype=torch.float64), out[:1])
    assert out[0, 0].isnan()
