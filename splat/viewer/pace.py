"""When to draw, and how large: small while something moves, full size once it is still."""

from __future__ import annotations

import math
from dataclasses import dataclass

SETTLE_SECONDS = 0.25
"""A camera that has not moved for this long is still."""
DRAFT_SECONDS = 0.08
"""A frame drawn while the camera moves should take about this long."""
DRAFT_LEAST = 120
"""Longest side of the smallest frame, pixels."""
LIVE_SHARE = 0.25
"""While training, at most this share of the time goes into frames that nobody asked for by moving."""


@dataclass(frozen=True)
class Wanted:
    """What one browser wants to see.

    Attributes:
        request: goes up when its camera or a choice changes.
        moved_at: when that was last, seconds.
        version: version of the scene on show.
        live: the scene is being trained.
    """

    request: int
    moved_at: float
    version: int
    live: bool = False


@dataclass(frozen=True)
class Drawn:
    """What one browser was sent last.

    Attributes:
        request: as in ``Wanted``.
        version: as in ``Wanted``.
        full: drawn at full size.
        at: when it was done, seconds.
        seconds: how long it took.
    """

    request: int = -1
    version: int = -1
    full: bool = False
    at: float = -math.inf
    seconds: float = 0.0


def due(wanted: Wanted, drawn: Drawn, now: float) -> tuple[float, bool] | None:
    """When the next frame should be drawn, and whether at full size; None if nothing is to do.

    Returns:
        (seconds on the clock of ``now``, full size?); a time not later than ``now`` means at once.
    """
    settled = wanted.moved_at + SETTLE_SECONDS
    if drawn.request != wanted.request:
        return now, now >= settled
    if not drawn.full:
        return settled, True
    if drawn.version != wanted.version:
        pause = drawn.seconds * (1 / LIVE_SHARE - 1) if wanted.live else 0.0
        return max(settled, drawn.at + pause), True
    return None


def draft_size(width: int, height: int, seconds_per_pixel: float | None) -> tuple[int, int]:
    """Size of a frame drawn in motion, at most ``width`` x ``height``, of about the same shape.

    Args:
        width: full width, pixels.
        height: full height, pixels.
        seconds_per_pixel: cost of the last frame; None while unknown.
    """
    if seconds_per_pixel is None or seconds_per_pixel <= 0:
        scale = 0.25
    else:
        scale = math.sqrt(DRAFT_SECONDS / (seconds_per_pixel * width * height))
    scale = min(max(scale, DRAFT_LEAST / max(width, height)), 1.0)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def full_size(width: int, height: int, max_side: int) -> tuple[int, int]:
    """The window's size, shrunk so that its longest side is at most ``max_side``."""
    scale = min(max_side / max(width, height, 1), 1.0)
    return max(round(width * scale), 1), max(round(height * scale), 1)
