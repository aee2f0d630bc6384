"""Where the photographer stands: two rounds of the table at two heights, by a hand that is not steady."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datasets.sample.render import PinholeCamera

FOCAL_35MM = 28
FILM_DIAGONAL_MM = 43.2666


class _Round(NamedTuple):
    """Share of the photos, height and distance in metres, height looked at, angle of the first photo."""

    share: float
    level: float
    distance: float
    aim: float
    start: float


_ROUNDS = (_Round(0.53, 1.26, 1.78, 0.79, -1.7), _Round(0.47, 1.76, 1.66, 0.8, -1.55))
_PACE = 0.09


def walk(count: int, width: int, height: int, seed: int = 0) -> list[PinholeCamera]:
    """``count`` cameras in the order of the walk, in the scene's world (metres, z up).

    Args:
        count: photos, at least 2.
        width: pixels.
        height: pixels.
        seed: of the steps and of the hand.
    """
    rng = np.random.default_rng([seed, 6])
    first = max(1, round(_ROUNDS[0].share * count))
    cameras: list[PinholeCamera] = []
    for photos, way in zip((first, count - first), _ROUNDS, strict=True):
        for index in range(photos):
            angle = way.start + 2 * np.pi * (index + rng.uniform(-0.12, 0.12)) / photos
            reach = way.distance * (1 + 0.1 * np.cos(angle) ** 2) + _PACE * rng.uniform(-1, 1)
            level = way.level + 0.06 * rng.standard_normal()
            eye = np.array([reach * np.cos(angle), reach * np.sin(angle), level])
            target = rng.standard_normal(3) * (0.06, 0.06, 0.03) + (0.0, 0.0, way.aim)
            pose = look(eye, target, np.radians(1.4 * rng.standard_normal()))
            cameras.append(PinholeCamera(pose, intrinsics(width, height), width, height))
    return cameras


def intrinsics(width: int, height: int) -> NDArray[np.float64]:
    """[3, 3] of the camera whose EXIF says :data:`FOCAL_35MM`: same diagonal angle of view (CIPA DCG-001)."""
    focal = FOCAL_35MM * np.hypot(width, height) / FILM_DIAGONAL_MM
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])


def look(eye: NDArray[np.float64], target: NDArray[np.float64], roll: float = 0.0) -> NDArray[np.float64]:
    """[4, 4] world to camera (OpenCV) of a camera at ``eye`` looking at ``target``, rolled by radians."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([c * right + s * down, c * down - s * right, forward])
    pose[:3, 3] = -pose[:3, :3] @ eye
    return pose
