"""One photo from its file to the pixels that are trained on: upright, undistorted, reduced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from splat.capture.decode import decode
from splat.capture.lens import Lens
from splat.capture.masks import MaskFile
from splat.capture.types import Pixels
from splat.capture.undistort import remap
from splat.errors import SplatError

Warp = Callable[[NDArray], NDArray]


@dataclass(frozen=True)
class Recipe:
    """How to develop a photo; calling it does so.

    Attributes:
        path: image file.
        upright: apply the EXIF orientation.
        lens: of the photo at its full size.
        size: (width, height) of the result.
        mask: which part counts, or None.
    """

    path: Path
    upright: bool
    lens: Lens
    size: tuple[int, int]
    mask: MaskFile | None = None

    def __call__(self) -> Pixels:
        """Decode, undistort, then reduce with an area filter.

        Raises:
            SplatError: the file has gone, has changed its size, or cannot be read.
        """
        rgb, alpha = decode(self.path, self.upright)
        if rgb.shape[:2] != (self.lens.height, self.lens.width):
            raise SplatError(
                f"{self.path} is {rgb.shape[1]} x {rgb.shape[0]} pixels now",
                expected=f"{self.lens.width} x {self.lens.height}, as when the capture was opened",
            )
        mask = None if self.mask is None else self._mask(self.mask)
        if alpha is None:
            return Pixels(rgb=self._warp(rgb), mask=mask)
        color, opacity = self._warp_transparent(rgb, alpha)
        return Pixels(rgb=color, alpha=opacity, mask=mask)

    def _warp(self, image: NDArray) -> NDArray:
        straight = image if self.lens.is_pinhole else remap(self.lens)(image)
        return self._reduce(straight)

    def _reduce(self, image: NDArray) -> NDArray:
        if (image.shape[1], image.shape[0]) == self.size:
            return image
        return cv2.resize(image, self.size, interpolation=cv2.INTER_AREA)

    def _warp_transparent(self, rgb: NDArray, alpha: NDArray) -> tuple[NDArray, NDArray]:
        """Colours are averaged by how opaque they are, so that hidden colours do not bleed in."""
        if self.lens.is_pinhole and (rgb.shape[1], rgb.shape[0]) == self.size:
            return rgb, alpha
        weight = alpha.astype(np.float32) / 255.0
        color = self._warp(rgb.astype(np.float32) * weight[..., None])
        opacity = self._warp(weight)
        straight = color / np.maximum(opacity, 1e-6)[..., None]
        return _to_bytes(straight), _to_bytes(opacity * 255.0)

    def _mask(self, file: MaskFile) -> NDArray[np.bool_]:
        keep: NDArray = file.read(self.upright).astype(np.uint8) * 255
        if keep.shape != (self.lens.height, self.lens.width):
            keep = cv2.resize(keep, (self.lens.width, self.lens.height), interpolation=cv2.INTER_NEAREST)
        if not self.lens.is_pinhole:
            keep = remap(self.lens)(keep, nearest=True)
        return self._reduce(keep) > 127


def _to_bytes(values: NDArray) -> NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
