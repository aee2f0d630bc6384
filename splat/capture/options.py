"""How a capture is read; the field docstrings are the command line's help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["auto", "photos", "video", "colmap", "transforms", "blender"]


@dataclass(frozen=True)
class CaptureOptions:
    """Which photos to read and how."""

    kind: Kind = "auto"
    """What the source is: a folder of photos, a video, a COLMAP model, a transforms.json, or a Blender
    (NeRF-synthetic) folder. "auto" looks for itself."""

    max_size: int | None = None
    """Shrink photos so that their longer side has at most this many pixels. They are never enlarged.
    Default: what the preset works at."""

    test_every: int = 8
    """Hold out every n-th photo (in order of name) to measure quality on; 0 trains on all of them.
    Captures that name their own test photos keep to those."""

    masks: Path | None = None
    """Folder of masks, one for a photo, white where the photo counts. Without it, masks are looked for
    beside the photos."""

    invert_masks: bool = False
    """Masks are black, not white, where the photo counts."""

    video_frames: int = 150
    """Videos only: how many frames to take, at most."""

    points: Literal["find", "given"] = "find"
    """Where a capture has cameras but no points: "find" points in its photos to start from, or take it as
    "given" and start at random. Photos with transparency start from what they show to be there instead."""

    background: Literal["white", "black"] | None = None
    """Colour behind the scene: what transparent photos are put over, and what opaque ones show where there is
    nothing (white is for a white wall or studio). Default: white behind transparent photos, else black."""
