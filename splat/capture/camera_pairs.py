"""Which photos are likely to show the same thing, from their cameras."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splat.capture.normalise import camera_centres

NEIGHBOURS = 40
_WIDEST = float(np.cos(np.radians(60.0)))


def nearby_pairs(world_to_camera: NDArray[np.float64], most: int = NEIGHBOURS) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, sorted: each camera with its ``most`` nearest that look its way.

    Args:
        world_to_camera: [M, 4, 4], rigid.
        most: neighbours of one camera; only those whose optical axis is within 60 degrees of its own
            are counted.
    """
    centres, axes = camera_centres(world_to_camera), world_to_camera[:, 2, :3]
    pairs: set[tuple[int, int]] = set()
    for i in range(len(centres)):
        alike = np.flatnonzero(axes @ axes[i] > _WIDEST)
        distance = np.linalg.norm(centres[alike] - centres[i], axis=1)
        near = [int(j) for j in alike[np.argsort(distance, kind="stable")] if j != i][:most]
        pairs |= {(min(i, j), max(i, j)) for j in near}
    return sorted(pairs)
