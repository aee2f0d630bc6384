"""Checks of photos with cameras: which can be used, and how their files fit their lenses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from splat.capture.decode import Header, is_whole, read_header
from splat.capture.lens import Lens
from splat.capture.masks import (
    INVERT,
    KEEPS_NOTHING,
    check_inverted,
    describe_masks,
    find_masks,
    share_kept,
)
from splat.capture.options import CaptureOptions
from splat.capture.posed import PosedPhoto, PosedPhotos
from splat.capture.skips import Skips
from splat.errors import SplatError


@dataclass(frozen=True)
class UsablePhoto:
    """A photo whose file, camera and mask have been looked at.

    Attributes:
        posed: with its lens at the size of the file and its mask filled in.
        upright: whether the EXIF orientation is to be applied to the file.
        alpha: whether the file has transparency.
    """

    posed: PosedPhoto
    upright: bool
    alpha: bool


def usable_photos(posed: PosedPhotos, options: CaptureOptions, notes: list[str]) -> list[UsablePhoto]:
    """The photos that can be used, sorted by name; what is left out and why goes into ``notes``.

    Raises:
        SplatError: fewer than two are left.
    """
    skips = Skips()
    photos = []
    seen: set[str] = set()
    for photo in sorted(posed.photos, key=lambda photo: photo.name):
        if photo.name in seen:
            skips.add(photo.name, "listed twice")
            continue
        seen.add(photo.name)
        usable = _check(photo, skips)
        if usable is not None:
            photos.append(usable)
    photos, mask_notes = _with_masks(photos, posed, options, skips)
    notes += [*skips.sentences(), *mask_notes]
    if len(photos) < 2:
        raise _too_few(len(photos), len(posed.photos), posed, skips)
    return photos


def fit_to_file(lens: Lens, header: Header) -> tuple[Lens, bool] | None:
    """The lens at the file's size, and whether the EXIF orientation is to be applied.

    A model may have been made from photos as stored (COLMAP before version 4) or upright; the size
    tells which. None where the shape fits neither way.
    """
    for upright in (True, False):
        width, height = header.size(upright)
        expected = lens.width * height / lens.height
        if abs(expected - width) <= max(1.5, 0.005 * width):
            return lens.resized(width, height), upright
    return None


def _check(photo: PosedPhoto, skips: Skips) -> UsablePhoto | None:
    problem = _pose_problem(photo.world_to_camera)
    if problem:
        skips.add(photo.name, problem)
        return None
    if not photo.path.is_file():
        skips.add(photo.name, "the file does not exist")
        return None
    try:
        header = read_header(photo.path)
    except SplatError as error:
        if "heic" in error.advice:
            raise
        skips.add(photo.name, "unreadable")
        return None
    if not is_whole(photo.path):
        skips.add(photo.name, "cut short")
        return None
    fitted = fit_to_file(photo.lens, header)
    if fitted is None:
        size = "{} x {}".format(*header.size())
        skips.add(photo.name, f"{size} pixels, but its camera has {photo.lens.width} x {photo.lens.height}")
        return None
    return UsablePhoto(replace(photo, lens=fitted[0]), fitted[1], header.alpha)


def _pose_problem(world_to_camera: NDArray[np.float64]) -> str:
    if not np.isfinite(world_to_camera).all():
        return "its camera pose has NaN or infinite numbers"
    rotation = world_to_camera[:3, :3]
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
        return "its camera pose is no rotation and translation"
    return ""


def _with_masks(
    photos: list[UsablePhoto], posed: PosedPhotos, options: CaptureOptions, skips: Skips
) -> tuple[list[UsablePhoto], list[str]]:
    names = [photo.posed.name for photo in photos]
    found = find_masks(posed.root, names, options.masks, options.invert_masks) if names else {}
    if photos:
        known = bool(found) or any(photo.posed.mask for photo in photos)
        check_inverted(options.invert_masks, known, posed.root)
    kept: dict[str, float] = {}
    masked = []
    for photo in photos:
        name = photo.posed.name
        mask = found.get(name) or photo.posed.mask
        share = None if mask is None else share_kept(mask, photo.upright, name, skips)
        if mask is not None and not share:
            continue
        if share is not None:
            kept[name] = share
        masked.append(replace(photo, posed=replace(photo.posed, mask=mask)))
    return masked, describe_masks(kept, len(photos))


def _too_few(left: int, had: int, posed: PosedPhotos, skips: Skips) -> SplatError:
    why = " ".join(skips.sentences())
    advice = {
        KEEPS_NOTHING: INVERT,
        "the file does not exist": f"Put the photos where the capture says they are, below {posed.root}",
    }
    hints = [text for reason, text in advice.items() if reason in skips.reasons]
    return SplatError(
        f"{left} of the {had} photos with a camera in {posed.root} can be used. {why}".strip(),
        expected="at least 2",
        advice=hints[0] if hints else "Check the capture's files",
    )
