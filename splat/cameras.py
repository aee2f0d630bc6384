"""Pinhole cameras in the OpenCV frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True)
class Camera:
    """One pinhole camera: x right, y down, z forward; pixel centres at +0.5.

    Attributes:
        world_to_camera: [4, 4] rigid transform; may require grad.
        intrinsics: [3, 3] pixels, [[fx, 0, cx], [0, fy, cy], [0, 0, 1]].
        width: image width in pixels.
        height: image height in pixels.
    """

    world_to_camera: Tensor
    intrinsics: Tensor
    width: int
    height: int

    @property
    def position(self) -> Tensor:
        """[3] camera centre in the world frame, -R^T t."""
        return -self.world_to_camera[:3, :3].T @ self.world_to_camera[:3, 3]

    @property
    def focal(self) -> tuple[float, float]:
        """(fx, fy) in pixels."""
        return float(self.intrinsics[0, 0]), float(self.intrinsics[1, 1])

    @property
    def principal_point(self) -> tuple[float, float]:
        """(cx, cy) in pixels, measured from the top-left corner of the image."""
        return float(self.intrinsics[0, 2]), float(self.intrinsics[1, 2])

    def resized(self, width: int, height: int) -> Camera:
        """The same camera looking through an image of another size."""
        factors = self.intrinsics.new_tensor([width / self.width, height / self.height, 1.0])
        return replace(self, intrinsics=self.intrinsics * factors[:, None], width=width, height=height)
