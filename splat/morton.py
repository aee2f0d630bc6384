"""Morton order: neighbours in space become neighbours in memory."""

from __future__ import annotations

import torch
from torch import Tensor

BITS = 16
"""Bits per axis."""
CENTRAL = 0.98
"""Share of the points, per axis, that the grid resolves; those beyond take its border."""


def morton_order(points: Tensor) -> Tensor:
    """[N] int64 rows of [N, 3] ``points`` along a Z-order curve; ties keep their order.

    A renderer meets the splats of an image tile from memory that lies together (Morton 1966; as in
    Faster-GS and LiteGS). The cells are cubes.
    """
    if points.shape[0] == 0:
        return torch.zeros(0, dtype=torch.int64, device=points.device)
    points = points.detach()
    tail = int((1 - CENTRAL) / 2 * (points.shape[0] - 1))
    ordered = points.sort(0).values
    low, high = ordered[tail], ordered[points.shape[0] - 1 - tail]
    size = (high - low).amax().clamp_min(torch.finfo(points.dtype).tiny)
    cells = ((points - low) * ((2**BITS - 1) / size)).clamp(0, 2**BITS - 1).to(torch.int64)
    key = _spread(cells[:, 0]) | _spread(cells[:, 1]) << 1 | _spread(cells[:, 2]) << 2
    return torch.argsort(key, stable=True)


def _spread(x: Tensor) -> Tensor:
    """Bits of 16-bit numbers with two zeros between neighbours."""
    x = (x | x << 16) & 0x0000FF0000FF
    x = (x | x << 8) & 0x00F00F00F00F
    x = (x | x << 4) & 0x0C30C30C30C3
    return (x | x << 2) & 0x249249249249
