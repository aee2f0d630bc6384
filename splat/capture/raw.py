"""Photos without cameras: structure from motion finds them, once for a folder."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from splat.capture.colmap import read_model
from splat.capture.masks import INVERT, KEEPS_NOTHING, MaskFile, check_inverted, find_masks, share_kept
from splat.capture.options import CaptureOptions
from splat.capture.photos import Photo, counted, list_photos, readable_photos
from splat.capture.posed import PosedPhotos
from splat.capture.sfm import SfmTask, run_sfm
from splat.capture.sfm_advice import advise, check_registered
from splat.capture.sfm_cache import fingerprint, load_record, model_folder, publish
from splat.capture.sfm_effort import Matching
from splat.capture.skips import Skips
from splat.errors import SplatError

Say = Callable[[str], None]

FEWEST = 3
"""Photos that structure from motion needs at the very least."""


def read_raw_photos(
    folder: Path,
    options: CaptureOptions,
    cache: Path | None,
    say: Say,
    source: str = "photos",
    matching: Matching = "exhaustive",
    keep_cache: bool = False,
) -> PosedPhotos:
    """The photos of a folder with the cameras that structure from motion finds.

    Raises:
        SplatError: there are too few photos, or too few of them overlap; or, with ``keep_cache``, the
            cache holds the cameras of other photos.
    """
    notes: list[str] = []
    photos = readable_photos(folder, _names(folder), notes)
    masks = find_masks(folder, [photo.name for photo in photos], options.masks, options.invert_masks)
    check_inverted(options.invert_masks, bool(masks), folder)
    photos = _seen_through_masks(photos, masks, notes)
    if len(photos) < FEWEST:
        left = " ".join(notes)
        raise SplatError(
            f"{folder} has {counted(len(photos), 'photo')} that can be used. {left}".strip(),
            expected=f"at least {FEWEST}, better 20 or more, of the same thing from different places",
            advice=INVERT if KEEPS_NOTHING in left else "",
        )
    if cache is not None and keep_cache and model_folder(cache).exists():
        if load_record(cache, fingerprint(photos, masks, matching)) is None:
            raise changed_since(folder, model_folder(cache))
    if cache is not None:
        return _solve(folder, photos, masks, cache, say, notes, source, matching)
    with tempfile.TemporaryDirectory(prefix="splat-sfm-") as temporary:
        return _solve(folder, photos, masks, Path(temporary), say, notes, source, matching)


def changed_since(source: Path, made: Path, what: str = "photos or masks") -> SplatError:
    """The message where what was made from a source in an earlier run no longer belongs to it."""
    return SplatError(
        f"{source} is not what {made} was made from: {what} were added, removed or changed",
        expected="the photos, masks and options that the run was begun with",
        advice="Put them back as they were, or train into another folder (--out)",
    )


def _seen_through_masks(photos: list[Photo], masks: dict[str, MaskFile], notes: list[str]) -> list[Photo]:
    """The photos without those whose mask keeps nothing or cannot be read, which are counted in ``notes``."""
    skips = Skips()
    kept = [
        photo
        for photo in photos
        if photo.name not in masks or share_kept(masks[photo.name], True, photo.name, skips)
    ]
    notes += skips.sentences()
    return kept


def _names(folder: Path) -> list[str]:
    names = list_photos(folder)
    if not names:
        raise SplatError(f"{folder} has no photos in it", expected="JPEG, PNG, TIFF, BMP, WebP or HEIC files")
    return names


def _solve(
    folder: Path,
    photos: list[Photo],
    masks: dict[str, MaskFile],
    cache: Path,
    say: Say,
    notes: list[str],
    source: str,
    matching: Matching,
) -> PosedPhotos:
    mark = fingerprint(photos, masks, matching)
    record = load_record(cache, mark)
    if record is not None:
        say(f"Using the cameras found before for {record.registered} photos, in {model_folder(cache)}")
    else:
        with publish(cache, mark) as work:
            record = run_sfm(SfmTask(photos, masks, matching, work, cache / "sfm.log"), mark, say)
            check_registered(record.registered, len(photos), FEWEST, source)
    posed = read_model(model_folder(cache), folder, source)
    return replace(
        posed,
        found=len(photos),
        reprojection_error=record.reprojection_error,
        seconds_sfm=record.seconds,
        notes=[*notes, *record.notes, *advise(record, len(photos), source)],
    )
