"""The last step of every reader: photos with cameras become a ``Capture``."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from splat.cameras import Camera
from splat.capture.check import UsablePhoto, usable_photos
from splat.capture.develop import Recipe
from splat.capture.lens import Lens
from splat.capture.normalise import camera_centres, in_normalised_world, normalising_transform, scene_extent
from splat.capture.options import CaptureOptions
from splat.capture.photos import counted
from splat.capture.posed import PosedPhotos
from splat.capture.triangulate import PointSource
from splat.capture.types import Capture, CaptureSummary, View
from splat.capture.undistort import undistorted
from splat.errors import SplatError

_BACKGROUNDS = {"white": (1.0, 1.0, 1.0), "black": (0.0, 0.0, 0.0)}


def build_capture(
    posed: PosedPhotos, options: CaptureOptions, find_points: PointSource | None = None
) -> Capture:
    """Check the photos, straighten and reduce their cameras, normalise the world, split.

    Args:
        posed: what a reader found.
        options: how to read.
        find_points: looks for points in the photos to train on where ``posed`` has none.

    Raises:
        SplatError: fewer than two photos are usable, or nothing is left to train on.
    """
    skipped: list[str] = []
    photos = usable_photos(posed, options, skipped)
    world_to_camera = np.stack([photo.posed.world_to_camera for photo in photos])
    centres = camera_centres(world_to_camera)
    _check_moves(centres, posed)
    transform = normalising_transform(centres)
    views = [_view(photo, transform, options.max_size) for photo in photos]
    train, test = _split(photos, options)
    if find_points is not None and not len(posed.points):
        posed = find_points(posed, [photos[i] for i in train])
    notes = [*posed.notes, *skipped]
    points, colors = _usable_points(posed, transform, notes)
    transparent = any(photo.alpha for photo in photos)
    normalised = centres * transform[0, 0] + transform[:3, 3]
    return Capture(
        views=views,
        points=points,
        point_colors=colors,
        train=train,
        test=test,
        transform=transform,
        extent=scene_extent(normalised),
        background=_background(transparent, options),
        opaque=not transparent,
        summary=CaptureSummary(
            source=posed.source,
            photos=posed.found,
            registered=len(views),
            points=len(points),
            reprojection_error=posed.reprojection_error,
            seconds_sfm=posed.seconds_sfm,
            notes=notes,
        ),
    )


def _check_moves(centres: NDArray[np.float64], posed: PosedPhotos) -> None:
    """Depth can only be told from different places.

    Raises:
        SplatError: all cameras are in one place.
    """
    if np.ptp(centres, axis=0).max() < 1e-9 * max(1.0, np.abs(centres).max()):
        raise SplatError(
            f"All {len(centres)} cameras of {posed.root} are in one place, so depth cannot be told",
            expected="photos taken from different places",
            advice="Check the poses; a camera that only turns on the spot cannot give a 3D scene",
        )


def target_size(lens: Lens, max_size: int | None) -> tuple[int, int]:
    """(width, height) whose longer side is at most ``max_size``; never larger than the lens's own."""
    longer = max(lens.width, lens.height)
    if max_size is None or longer <= max_size:
        return lens.width, lens.height
    scale = max_size / longer
    return max(1, round(lens.width * scale)), max(1, round(lens.height * scale))


def _view(photo: UsablePhoto, transform: NDArray[np.float64], max_size: int | None) -> View:
    posed = photo.posed
    straight = undistorted(posed.lens)
    size = target_size(straight, max_size)
    small = straight.resized(*size)
    (fx, fy), (cx, cy) = small.focal, small.principal_point
    camera = Camera(
        world_to_camera=torch.from_numpy(in_normalised_world(posed.world_to_camera, transform)).float(),
        intrinsics=torch.tensor([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]),
        width=size[0],
        height=size[1],
    )
    return View(posed.name, camera, Recipe(posed.path, photo.upright, posed.lens, size, posed.mask))


def _split(photos: list[UsablePhoto], options: CaptureOptions) -> tuple[list[int], list[int]]:
    """The capture's own held-out photos where it names some, else every n-th."""
    own = [i for i, photo in enumerate(photos) if photo.posed.held_out]
    every = options.test_every
    held = set(own) if own else {i for i in range(len(photos)) if every and i % every == 0}
    train = [i for i in range(len(photos)) if i not in held]
    if not train:
        raise SplatError(
            f"All {counted(len(photos), 'photo')} are held out, none is left to train on",
            advice="Give a larger --test-every, or 0",
        )
    return train, sorted(held)


def _background(transparent: bool, options: CaptureOptions) -> tuple[float, float, float] | None:
    """What is behind the scene; None, drawn as black, behind opaque photos unless white is asked for."""
    chosen = options.background or ("white" if transparent else "black")
    return None if chosen == "black" and not transparent else _BACKGROUNDS[chosen]


def _usable_points(
    posed: PosedPhotos, transform: NDArray[np.float64], notes: list[str]
) -> tuple[torch.Tensor, torch.Tensor]:
    finite = np.isfinite(posed.points).all(axis=1)
    if not finite.all():
        notes.append(f"{counted(int((~finite).sum()), 'point')} with NaN or infinite position dropped.")
    points = posed.points[finite] * transform[0, 0] + transform[:3, 3]
    return torch.from_numpy(points).float(), torch.from_numpy(posed.point_colors[finite])
