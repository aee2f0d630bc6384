"""Camera models with distortion, under COLMAP's names and parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pycolmap

# Parameters that measure pixels (focal lengths and principal point) come first; the rest are
# distortion coefficients, which do not change when the image is resized.
_PIXEL_PARAMETERS = {
    "SIMPLE_PINHOLE": 3,
    "SIMPLE_RADIAL": 3,
    "RADIAL": 3,
    "SIMPLE_RADIAL_FISHEYE": 3,
    "RADIAL_FISHEYE": 3,
    "SIMPLE_DIVISION": 3,
    "SIMPLE_FISHEYE": 3,
}
_UNDISTORTED = ("SIMPLE_PINHOLE", "PINHOLE")


@dataclass(frozen=True)
class Lens:
    """Intrinsics of a photo as it was taken.

    Pixel coordinates have the centre of the top-left pixel at (0.5, 0.5).

    Attributes:
        model: COLMAP's name of the camera model.
        width: photo width in pixels.
        height: photo height in pixels.
        params: in COLMAP's order; focal length(s), cx, cy, then distortion coefficients.
    """

    model: str
    width: int
    height: int
    params: tuple[float, ...]

    @property
    def _single_focal(self) -> bool:
        return _PIXEL_PARAMETERS.get(self.model, 4) == 3

    @property
    def focal(self) -> tuple[float, float]:
        """(fx, fy) in pixels."""
        return (self.params[0], self.params[0]) if self._single_focal else (self.params[0], self.params[1])

    @property
    def principal_point(self) -> tuple[float, float]:
        """(cx, cy) in pixels."""
        first = 1 if self._single_focal else 2
        return self.params[first], self.params[first + 1]

    @property
    def distortion(self) -> tuple[float, ...]:
        """What is left after focal lengths and principal point."""
        return self.params[3:] if self._single_focal else self.params[4:]

    @property
    def is_pinhole(self) -> bool:
        """Whether straight lines stay straight."""
        if self.model in _UNDISTORTED:
            return True
        fisheye = "FISHEYE" in self.model or self.model in ("FOV", "EUCM")
        return not fisheye and not any(self.distortion)

    def resized(self, width: int, height: int) -> Lens:
        """The same lens on photos of another size (same field of view)."""
        if (width, height) == (self.width, self.height):
            return self
        sx, sy = width / self.width, height / self.height
        (fx, fy), (cx, cy) = self.focal, self.principal_point
        focal = (fx * (sx + sy) / 2,) if self._single_focal else (fx * sx, fy * sy)
        params = (*focal, cx * sx, cy * sy, *self.distortion)
        return replace(self, width=width, height=height, params=params)

    def project(self, rays: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels [M, 2] of camera-frame points [M, 3]; NaN where the lens does not see them."""
        return np.asarray(_colmap(self).img_from_cam(np.ascontiguousarray(rays, np.float64)))

    def unproject(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rays (x/z, y/z) [M, 2] of pixels [M, 2]; NaN where there is none."""
        return np.asarray(_colmap(self).cam_from_img(np.ascontiguousarray(pixels, np.float64)))


def pinhole(
    width: int, height: int, focal: tuple[float, float], principal_point: tuple[float, float]
) -> Lens:
    """A lens without distortion."""
    return Lens("PINHOLE", width, height, (*focal, *principal_point))


@lru_cache(maxsize=64)
def _colmap(lens: Lens) -> pycolmap.Camera:
    import pycolmap

    return pycolmap.Camera(model=lens.model, width=lens.width, height=lens.height, params=list(lens.params))
