"""Image files to upright 8-bit RGB."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from splat.errors import SplatError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".heic", ".heif"}
"""Files that are looked at as photos, lower case."""

_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
_TAIL = 1 << 16

# Photogrammetry photos are large on purpose; Pillow's guard against decompression bombs would
# refuse a 200-megapixel panorama.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True)
class Header:
    """What an image file says of itself before it is decoded.

    Attributes:
        width: stored width in pixels (before any EXIF rotation).
        height: stored height.
        orientation: EXIF orientation, 1 to 8; 1 is upright.
        alpha: whether it has a transparency channel.
    """

    width: int
    height: int
    orientation: int
    alpha: bool

    def size(self, upright: bool = True) -> tuple[int, int]:
        """(width, height) after the EXIF rotation, or as stored."""
        turned = upright and self.orientation in _SIDEWAYS
        return (self.height, self.width) if turned else (self.width, self.height)


def read_header(path: Path) -> Header:
    """Size, orientation and transparency of an image file.

    Raises:
        SplatError: the file is missing or is no image.
    """
    with _open(path) as image:
        orientation = image.getexif().get(_ORIENTATION, 1)
        alpha = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
        known = orientation if orientation in range(1, 9) else 1
        return Header(image.width, image.height, known, alpha)


def decode(path: Path, upright: bool = True) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """RGB [H, W, 3] and alpha [H, W] (or None), both uint8, straight (not premultiplied).

    Greyscale is spread over three channels and 16 bits are reduced to 8.

    Args:
        path: image file.
        upright: rotate as the EXIF orientation says.

    Raises:
        SplatError: the file is missing, cut short, or no image.
    """
    with _open(path) as image:
        try:
            image.load()
            turned = ImageOps.exif_transpose(image) if upright else image
            return _to_rgb(turned)
        except (OSError, SyntaxError, ValueError) as error:
            raise unreadable(path, str(error)) from error


def decode_grey(path: Path, upright: bool = True) -> NDArray[np.uint8]:
    """Brightness [H, W] uint8 of an image file (a mask).

    Raises:
        SplatError: as ``decode``.
    """
    rgb, _ = decode(path, upright)
    if (rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 0] == rgb[..., 2]).all():
        return np.ascontiguousarray(rgb[..., 0])
    return np.asarray(Image.fromarray(rgb).convert("L"))


def is_whole(path: Path) -> bool:
    """Whether the file does not look cut short.

    The end marker is looked for first; only a file without it is decoded to be sure.
    """
    marker = {".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9", ".png": b"IEND"}.get(path.suffix.lower())
    if marker is not None:
        with open(path, "rb") as file:
            length = file.seek(0, 2)
            file.seek(max(0, length - _TAIL))
            if marker in file.read():
                return True
    try:
        decode(path, upright=False)
    except SplatError:
        return False
    return True


def unreadable(path: Path, reason: str) -> SplatError:
    """The message for a file that is no whole image."""
    return SplatError(
        f"{path} cannot be read as an image ({reason})",
        advice="Copy it again from the camera, or remove it",
    )


def _open(path: Path) -> Image.Image:
    if path.suffix.lower() in (".heic", ".heif"):
        _register_heic(path)
    try:
        return Image.open(path)
    except UnidentifiedImageError as error:
        raise unreadable(path, "unknown format or empty") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise unreadable(path, getattr(error, "strerror", None) or str(error)) from error


def _register_heic(path: Path) -> None:
    try:
        import pillow_heif
    except ImportError as error:
        raise SplatError(
            f"{path} is a HEIC photo, and the package that reads them is not installed",
            advice="Run: pip install pillow-heif",
        ) from error
    pillow_heif.register_heif_opener()


def _to_rgb(image: Image.Image) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    if image.mode.startswith("I"):  # 16-bit greyscale
        grey = (np.clip(np.asarray(image, np.int64), 0, 65535) // 257).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2), None
    if image.mode == "F":
        raise ValueError("floating-point pixels; expected 8 or 16 bits a channel")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        pixels = np.asarray(image.convert("RGBA"))
        return np.ascontiguousarray(pixels[..., :3]), np.ascontiguousarray(pixels[..., 3])
    return np.array(image if image.mode == "RGB" else image.convert("RGB")), None  # a copy may be written to
