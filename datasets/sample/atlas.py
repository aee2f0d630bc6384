"""All textures of a scene in one flat table, with mip levels, so that one gather reads them all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

LEVELS = 5
DISPLAY_GAMMA = 2.2


@dataclass(frozen=True)
class Atlas:
    """Rows of linear colour and where each texture's levels lie in them.

    Attributes:
        texels: [M, C] float32.
        start: [T, L] first row of a level.
        width: [T, L] texels across.
        height: [T, L] texels down.
    """

    texels: Array
    start: NDArray[np.int32]
    width: NDArray[np.int32]
    height: NDArray[np.int32]

    def sample(self, texture: NDArray[np.integer], level: NDArray[np.integer], u: Array, v: Array) -> Array:
        """Bilinear colour, [n, C], of textures at (u right, v down) in [0, 1], all arrays [n]."""
        entry = texture * self.start.shape[1] + level
        width = self.width.ravel().take(entry)
        height = self.height.ravel().take(entry)
        x = np.minimum(np.maximum(u * width.astype(np.float32) - np.float32(0.5), np.float32(0)), width - 1)
        y = np.minimum(np.maximum(v * height.astype(np.float32) - np.float32(0.5), np.float32(0)), height - 1)
        x, y = x.astype(np.float32), y.astype(np.float32)
        left, top = x.astype(np.int32), y.astype(np.int32)
        fx, fy = (x - left)[:, None], (y - top)[:, None]
        corner = self.start.ravel().take(entry) + top * width + left
        right = corner + (left + 1 < width)
        down = (top + 1 < height) * width
        above = self._between(corner, right, fx)
        below = self._between(corner + down, right + down, fx)
        below -= above
        below *= fy
        return above + below

    def _between(self, left: NDArray[np.integer], right: NDArray[np.integer], share: Array) -> Array:
        first = self.texels.take(left, axis=0)
        second = self.texels.take(right, axis=0)
        second -= first
        second *= share
        first += second
        return first


def pack(images: list[Array], levels: int = LEVELS) -> Atlas:
    """An atlas of [h, w, C] images; ``levels`` halvings each (sizes must divide by 2**(levels-1))."""
    rows: list[Array] = []
    shape = (len(images), levels)
    start, width, height = (np.zeros(shape, dtype=np.int32) for _ in range(3))
    position = 0
    for index, image in enumerate(images):
        level_image = image
        for level in range(levels):
            if level:
                level_image = halve(level_image)
            height[index, level], width[index, level] = level_image.shape[:2]
            start[index, level] = position
            position += level_image.shape[0] * level_image.shape[1]
            rows.append(level_image.reshape(-1, level_image.shape[-1]))
    return Atlas(np.concatenate(rows).astype(np.float32), start, width, height)


def halve(image: Array) -> Array:
    """Box filter by two in both directions; [h, w, C] with even h and w."""
    return 0.25 * (image[0::2, 0::2] + image[1::2, 0::2] + image[0::2, 1::2] + image[1::2, 1::2])


def linear(image: Array) -> Array:
    """Display-referred 0 to 1 to linear light."""
    return np.clip(image, 0.0, 1.0).astype(np.float32) ** np.float32(DISPLAY_GAMMA)


def display(light: Array) -> Array:
    """Linear light to display-referred 0 to 1, clipped."""
    return np.clip(light, 0.0, 1.0) ** np.float32(1.0 / DISPLAY_GAMMA)
