"""A capture: views with known cameras, and the sparse points that came with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from splat.cameras import Camera


@dataclass(frozen=True)
class Pixels:
    """One decoded photo, upright, undistorted, at its view's camera size.

    Attributes:
        rgb: [H, W, 3] uint8, as stored (display-referred). Where ``alpha`` is given, straight (not
            premultiplied) colour.
        alpha: [H, W] uint8 transparency to be reproduced (RGBA images), or None.
        mask: [H, W] bool, True where the photo counts, or None when all of it does.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    mask: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class View:
    """One photo with its camera.

    Attributes:
        name: path relative to the capture's image folder, with forward slashes.
        camera: pinhole, normalised world, float32.
        load: decodes the photo; called when needed, from any thread.
    """

    name: str
    camera: Camera
    load: Callable[[], Pixels]


@dataclass(frozen=True)
class CaptureSummary:
    """What a person wants to know of how the cameras were found.

    Attributes:
        source: "photos", "video", "colmap", "transforms" or "blender".
        photos: photos found.
        registered: photos with a camera.
        points: sparse points.
        reprojection_error: mean, in pixels of the original photos; None if unknown.
        seconds_sfm: wall time of structure from motion, or of finding points for cameras that came without
            (of the first run, if cached); 0 if neither ran.
        notes: plain sentences: what was skipped and why, what is poor and what to do about it.
    """

    source: str
    photos: int
    registered: int
    points: int
    reprojection_error: float | None = None
    seconds_sfm: float = 0.0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Capture:
    """Views, sparse points and the way back to the original world.

    Attributes:
        views: sorted by name.
        points: [P, 3] float32 sparse points, normalised world (P may be 0).
        point_colors: [P, 3] uint8.
        train: indices into ``views``.
        test: indices into ``views``, held out.
        transform: [4, 4] float64 similarity without rotation, normalised = transform @ original.
        extent: radius of the camera centres about their mean, times 1.1 (3DGS scene extent),
            normalised units.
        background: RGB 0 to 1 behind the scene, that transparent images are composited onto; None is black
            behind opaque images.
        summary: how the cameras were found.
        opaque: no image has an alpha channel.
    """

    views: list[View]
    points: Tensor
    point_colors: Tensor
    train: list[int]
    test: list[int]
    transform: NDArray[np.float64]
    extent: float
    background: tuple[float, float, float] | None
    summary: CaptureSummary
    opaque: bool = False
