"""Random draws shaped by each Gaussian's covariance."""

from __future__ import annotations

import torch
from torch import Tensor

from splat.gaussians import Gaussians


def rotation_matrices(quats: Tensor) -> Tensor:
    """[N, 3, 3] rotations of [N, 4] quaternions (w, x, y, z), normalised here."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=1).unbind(1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=1).view(-1, 3, 3)


def draws(gaussians: Gaussians, rows: Tensor, generator: torch.Generator) -> Tensor:
    """[M, 3] one draw from N(0, covariance) of each Gaussian in ``rows``."""
    scales = gaussians.log_scales.detach()[rows].exp()
    local = scales * torch.randn(rows.shape[0], 3, generator=generator)
    turn = rotation_matrices(gaussians.quats.detach()[rows])
    return (turn @ local[:, :, None]).squeeze(2)


def covariance_times_noise(gaussians: Gaussians, rows: Tensor, generator: torch.Generator) -> Tensor:
    """[M, 3] covariance @ standard normal vector for each Gaussian in ``rows``."""
    variances = (2 * gaussians.log_scales.detach()[rows]).exp()
    turn = rotation_matrices(gaussians.quats.detach()[rows])
    noise = torch.randn(rows.shape[0], 3, 1, generator=generator)
    return (turn @ (variances[:, :, None] * (turn.transpose(1, 2) @ noise))).squeeze(2)
