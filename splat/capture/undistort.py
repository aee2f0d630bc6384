"""From a distorted photo to a pinhole one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from splat.capture.lens import Lens, pinhole
from splat.errors import SplatError

_WIDEST = np.tan(np.radians(60.0))
"""A pinhole image is cut at 60 degrees off its axis; a fisheye sees further, stretched beyond use."""

_BORDER_STEPS = 64


@dataclass(frozen=True)
class Remap:
    """Where each pixel of the pinhole photo comes from.

    Attributes:
        x: [H, W] float32 column in the distorted photo, OpenCV's convention (first centre at 0).
        y: [H, W] float32 row.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]

    def __call__(self, image: NDArray, nearest: bool = False) -> NDArray:
        """The pinhole image of a distorted one, [H, W] or [H, W, C]."""
        how = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
        return cv2.remap(image, self.x, self.y, how, borderMode=cv2.BORDER_REPLICATE)


@lru_cache(maxsize=256)
def undistorted(lens: Lens) -> Lens:
    """The pinhole that shows the largest upright rectangle in which every pixel was seen by ``lens``.

    The focal length is kept, so that the middle of the photo is neither enlarged nor reduced, unless
    the pinhole photo would be larger than the original (fisheye); then it is reduced to fit.

    Raises:
        SplatError: the distortion is so strong that no such rectangle is found.
    """
    if lens.is_pinhole:
        return pinhole(lens.width, lens.height, lens.focal, lens.principal_point)
    left, top, right, bottom = _valid_rectangle(lens)
    fx, fy = lens.focal
    shrink = min(1.0, lens.width / (fx * (right - left)), lens.height / (fy * (bottom - top)))
    fx, fy = fx * shrink, fy * shrink
    width, height = int(fx * (right - left) + 1e-6), int(fy * (bottom - top) + 1e-6)
    if width < 16 or height < 16:
        raise _no_rectangle(lens)
    # The cut to whole pixels is taken from both sides alike.
    cx = -left * fx - (fx * (right - left) - width) / 2
    cy = -top * fy - (fy * (bottom - top) - height) / 2
    return pinhole(width, height, (fx, fy), (cx, cy))


@lru_cache(maxsize=4)
def remap(lens: Lens) -> Remap:
    """The map from ``undistorted(lens)`` to the photo; the last few lenses' maps are kept."""
    target = undistorted(lens)
    u, v = np.meshgrid(np.arange(target.width) + 0.5, np.arange(target.height) + 0.5)
    source = lens.project(_rays(target, np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64)))
    source = np.nan_to_num(source, nan=-1.0).reshape(target.height, target.width, 2) - 0.5
    x, y = source.astype(np.float32).transpose(2, 0, 1)
    return Remap(np.ascontiguousarray(x), np.ascontiguousarray(y))


def _valid_rectangle(lens: Lens) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) in x/z, y/z, all of whose points the lens sees inside the photo."""
    edge = np.linspace(0.0, 1.0, _BORDER_STEPS + 1)
    zero, one = np.zeros_like(edge), np.ones_like(edge)
    size = np.array([lens.width, lens.height], dtype=float)

    def border(x: NDArray, y: NDArray, axis: int, side: int) -> float:
        """Nearest to the axis that a side of the photo comes; rays behind the camera set no limit."""
        rays = side * lens.unproject(np.stack([x, y], axis=1) * size)[:, axis]
        return side * min(rays[np.isfinite(rays) & (rays > 0)], default=_WIDEST)

    left, right = border(zero, edge, 0, -1), border(one, edge, 0, 1)
    top, bottom = border(edge, zero, 1, -1), border(edge, one, 1, 1)
    box = np.clip([left, top, right, bottom], -_WIDEST, _WIDEST)
    for _ in range(60):
        if not (box[0] < 0 < box[2] and box[1] < 0 < box[3]):
            raise _no_rectangle(lens)
        if _sees_border(lens, box):
            return float(box[0]), float(box[1]), float(box[2]), float(box[3])
        box *= 0.99
    raise _no_rectangle(lens)


def _sees_border(lens: Lens, box: NDArray[np.float64]) -> bool:
    """Whether all points on the rectangle's border fall inside the photo (to a tenth of a pixel)."""
    left, top, right, bottom = box
    x, y = np.linspace(left, right, _BORDER_STEPS), np.linspace(top, bottom, _BORDER_STEPS)
    full = np.ones(_BORDER_STEPS)
    sides = [(x, full * top), (x, full * bottom), (full * left, y), (full * right, y)]
    points = np.concatenate([np.stack([a, b, full], axis=1) for a, b in sides])
    pixels = lens.project(points)
    slack = 0.1
    inside = (pixels >= -slack) & (pixels <= np.array([lens.width, lens.height]) + slack)
    return bool(inside.all())


def _rays(camera: Lens, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Camera-frame points at depth 1 behind pinhole pixels."""
    plane = (pixels - camera.principal_point) / camera.focal
    return np.concatenate([plane, np.ones((len(plane), 1))], axis=1)


def _no_rectangle(lens: Lens) -> SplatError:
    values = ", ".join(f"{value:.4g}" for value in lens.params)
    return SplatError(
        f"The lens {lens.model} ({lens.width} x {lens.height}; {values}) distorts too much to straighten",
        expected="distortion coefficients that keep the middle of the photo visible",
        advice="Check the camera's parameters",
    )
