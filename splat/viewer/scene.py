"""What is on show: the scene as it was last handed over, and the views that are known of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from splat.cameras import Camera
from splat.gaussians import Gaussians
from splat.viewer.frames import Image

RGB = tuple[float, float, float]


def _no_photo() -> Image | None:
    return None


@dataclass(frozen=True)
class KnownView:
    """A camera of the capture.

    Attributes:
        name: the photo's name.
        camera: in the world of the scene on show.
        held_out: True if training did not see it.
        photo: decodes the photo as [H, W, 3] uint8, of any size; None if there is none.
    """

    name: str
    camera: Camera
    held_out: bool = False
    photo: Callable[[], Image | None] = _no_photo

    @property
    def label(self) -> str:
        """The name, and whether it was held out."""
        return f"{self.name} (held out)" if self.held_out else self.name


class LatestScene:
    """The newest scene. One thread hands scenes over, others look; nothing on show ever changes.

    A scene that is handed over with ``copy`` is cloned under the caller's thread, so whoever trains
    it may go on changing its own tensors.

    Attributes:
        near: splats closer to a camera than this are not drawn, world units.
        background: RGB 0 to 1 behind the scene, until a person chooses another.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gaussians: Gaussians | None = None
        self._version = 0
        self.near = 0.01
        self.background: RGB = (0.0, 0.0, 0.0)

    def put(self, gaussians: Gaussians, copy: bool) -> None:
        """Show this scene from now on."""
        shown = snapshot(gaussians) if copy else gaussians.detached()
        with self._lock:
            self._gaussians = shown
            self._version += 1

    def get(self) -> tuple[Gaussians | None, int]:
        """The scene, or None before the first, and how many there have been."""
        with self._lock:
            return self._gaussians, self._version


def snapshot(gaussians: Gaussians) -> Gaussians:
    """A copy that shares no memory with ``gaussians``."""
    copies: dict[str, Any] = {name: value.detach().clone() for name, value in gaussians.parameters().items()}
    return replace(gaussians, **copies)


def overview(gaussians: Gaussians, width: int = 1280, height: int = 720) -> Camera:
    """A camera that sees nearly all of a scene, looking along +z with y down."""
    center, reach = middle(gaussians)
    pose = torch.eye(4)
    pose[:3, 3] = -(center - torch.tensor([0.0, 0.0, 2.2 * reach]))
    focal = 1.2 * height
    intrinsics = torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
    return Camera(pose, intrinsics, width, height)


def middle(gaussians: Gaussians) -> tuple[torch.Tensor, float]:
    """[3] centre and half diagonal of the box that holds all but 2 % of the centres at each side."""
    means = gaussians.means.detach().float()
    means = means[torch.isfinite(means).all(dim=1)]
    if len(means) == 0:
        return torch.zeros(3), 1.0
    means = means[:: max(len(means) // 100_000, 1)].cpu()
    low, high = means.quantile(torch.tensor([0.02, 0.98]), dim=0)
    return (low + high) / 2, max(0.5 * float((high - low).norm()), 1e-3)


def guessed_near(gaussians: Gaussians) -> float:
    """A near limit for a scene of unknown units: a small part of its reach."""
    return 0.003 * middle(gaussians)[1]


def common_up(cameras: Sequence[Camera]) -> tuple[float, float, float]:
    """Unit direction, world frame, that is up in most pictures; -y where they disagree altogether."""
    ups = torch.stack([-camera.world_to_camera[1, :3].detach().double() for camera in cameras])
    mean = ups.mean(0)
    length = float(mean.norm())
    if length < 1e-3:
        return 0.0, -1.0, 0.0
    x, y, z = (mean / length).tolist()
    return x, y, z


def turning_distance(camera: Camera, views: Sequence[KnownView], gaussians: Gaussians | None) -> float:
    """How far ahead of ``camera`` the point lies about which the browser should turn."""
    if gaussians is not None and len(gaussians) > 0:
        center, reach = middle(gaussians)
    elif views:
        centers = torch.stack([view.camera.position.detach().float() for view in views])
        center = centers.mean(dim=0)
        reach = float((centers - center).norm(dim=1).max())
    else:
        return 1.0
    ahead = float(
        camera.world_to_camera[2, :3].detach().float() @ (center - camera.position.detach().float())
    )
    return max(ahead, 0.1 * reach, 1e-3)
