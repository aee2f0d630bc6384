"""Working copies of photos for structure from motion: upright, 8-bit, of moderate size, plain names."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from splat.capture.decode import decode
from splat.capture.exif import CameraTags, read_camera_tags
from splat.capture.masks import MaskFile
from splat.capture.photos import Photo

WORKING_SIZE = 1600
"""Longest side of the copies; more pixels cost time and hardly help the cameras."""

_THREADS = 2


@dataclass(frozen=True)
class Prepared:
    """A working copy.

    Attributes:
        name: the photo's name.
        file: the copy's file name.
        size: (width, height) of the copy.
        full_size: (width, height) of the photo, turned as the copy is.
        camera: the same text for photos of the same camera, zoom and size.
        focal: focal length in pixels of the copy, from EXIF; None if unknown.
        masked: whether there is a mask file for it.
    """

    name: str
    file: str
    size: tuple[int, int]
    full_size: tuple[int, int]
    camera: str
    focal: float | None
    masked: bool


def prepare_photos(
    photos: list[Photo], masks: dict[str, MaskFile], work: Path, as_stored: Collection[str] = ()
) -> list[Prepared]:
    """Write copies to ``work/photos`` and, where any photo has one, masks to ``work/masks``.

    The copies have no EXIF block: the orientation is applied here, once, and the focal length is
    handed on as a number.

    Args:
        photos: in the order of the copies.
        masks: by photo name.
        work: an empty folder.
        as_stored: names of photos whose EXIF orientation is not to be applied.

    Raises:
        SplatError: a photo or mask cannot be read.
    """
    (work / "photos").mkdir()
    (work / "masks").mkdir()

    def prepare(index: int) -> Prepared:
        photo = photos[index]
        upright = photo.name not in as_stored
        return _prepare(photo, masks.get(photo.name), f"{index:06d}.png", work, upright)

    with ThreadPoolExecutor(_THREADS) as pool:
        prepared = list(pool.map(prepare, range(len(photos))))
    if any(photo.masked for photo in prepared):
        for photo in prepared:
            if not photo.masked:
                full = np.full((photo.size[1], photo.size[0]), 255, np.uint8)
                _write(work / "masks" / f"{photo.file}.png", full)
    return prepared


def _prepare(photo: Photo, mask: MaskFile | None, file: str, work: Path, upright: bool) -> Prepared:
    rgb, alpha = decode(photo.path, upright)
    height, width = rgb.shape[:2]
    scale = min(1.0, WORKING_SIZE / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    _write(work / "photos" / file, _reduce(rgb, size)[..., ::-1])
    keep = _kept(None if mask is None else mask.read(upright), alpha, size)
    if keep is not None:
        _write(work / "masks" / f"{file}.png", keep)
    tags = read_camera_tags(photo.path)
    return Prepared(
        name=photo.name,
        file=file,
        size=size,
        full_size=(width, height),
        camera=_camera_key(tags, width, height),
        focal=tags.focal_ratio * max(size) if tags.focal_ratio else None,
        masked=keep is not None,
    )


def _kept(mask: NDArray | None, alpha: NDArray | None, size: tuple[int, int]) -> NDArray[np.uint8] | None:
    """255 where features may be: inside the mask and not transparent."""
    parts = [] if mask is None else [mask]
    if alpha is not None:
        parts.append(alpha > 127)
    if not parts:
        return None
    keep = [_reduce(part.astype(np.uint8) * 255, size) > 127 for part in parts]
    return np.logical_and.reduce(keep).astype(np.uint8) * 255


def _camera_key(tags: CameraTags, width: int, height: int) -> str:
    return f"{tags.body} {tags.focal_mm:.2f} {width}x{height}"


def _reduce(image: NDArray, size: tuple[int, int]) -> NDArray:
    if (image.shape[1], image.shape[0]) == size:
        return image
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _write(path: Path, image: NDArray) -> None:
    """Lossless, with the quickest compression; OpenCV itself cannot write to names outside ASCII."""
    _, data = cv2.imencode(".png", np.ascontiguousarray(image), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    path.write_bytes(data.tobytes())
