"""Random draws shaped by each Gaussian's covariance."""

from __future__ import annotations

import torch
from torch import Tensor

from splat.gaussians import Gaussians


def seeded(seed: int, device: torch.device) -> torch.Generator:
    """A generator on ``device``: millions of numbers a step are not to come from the processor."""
    return torch.Generator(device).manual_seed(seed)


def restore(generator: torch.Generator, state: Tensor) -> None:
    """Take up a state of ``get_state``; one from another kind of device means nothing here and is left."""
    if state.shape == generator.get_state().shape:
        generator.set_state(state.cpu())


def chosen(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """[count] int64 row numbers drawn with replacement in proportion to ``weights`` [N]."""
    if weights.device.type == "cpu":
        return torch.multinomial(weights, count, replacement=True, generator=generator)
    return chosen_exactly(weights, count, generator)


def chosen_exactly(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """As ``chosen``, for any N, and with the same bits each time on a GPU.

    There, sums of floats along a tensor depend on how the threads were scheduled, so the weights are
    turned into whole numbers first.
    """
    whole = (weights.double() * (2**30 / weights.amax().double().clamp_min(1e-300))).to(torch.int64)
    ends = whole.cumsum(0)
    place = torch.rand(count, dtype=torch.float64, device=weights.device, generator=generator)
    row = torch.searchsorted(ends, (place * ends[-1]).to(torch.int64), right=True)
    return row.clamp_max(weights.shape[0] - 1)


def normal(count: int, like: Tensor, generator: torch.Generator) -> Tensor:
    """[count, 3] standard normal numbers in the type and on the device of ``like``."""
    return torch.randn(count, 3, dtype=like.dtype, device=like.device, generator=generator)


def draws(gaussians: Gaussians, rows: Tensor, generator: torch.Generator) -> Tensor:
    """[M, 3] one draw from N(0, covariance) of each Gaussian in ``rows``."""
    scales = gaussians.log_scales.detach()[rows].exp()
    local = scales * normal(rows.shape[0], scales, generator)
    return rotated(gaussians.quats.detach()[rows], local)


def covariance_times_noise(gaussians: Gaussians, rows: Tensor | None, generator: torch.Generator) -> Tensor:
    """[M, 3] covariance @ standard normal vector for each Gaussian in ``rows`` (None: for all).

    As R S^2 R^T n, and R^T n for a normal n is normal again: one rotation is enough.
    """
    log_scales, quats = gaussians.log_scales.detach(), gaussians.quats.detach()
    if rows is not None:
        log_scales, quats = log_scales[rows], quats[rows]
    local = (2 * log_scales).exp()
    local *= normal(local.shape[0], local, generator)
    return rotated(quats, local)


def rotated(quats: Tensor, vectors: Tensor) -> Tensor:
    """[N, 3] vectors turned by [N, 4] quaternions (w, u) of any length: v + 2 (w u x v + u x (u x v))."""
    unit = quats / torch.linalg.vector_norm(quats, dim=1, keepdim=True)
    axis = unit[:, 1:]
    side = torch.linalg.cross(axis, vectors)
    return vectors + 2 * (unit[:, :1] * side + torch.linalg.cross(axis, side))
