"""Photos on disk: JPEG with EXIF, written whole or not at all, and recognised again later."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from datasets.sample.walk import FILM_DIAGONAL_MM, FOCAL_35MM

JPEG_QUALITY = 92
MAKER = "splat sample"
MODEL = "Pinhole 28"
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".heic", ".webp", ".bmp")
_EXIF_FOLDER = 0x8769
_DESCRIPTION, _MAKE, _MODEL, _ORIENTATION, _SOFTWARE = 0x010E, 0x010F, 0x0110, 0x0112, 0x0131
_FOCAL, _FOCAL_35MM, _TAKEN = 0x920A, 0xA405, 0x9003
_SENSOR_DIAGONAL_MM = 7.2
_END_OF_JPEG = b"\xff\xd9"


@dataclass(frozen=True)
class Caption:
    """What a photo says of itself in its EXIF: enough to tell whether it is the one that is wanted.

    Attributes:
        settings: of the whole sample (generator version, seed, size, count).
        number: of the photo, from 1.
    """

    settings: str
    number: int

    @property
    def name(self) -> str:
        """File name."""
        return f"IMG_{self.number:04d}.jpg"

    @property
    def text(self) -> str:
        """EXIF ImageDescription."""
        return f"{self.settings}, photo {self.number}"


def write_photo(folder: Path, caption: Caption, rgb: NDArray[np.uint8]) -> None:
    """Write ``rgb`` [H, W, 3] as the photo of ``caption``; a broken-off write leaves no photo."""
    part = folder / f".{caption.name}.{os.getpid()}.part"
    try:
        Image.fromarray(rgb).save(
            part, format="JPEG", quality=JPEG_QUALITY, subsampling=0, exif=_exif(caption)
        )
        os.replace(part, folder / caption.name)
    finally:
        part.unlink(missing_ok=True)


def _exif(caption: Caption) -> Image.Exif:
    exif = Image.Exif()
    exif[_DESCRIPTION] = caption.text
    exif[_MAKE], exif[_MODEL], exif[_SOFTWARE] = MAKER, MODEL, MAKER
    exif[_ORIENTATION] = 1
    minutes, seconds = divmod(7 * caption.number, 60)
    details = exif.get_ifd(_EXIF_FOLDER)
    details[_FOCAL_35MM] = FOCAL_35MM
    details[_FOCAL] = FOCAL_35MM * _SENSOR_DIAGONAL_MM / FILM_DIAGONAL_MM
    details[_TAKEN] = f"2026:05:17 {10 + minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    return exif


def is_whole(folder: Path, caption: Caption) -> bool:
    """True if the photo of ``caption`` is there, complete and of the same settings."""
    path = folder / caption.name
    return _description(path) == caption.text and _ends(path)


def is_ours(path: Path) -> bool:
    """True if this generator wrote the photo, whatever its settings."""
    try:
        with Image.open(path) as image:
            return image.getexif().get(_SOFTWARE) == MAKER
    except (OSError, UnidentifiedImageError):
        return False


def _description(path: Path) -> str | None:
    try:
        with Image.open(path) as image:
            return image.getexif().get(_DESCRIPTION)
    except (OSError, UnidentifiedImageError):
        return None


def _ends(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-len(_END_OF_JPEG), os.SEEK_END)
        return file.read() == _END_OF_JPEG
