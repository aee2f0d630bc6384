"""splat: photos in, 3D Gaussian Splatting scenes out, on any machine."""

from __future__ import annotations

__version__ = "0.1.0"
