"""The radial profiles' moments against quadrature, and the inverse of the kurtosis."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from splat.rasterize import profile

RANGE = torch.linspace(profile.T_MIN + 1e-3, profile.T_MAX - 1e-3, 40, dtype=torch.float64)


def radial(power: int, beta: float) -> float:
    """Integral of r^power exp(-r^beta / 2) over r > 0."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    end = 80 ** (1 / beta)
    r = (nodes + 1) / 2 * end
    return float((weights / 2 * end * r**power * np.exp(-0.5 * r**beta)).sum())


@pytest.mark.parametrize("beta", [1.2, 1.5, 2.0, 3.0, 5.0, 8.0])
def test_moments(beta: float) -> None:
    t = torch.tensor(2 / beta, dtype=torch.float64)
    mass, second, fourth = (radial(n, beta) for n in (1, 3, 5))
    m2 = second / mass / 2
    assert profile.variance(t).item() == pytest.approx(m2, rel=1e-10)
    assert profile.relative_mass(t).item() == pytest.approx(mass / m2, rel=1e-10)
    assert profile.kurtosis(t).item() == pytest.approx(fourth * mass / second**2, rel=1e-10)


def test_gaussian() -> None:
    one = torch.ones((), dtype=torch.float64)
    assert profile.variance(one).item() == pytest.approx(1, abs=1e-15)
    assert profile.relative_mass(one).item() == pytest.approx(1, abs=1e-15)
    assert profile.kurtosis(one).item() == pytest.approx(2, abs=1e-14)
    q = torch.linspace(0, 30, 50, dtype=torch.float64)
    assert torch.allclose(profile.profile(q, 2 * one), torch.exp(-q / 2), atol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 4e-6)])
def test_inverse_of_the_kurtosis(dtype: torch.dtype, tolerance: float) -> None:
    t = RANGE.to(dtype)
    assert (profile.from_kurtosis(profile.kurtosis(t)) - t).abs().max() < tolerance


def test_inverse_beyond_its_range_is_clamped_without_gradient() -> None:
    kurt = torch.tensor([0.0, 1.3, 3.0, 100.0], dtype=torch.float64, requires_grad=True)
    t = profile.from_kurtosis(kurt)
    assert t.tolist() == [profile.T_MIN, profile.T_MIN, profile.T_MAX, profile.T_MAX]
    assert torch.autograd.grad(t.sum(), kurt)[0].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("name", ["variance", "relative_mass", "kurtosis", "kurtosis_slope"])
def test_gradients(name: str) -> None:
    assert torch.autograd.gradcheck(getattr(profile, name), RANGE.clone().requires_grad_())


def test_gradient_of_the_inverse() -> None:
    kurt = profile.kurtosis(RANGE).requires_grad_()
    assert torch.autograd.gradcheck(profile.from_kurtosis, kurt)
    (slope,) = torch.autograd.grad(profile.from_kurtosis(kurt).sum(), kurt)
    assert torch.allclose(slope * profile.kurtosis_slope(RANGE), torch.ones_like(RANGE))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("beta", [1.2, 2.0, 8.0])
def test_profile_is_finite_everywhere(beta: float, dtype: torch.dtype) -> None:
    q = torch.tensor([0, 1e-30, 1e-12, 1e-6, 1, 1e6, 1e12, 1e30], dtype=dtype).requires_grad_()
    exponent = torch.full_like(q, beta).requires_grad_()
    value = profile.profile(q, exponent)
    assert value[0].item() == pytest.approx(1, abs=1e-6) and value[-1].item() < 1e-200
    for gradient in torch.autograd.grad(value.sum(), (q, exponent)):
        assert gradient.isfinite().all()


def test_profile_gradients() -> None:
    q = torch.linspace(0.01, 12, 30, dtype=torch.float64).requires_grad_()
    for beta in (1.2, 1.9, 3.0, 8.0):
        exponent = torch.full_like(q, beta).detach().requires_grad_()
        assert torch.autograd.gradcheck(profile.profile, (q, exponent))
