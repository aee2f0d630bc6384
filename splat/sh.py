"""Real spherical harmonics in the convention of 3D Gaussian Splatting, degree 0 to 3."""

from __future__ import annotations

from math import pi, sqrt

import torch
from torch import Tensor

MAX_DEGREE = 3
C0 = sqrt(1 / (4 * pi))
"""The constant basis function; a colour's degree-0 coefficient is (rgb - 0.5) / C0."""


def sh_basis(degree: int, directions: Tensor) -> Tensor:
    """The basis functions at unit directions.

    Order (l, m) with m from -l to l; the Condon-Shortley phase (-1)^m is kept, so that degree 1 is
    proportional to (-y, z, -x), as in the files that 3D Gaussian Splatting programs exchange.

    Args:
        degree: 0 to 3.
        directions: [..., 3] unit vectors.

    Returns:
        [..., (degree + 1)^2].
    """
    if not 0 <= degree <= MAX_DEGREE:
        raise ValueError(f"spherical-harmonics degree is 0 to {MAX_DEGREE}, not {degree}")
    x, y, z = directions.unbind(-1)
    basis = [torch.full_like(x, C0)]
    if degree >= 1:
        c = sqrt(3 / (4 * pi))
        basis += [-c * y, c * z, -c * x]
    if degree >= 2:
        basis += _degree_2(x, y, z)
    if degree >= 3:
        basis += _degree_3(x, y, z)
    return torch.stack(basis, -1)


def _degree_2(x: Tensor, y: Tensor, z: Tensor) -> list[Tensor]:
    c1, c0, c2 = sqrt(15 / (4 * pi)), sqrt(5 / (16 * pi)), sqrt(15 / (16 * pi))
    return [
        c1 * x * y,
        -c1 * y * z,
        c0 * (2 * z * z - x * x - y * y),
        -c1 * x * z,
        c2 * (x * x - y * y),
    ]


def _degree_3(x: Tensor, y: Tensor, z: Tensor) -> list[Tensor]:
    c3, c2, c1 = sqrt(35 / (32 * pi)), sqrt(105 / (4 * pi)), sqrt(21 / (32 * pi))
    c0, d2 = sqrt(7 / (16 * pi)), sqrt(105 / (16 * pi))
    xx, yy, zz = x * x, y * y, z * z
    return [
        -c3 * y * (3 * xx - yy),
        c2 * x * y * z,
        -c1 * y * (4 * zz - xx - yy),
        c0 * z * (2 * zz - 3 * xx - 3 * yy),
        -c1 * x * (4 * zz - xx - yy),
        d2 * z * (xx - yy),
        -c3 * x * (xx - 3 * yy),
    ]


def eval_sh(degree: int, sh: Tensor, directions: Tensor) -> Tensor:
    """Sum of basis times coefficients: a colour without the 0.5 offset and without the clamp at 0.

    Args:
        degree: highest degree used; coefficients of higher degrees are ignored.
        sh: [N, K, 3] coefficients, K >= (degree + 1)^2.
        directions: [N, 3] unit vectors, from the camera to the splat.

    Returns:
        [N, 3].
    """
    basis = sh_basis(degree, directions)
    count = basis.shape[-1]
    if sh.shape[-2] < count:
        raise ValueError(f"degree {degree} needs {count} coefficients, the scene has {sh.shape[-2]}")
    return (basis[..., None] * sh[..., :count, :]).sum(-2)


def rgb_to_sh(rgb: Tensor) -> Tensor:
    """Degree-0 coefficient of a colour in [0, 1]."""
    return (rgb - 0.5) / C0


def sh_to_rgb(dc: Tensor) -> Tensor:
    """Colour of a degree-0 coefficient, not clamped."""
    return dc * C0 + 0.5
