from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

from splat.sh import eval_sh, rgb_to_sh, sh_basis, sh_to_rgb


def unit_vectors(count: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(count, 3, dtype=torch.float64), dim=-1)


def test_basis_equals_scipy_real_harmonics() -> None:
    directions = unit_vectors(50)
    x, y, z = directions.numpy().T
    theta, phi = np.arccos(z), np.arctan2(y, x)
    expected = []
    for degree in range(4):
        for m in range(-degree, degree + 1):
            value = sph_harm_y(degree, abs(m), theta, phi)
            part = value.imag if m < 0 else value.real
            expected.append(part * (1 if m == 0 else np.sqrt(2)))
    assert np.allclose(sh_basis(3, directions).numpy(), np.stack(expected, -1), atol=1e-13)


def test_basis_is_orthonormal() -> None:
    nodes, weights = np.polynomial.legendre.leggauss(8)
    phi = np.arange(16) * np.pi / 8
    r = np.sqrt(1 - nodes**2)[:, None]
    points = np.stack([r * np.cos(phi), r * np.sin(phi), nodes[:, None] + 0 * phi], -1)
    basis = sh_basis(3, torch.from_numpy(points)).numpy()
    gram = np.einsum("i,ijk,ijl->kl", weights * np.pi / 8, basis, basis)
    assert np.allclose(gram, np.eye(16), atol=1e-12)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_eval_uses_only_the_coefficients_of_the_degree(degree: int) -> None:
    directions, sh = unit_vectors(7), torch.randn(7, 16, 3, dtype=torch.float64)
    count = (degree + 1) ** 2
    expected = torch.einsum("nk,nkc->nc", sh_basis(3, directions)[:, :count], sh[:, :count])
    assert torch.allclose(eval_sh(degree, sh, directions), expected, atol=1e-14)
    assert torch.allclose(eval_sh(degree, sh[:, :count], directions), expected, atol=1e-14)


def test_rgb_round_trip_and_constant() -> None:
    rgb = torch.rand(5, 3, dtype=torch.float64)
    assert torch.allclose(sh_to_rgb(rgb_to_sh(rgb)), rgb, atol=1e-15)
    assert torch.allclose(0.5 + eval_sh(0, rgb_to_sh(rgb)[:, None], unit_vectors(5)), rgb, atol=1e-15)
    assert rgb_to_sh(torch.tensor(1.0)).item() == pytest.approx(0.5 / 0.28209479177387814)


def test_impossible_degrees_are_refused() -> None:
    with pytest.raises(ValueError, match="degree"):
        sh_basis(4, unit_vectors(1))
    with pytest.raises(ValueError, match="needs 9"):
        eval_sh(2, torch.zeros(1, 4, 3, dtype=torch.float64), unit_vectors(1))


def test_gradient() -> None:
    sh = torch.randn(3, 16, 3, dtype=torch.float64, requires_grad=True)
    directions = unit_vectors(3).requires_grad_()
    assert torch.autograd.gradcheck(lambda s, d: eval_sh(3, s, d), (sh, directions))
