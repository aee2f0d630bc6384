"""Images of the run as data: addresses, small enough to mail."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

MAX_SIDE = 1280
"""Longest side of an embedded image, pixels."""
MAX_BYTES = 400_000
"""An embedded image is compressed harder, then shrunk, until it is below this."""
QUALITIES = (90, 80, 70)
"""JPEG qualities tried in turn."""


@dataclass(frozen=True)
class Embedded:
    """An image inside the page.

    Attributes:
        address: data: URL.
        width: pixels, of the embedded image.
        height: pixels.
    """

    address: str
    width: int
    height: int


def embed(path: Path) -> Embedded | None:
    """The image as a JPEG data: URL, or None if it is not there or cannot be read."""
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    data = _jpeg_below(image, MAX_BYTES)
    return Embedded(
        "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii"), image.width, image.height
    )


def _jpeg_below(image: Image.Image, limit: int) -> bytes:
    """JPEG bytes of ``image``: best quality that fits ``limit``, at half the size if none does."""
    while True:
        for quality in QUALITIES:
            stream = io.BytesIO()
            image.save(stream, "JPEG", quality=quality, optimize=True)
            if stream.tell() <= limit:
                return stream.getvalue()
        image = image.resize((max(image.width // 2, 1), max(image.height // 2, 1)), Image.Resampling.BOX)
