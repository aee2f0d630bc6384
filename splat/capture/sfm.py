"""Structure from motion, run in a process of its own (``sfm_worker``)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splat.capture.masks import MaskFile
from splat.capture.photos import Photo
from splat.capture.sfm_cache import SfmRecord, save_record
from splat.capture.sfm_effort import Matching, feature_limit, first_octave
from splat.capture.sfm_prepare import Prepared, prepare_photos
from splat.capture.worker import Say, run_worker


@dataclass(frozen=True)
class SfmTask:
    """What to solve and where.

    Attributes:
        photos: sorted by name.
        masks: by photo name.
        matching: every photo with every other, or with its neighbours in time.
        work: scratch folder; the result goes to its ``model``.
        log: file for the solver's own words.
    """

    photos: list[Photo]
    masks: dict[str, MaskFile]
    matching: Matching
    work: Path
    log: Path


def run_sfm(task: SfmTask, mark: str, say: Say) -> SfmRecord:
    """Find the cameras; the model, with its record, is in ``task.work / "model"`` afterwards.

    The record has 0 registered photos (and there is no model) where nothing could be solved.

    Raises:
        SplatError: a photo cannot be read, or the solver broke down.
    """
    start = time.perf_counter()
    say(f"Finding the cameras of {len(task.photos)} photos")
    prepared = prepare_photos(task.photos, task.masks, task.work)
    result = run_worker(
        "splat.capture.sfm_worker",
        _job(task, prepared),
        task.work,
        task.log,
        say,
        "The search for the cameras",
    )
    record = SfmRecord(
        fingerprint=mark,
        photos=len(task.photos),
        registered=result["registered"],
        points=result["points"],
        reprojection_error=result["reprojection_error"],
        seconds=round(time.perf_counter() - start, 2),
        notes=result["notes"],
    )
    if record.registered:
        save_record(task.work / "model", record)
    return record


def _job(task: SfmTask, prepared: list[Prepared]) -> dict[str, Any]:
    groups: dict[str, dict[str, Any]] = {}
    for photo in prepared:
        group = groups.setdefault(photo.camera, {"files": [], "focal": photo.focal})
        group["files"].append(photo.file)
    return {
        "photos": {photo.file: {"name": photo.name, "size": photo.full_size} for photo in prepared},
        "groups": list(groups.values()),
        "matching": task.matching,
        "masked": any(photo.masked for photo in prepared),
        "max_features": feature_limit(len(prepared), task.matching),
        "first_octave": first_octave([photo.size for photo in prepared]),
    }
