"""PNG and JPEG pictures as arrays; any characters in the path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splat.errors import SplatError
from splat.io.atomic import write_bytes

_JPEG_QUALITY = 95


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode a picture to [H, W, 3] uint8 RGB, upright (EXIF orientation applied), alpha dropped.

    Raises:
        SplatError: the file is missing or cannot be decoded.
    """
    import cv2

    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise SplatError(f"{path} cannot be read: {error.strerror or error}") from error
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if decoded is None:
        raise SplatError(f"{path} cannot be decoded as a picture", expected="a PNG or JPEG file")
    return np.ascontiguousarray(decoded[:, :, ::-1]).astype(np.uint8, copy=False)


def write_image(path: Path, image: NDArray[Any], overwrite: bool = True) -> None:
    """Encode a picture by its suffix (.png, .jpg, .jpeg), atomically.

    Args:
        path: where to; missing folders are made.
        image: [H, W, 3] uint8 RGB, or [H, W] uint8 or (PNG only) uint16 grey.
        overwrite: whether a file that exists may be replaced.

    Raises:
        SplatError: the suffix is not a picture's, the file exists, or it cannot be written.
    """
    import cv2

    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".png", ".jpg", ".jpeg"):
        raise SplatError(f"{path} cannot be written as a picture", expected=".png, .jpg or .jpeg")
    options = [] if suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    pixels = np.ascontiguousarray(image[:, :, ::-1]) if image.ndim == 3 else image
    encoded = cv2.imencode(suffix, pixels, options)[1]
    write_bytes(path, encoded.tobytes(), overwrite)
