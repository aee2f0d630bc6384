"""What a photo's EXIF block says of the camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from splat.capture.decode import read_header

_MAKE, _MODEL, _EXIF = 0x010F, 0x0110, 0x8769
_FOCAL, _FOCAL_35MM, _WIDTH = 0x920A, 0xA405, 0xA002
_PLANE_X, _PLANE_UNIT = 0xA20E, 0xA210
_UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0}
_DIAGONAL_35MM = math.hypot(36.0, 24.0)


@dataclass(frozen=True)
class CameraTags:
    """Which camera took a photo, and how far it was zoomed.

    Attributes:
        body: maker and model, or empty.
        focal_mm: focal length in millimetres, 0 if unknown.
        focal_ratio: focal length over the photo's longer side, or None if it cannot be told.
    """

    body: str = ""
    focal_mm: float = 0.0
    focal_ratio: float | None = None


def read_camera_tags(path: Path) -> CameraTags:
    """The tags of an image file; empty ones where it has none.

    The focal length is taken from FocalLengthIn35mmFilm (equal diagonal), else from the focal length
    with the sensor's pixel pitch (FocalPlaneXResolution).
    """
    header = read_header(path)  # registers the HEIC reader too
    with Image.open(path) as image:
        exif = image.getexif()
        details = exif.get_ifd(_EXIF)
    body = " ".join(str(exif.get(tag, "")).strip("\x00 ") for tag in (_MAKE, _MODEL)).strip()
    focal = _number(details.get(_FOCAL))
    longer = max(header.width, header.height)
    return CameraTags(body, focal, _focal_ratio(details, focal, header.width, header.height, longer))


def _focal_ratio(details: Any, focal: float, width: int, height: int, longer: int) -> float | None:
    equivalent = _number(details.get(_FOCAL_35MM))
    if equivalent > 0:
        return equivalent / _DIAGONAL_35MM * math.hypot(width, height) / longer
    pitch = _number(details.get(_PLANE_X))
    unit = _UNIT_MM.get(int(_number(details.get(_PLANE_UNIT)) or 2))
    full_width = _number(details.get(_WIDTH)) or width
    if focal > 0 and pitch > 0 and unit is not None:
        ratio = focal * pitch / unit / full_width * width / longer
        return ratio if 0.2 < ratio < 20 else None
    return None


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return number if math.isfinite(number) else 0.0
