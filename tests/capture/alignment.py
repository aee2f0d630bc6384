"""How far found cameras are from true ones, whatever the frame they were found in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PoseError:
    """Mean position error over the cameras' spread (RMS distance from their mean), and mean degrees."""

    position: float
    degrees: float


def pose_error(found: list[NDArray[np.float64]], true: list[NDArray[np.float64]]) -> PoseError:
    """Errors after the similarity that best maps found centres to true ones (Umeyama 1991).

    Args:
        found: camera-to-world [4, 4], OpenCV axes.
        true: the same cameras, in the same order.
    """
    a, b = np.stack(found)[:, :3, 3], np.stack(true)[:, :3, 3]
    a0, b0 = a - a.mean(axis=0), b - b.mean(axis=0)
    u, s, vt = np.linalg.svd(b0.T @ a0)
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ flip @ vt
    scale = (s * np.diag(flip)).sum() / (a0**2).sum()
    distance = np.linalg.norm(scale * a0 @ rotation.T - b0, axis=1)
    spread = np.sqrt((b0**2).sum(axis=1).mean())
    turns = [(rotation @ x[:3, :3]).T @ y[:3, :3] for x, y in zip(found, true, strict=True)]
    angles = [np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))) for turn in turns]
    return PoseError(float(distance.mean() / spread), float(np.mean(angles)))
