"""Between the browser's camera (viser) and ours.

viser states a pose as rotation ``wxyz`` and ``position`` in p_world = R p_camera + t, with the axes of
OpenCV (x right, y down, z forward), and the vertical field of view of a centred, square-pixel camera.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from splat.cameras import Camera


@dataclass(frozen=True)
class ClientPose:
    """A browser camera.

    Attributes:
        wxyz: unit quaternion, camera to world.
        position: camera centre, world frame.
        fov: vertical field of view, radians.
    """

    wxyz: tuple[float, float, float, float]
    position: tuple[float, float, float]
    fov: float


def camera_from_client(
    wxyz: Sequence[float], position: Sequence[float], fov: float, width: int, height: int
) -> Camera:
    """The camera of a browser that shows ``width`` x ``height`` pixels.

    Args:
        wxyz: quaternion, camera to world; normalised here.
        position: camera centre, world frame.
        fov: vertical field of view, radians.
        width: image width, pixels.
        height: image height, pixels.
    """
    rotation = _matrix(torch.as_tensor([float(v) for v in wxyz], dtype=torch.float64))
    center = torch.as_tensor([float(v) for v in position], dtype=torch.float64)
    world_to_camera = torch.eye(4, dtype=torch.float64)
    world_to_camera[:3, :3] = rotation.T
    world_to_camera[:3, 3] = -rotation.T @ center
    focal = 0.5 * height / math.tan(0.5 * fov)
    intrinsics = torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
    return Camera(world_to_camera.float(), intrinsics, width, height)


def client_from_camera(camera: Camera, aspect: float | None = None) -> ClientPose:
    """The browser camera that stands where ``camera`` stands and shows at least what it shows.

    Args:
        camera: any pinhole camera; an off-centre principal point is not reproduced.
        aspect: width / height of the browser's window; None: the camera's own.
    """
    to_world = camera.world_to_camera[:3, :3].detach().double().T
    (fx, fy), (cx, cy) = camera.focal, camera.principal_point
    half_width = max(cx, camera.width - cx) / fx
    half_height = max(cy, camera.height - cy) / fy
    if aspect is not None:
        half_height = max(half_height, half_width / aspect)
    x, y, z = camera.position.detach().double().tolist()
    return ClientPose(_quaternion(to_world), (x, y, z), 2 * math.atan(half_height))


def _matrix(wxyz: torch.Tensor) -> torch.Tensor:
    """[3, 3] rotation of a quaternion (w, x, y, z)."""
    w, x, y, z = (wxyz / wxyz.norm()).tolist()
    return torch.tensor(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ],
        dtype=torch.float64,
    )


def _quaternion(rotation: torch.Tensor) -> tuple[float, float, float, float]:
    """Unit quaternion (w, x, y, z), w >= 0: the largest eigenvector of Bar-Itzhack's K matrix."""
    r = rotation.tolist()
    k = torch.tensor(
        [
            [r[0][0] + r[1][1] + r[2][2], r[2][1] - r[1][2], r[0][2] - r[2][0], r[1][0] - r[0][1]],
            [r[2][1] - r[1][2], r[0][0] - r[1][1] - r[2][2], r[1][0] + r[0][1], r[2][0] + r[0][2]],
            [r[0][2] - r[2][0], r[1][0] + r[0][1], r[1][1] - r[0][0] - r[2][2], r[2][1] + r[1][2]],
            [r[1][0] - r[0][1], r[2][0] + r[0][2], r[2][1] + r[1][2], r[2][2] - r[0][0] - r[1][1]],
        ],
        dtype=torch.float64,
    )
    best = torch.linalg.eigh(k).eigenvectors[:, -1]
    w, x, y, z = (best if best[0] >= 0 else -best).tolist()
    return w, x, y, z
