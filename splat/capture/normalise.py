"""The normalised world: camera centres about the origin, the furthest at distance 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def normalising_transform(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """[4, 4] similarity without rotation that brings camera centres [M, 3] into the unit ball.

    The mean of the centres goes to 0 and the largest distance from it becomes 1; where all centres
    are the same point, the scale stays.
    """
    middle = centres.mean(axis=0)
    radius = float(np.linalg.norm(centres - middle, axis=1).max())
    scale = 1.0 / radius if radius > 1e-12 else 1.0
    transform = np.diag([scale, scale, scale, 1.0])
    transform[:3, 3] = -scale * middle
    return transform


def scene_extent(centres: NDArray[np.float64]) -> float:
    """Largest distance of a camera centre from their mean, times 1.1 (3DGS's ``cameras_extent``)."""
    distances = np.linalg.norm(centres - centres.mean(axis=0), axis=1)
    return 1.1 * float(distances.max())


def camera_centres(world_to_camera: NDArray[np.float64]) -> NDArray[np.float64]:
    """[M, 3] centres, -R^T t, of [M, 4, 4] rigid transforms."""
    return -np.einsum("mji,mj->mi", world_to_camera[:, :3, :3], world_to_camera[:, :3, 3])


def in_normalised_world(
    world_to_camera: NDArray[np.float64], transform: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The rigid [4, 4] camera in the new world (its rotation is the same).

    With n = s x + t, the camera's p = R x + c becomes s p = R n + (s c - R t).
    """
    moved = world_to_camera.copy()
    scale, shift = transform[0, 0], transform[:3, 3]
    moved[:3, 3] = scale * world_to_camera[:3, 3] - world_to_camera[:3, :3] @ shift
    return moved
