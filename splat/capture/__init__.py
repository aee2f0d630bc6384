"""Photos, videos and existing models, all read into one ``Capture``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from splat.capture.options import CaptureOptions

if TYPE_CHECKING:
    from splat.capture.open import open_capture

__all__ = ["CaptureOptions", "open_capture"]


def __getattr__(name: str) -> Any:
    """Import ``open_capture`` when it is asked for: it brings torch and OpenCV along."""
    if name == "open_capture":
        from splat.capture.open import open_capture

        return open_capture
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
