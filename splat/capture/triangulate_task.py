"""One search for points in photos whose cameras are known, run in a process of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splat.capture.camera_pairs import nearby_pairs
from splat.capture.check import UsablePhoto
from splat.capture.decode import read_header
from splat.capture.normalise import camera_centres, in_normalised_world, normalising_transform
from splat.capture.photos import Photo, counted
from splat.capture.sfm_cache import SfmRecord
from splat.capture.sfm_effort import features_for_pairs, first_octave
from splat.capture.sfm_prepare import Prepared, prepare_photos
from splat.capture.triangulate_advice import Matches, judge
from splat.capture.triangulate_cache import Points
from splat.capture.worker import Say, run_worker

ALL_PAIRS_UP_TO = 200
"""Photos; beyond, each is matched with those whose cameras are near."""


def find_points(source: str, photos: list[UsablePhoto], work: Path, log: Path, mark: str, say: Say) -> Points:
    """Points in the photos' original world; none, with a note that says why, where too few fit the cameras.

    Args:
        source: kind of the capture, for the note.
        photos: with lenses at the size of their files.
        work: an empty folder.
        log: file for the solver's own words.
        mark: fingerprint of the photos.
        say: receives lines for a person.

    Raises:
        BrokeDown: the solver did.
        SplatError: a photo cannot be read.
    """
    start = time.perf_counter()
    say(f"Finding points in {counted(len(photos), 'photo')} whose cameras are known")
    prepared = _prepare(photos, work)
    world_to_camera = np.stack([photo.posed.world_to_camera for photo in photos])
    transform = normalising_transform(camera_centres(world_to_camera))
    poses = np.stack([in_normalised_world(pose, transform) for pose in world_to_camera])
    job = _job(photos, prepared, poses)
    result = run_worker(
        "splat.capture.triangulate_worker", job, work, log, say, "The search for points in the photos"
    )
    positions, colors = _read_found(work / "found.npz")
    use, notes = judge(Matches(**result["matches"]), len(positions), source)
    if not use:
        positions, colors = positions[:0], colors[:0]
    record = SfmRecord(
        fingerprint=mark,
        photos=len(photos),
        registered=len(photos),
        points=len(positions),
        reprojection_error=result["reprojection_error"] if use else 0.0,
        seconds=round(time.perf_counter() - start, 2),
        notes=notes,
    )
    return Points(record, (positions - transform[:3, 3]) / transform[0, 0], colors)


def _prepare(photos: list[UsablePhoto], work: Path) -> list[Prepared]:
    masks = {photo.posed.name: photo.posed.mask for photo in photos if photo.posed.mask is not None}
    as_stored = {photo.posed.name for photo in photos if not photo.upright}
    files = [Photo(photo.posed.name, photo.posed.path, read_header(photo.posed.path)) for photo in photos]
    return prepare_photos(files, masks, work, as_stored)


def _job(photos: list[UsablePhoto], prepared: list[Prepared], poses: NDArray[np.float64]) -> dict[str, Any]:
    """Everything in the copies' pixels and in the normalised world, where the solver's limits suit."""
    cameras: dict[tuple[str, int, int, tuple[float, ...]], list[str]] = {}
    for photo, copy in zip(photos, prepared, strict=True):
        lens = photo.posed.lens.resized(*copy.size)
        cameras.setdefault((lens.model, lens.width, lens.height, lens.params), []).append(copy.file)
    count = len(photos)
    pairs = nearby_pairs(poses) if count > ALL_PAIRS_UP_TO else None
    return {
        "photos": {
            copy.file: {"world_to_camera": pose[:3].tolist(), "reduced": copy.full_size[0] / copy.size[0]}
            for copy, pose in zip(prepared, poses, strict=True)
        },
        "cameras": [
            {"model": model, "params": params, "files": files}
            for (model, _, _, params), files in cameras.items()
        ],
        "pairs": None if pairs is None else [(prepared[i].file, prepared[j].file) for i, j in pairs],
        "masked": any(copy.masked for copy in prepared),
        "max_features": features_for_pairs(count * (count - 1) / 2 if pairs is None else len(pairs)),
        "first_octave": first_octave([copy.size for copy in prepared]),
    }


def _read_found(path: Path) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    with np.load(path) as arrays:
        return arrays["positions"], arrays["colors"]
