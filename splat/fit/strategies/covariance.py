"""Random draws shaped by each Gaussian's covariance."""

from __future__ import annotations

import torch
from torch import Tensor

from splat.gaussians import Gaussians


def draws(gaussians: Gaussians, rows: Tensor, generator: torch.Generator) -> Tensor:
    """[M, 3] one draw from N(0, covariance) of each Gaussian in ``rows``."""
    scales = gaussians.log_scales.detach()[rows].exp()
    local = scales * torch.randn(rows.shape[0], 3, generator=generator)
    return rotated(gaussians.quats.detach()[rows], local)


def covariance_times_noise(gaussians: Gaussians, rows: Tensor, generator: torch.Generator) -> Tensor:
    """[M, 3] covariance @ standard normal vector for each Gaussian in ``rows``.

    As R S^2 R^T n, and R^T n for a normal n is normal again: one rotation is enough.
    """
    local = (2 * gaussians.log_scales.detach()[rows]).exp()
    local *= torch.randn(rows.shape[0], 3, generator=generator)
    return rotated(gaussians.quats.detach()[rows], local)


def rotated(quats: Tensor, vectors: Tensor) -> Tensor:
    """[N, 3] vectors turned by [N, 4] quaternions (w, u) of any length: v + 2 (w u x v + u x (u x v))."""
    unit = quats / torch.linalg.vector_norm(quats, dim=1, keepdim=True)
    axis = unit[:, 1:]
    side = torch.linalg.cross(axis, vectors)
    return vectors + 2 * (unit[:, :1] * side + torch.linalg.cross(axis, side))
