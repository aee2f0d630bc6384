"""Photo, render and their difference, arranged for a window."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import torch

from splat.viewer.frames import Image, heat, to_bytes

Layout = Literal["off", "photo | render | error", "slider", "photo", "render", "error"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

ERROR_FULL = 0.25
"""Mean absolute difference (of 0 to 1) at which the error map is brightest."""
GAP = 6
"""Pixels between images side by side."""


def error_map(photo: Image, render: Image) -> Image:
    """Mean absolute difference over the channels as heat; brightest at ``ERROR_FULL`` and above."""
    difference = np.abs(photo.astype(np.float32) - render.astype(np.float32)).mean(axis=2) / 255
    return to_bytes(heat(torch.from_numpy(difference) / ERROR_FULL))


def psnr(photo: Image, render: Image) -> float:
    """Peak signal-to-noise ratio of 8-bit images in dB; infinite if they are equal."""
    mse = float(np.mean((photo.astype(np.float64) - render.astype(np.float64)) ** 2))
    return math.inf if mse == 0 else 10 * math.log10(255**2 / mse)


def arrange(photo: Image, render: Image, layout: Layout, share: float = 0.5, stacked: bool = False) -> Image:
    """One image out of the two.

    Args:
        photo: [H, W, 3].
        render: [H, W, 3], the same size.
        layout: what to show; "slider" takes the photo's left part and the render's right part.
        share: part of the width that shows the photo in the slider, 0 to 1.
        stacked: put the three images above each other instead of side by side.
    """
    if layout == "photo":
        return photo
    if layout == "error":
        return error_map(photo, render)
    if layout == "slider":
        return _slider(photo, render, share)
    if layout == "photo | render | error":
        images = [photo, render, error_map(photo, render)]
        return _row([np.swapaxes(i, 0, 1) for i in images]).swapaxes(0, 1) if stacked else _row(images)
    return render


def _slider(photo: Image, render: Image, share: float) -> Image:
    edge = round(min(max(share, 0.0), 1.0) * photo.shape[1])
    joined = np.concatenate([photo[:, :edge], render[:, edge:]], axis=1)
    if 0 < edge < photo.shape[1]:
        joined[:, edge - 1 : edge + 1] = 255
    return joined


def _row(images: list[Image]) -> Image:
    gap = np.full((images[0].shape[0], GAP, 3), 32, np.uint8)
    return np.concatenate([part for image in images for part in (image, gap)][:-1], axis=1)


def stack_is_larger(image_width: int, image_height: int, width: int, height: int) -> bool:
    """Whether three images fit a ``width`` x ``height`` window larger when put above each other."""
    return min(width / image_width, height / (3 * image_height)) > min(
        width / (3 * image_width), height / image_height
    )


def letterbox(image: Image, width: int, height: int) -> Image:
    """The whole image, as large as fits, in the middle of a dark ``width`` x ``height`` window."""
    import cv2

    scale = min(width / image.shape[1], height / image.shape[0])
    inner = max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(image, inner, interpolation=method)
    window = np.full((height, width, 3), 24, np.uint8)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    window[top : top + inner[1], left : left + inner[0]] = scaled
    return window


def fitted(photo: Image, width: int, height: int) -> Image:
    """The photo at exactly ``width`` x ``height``."""
    import cv2

    if photo.shape[:2] == (height, width):
        return photo
    return np.asarray(cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
