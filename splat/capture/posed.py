"""Photos with cameras, as every reader hands them over: before undistortion and normalisation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from splat.capture.lens import Lens
from splat.capture.masks import MaskFile


@dataclass(frozen=True)
class PosedPhoto:
    """One photo with its camera, in the original world.

    Attributes:
        name: path relative to the capture's folder of photos, with forward slashes.
        path: the image file.
        lens: intrinsics at the size the model was made for.
        world_to_camera: [4, 4] float64, OpenCV frame (x right, y down, z forward).
        mask: which part counts, or None.
        held_out: whether the capture itself keeps this photo for testing; None where it does not say.
    """

    name: str
    path: Path
    lens: Lens
    world_to_camera: NDArray[np.float64]
    mask: MaskFile | None = None
    held_out: bool | None = None


@dataclass(frozen=True)
class PosedPhotos:
    """What a reader found.

    Attributes:
        source: "photos", "video", "colmap", "transforms" or "blender".
        root: folder that the photos' names are relative to.
        found: number of photos there were, with or without a camera.
        photos: those with a camera.
        points: [P, 3] float64 sparse points, original world.
        point_colors: [P, 3] uint8.
        reprojection_error: mean, in pixels of the original photos, or None.
        seconds_sfm: time structure from motion, or finding points, took.
        notes: sentences for a person.
    """

    source: str
    root: Path
    found: int
    photos: list[PosedPhoto]
    points: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))
    point_colors: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 3), np.uint8))
    reprojection_error: float | None = None
    seconds_sfm: float = 0.0
    notes: list[str] = field(default_factory=list)
