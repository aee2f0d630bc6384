"""Structure from motion, run in a process of its own.

The solver (pycolmap) does not return to Python for minutes and writes to the terminal as it likes; in
its own process it can be stopped at once and its words go to a log file.
"""

from __future__ import annotations

import errno
import json
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from splat.capture.masks import MaskFile
from splat.capture.photos import Photo
from splat.capture.sfm_cache import SfmRecord, save_record
from splat.capture.sfm_prepare import Prepared, prepare_photos
from splat.errors import SplatError
from splat.io.atomic import write_error

Matching = Literal["exhaustive", "sequential"]
Say = Callable[[str], None]

# Matching compares every feature of a photo with every feature of the other, so the number of
# features is chosen to keep pairs x features^2 near this (about 25 s on two cores).
_COMPARISONS = 1.4e10
_FEATURES = (2048, 8192)

# Up to this many pixels in all, features are also looked for at twice the photo's resolution: three
# quarters of the time of feature extraction, for features that are placed more exactly.
_PIXELS_FOR_FINE_FEATURES = 60e6

_LEAST_FREE = 4 << 20
"""Bytes; a solver that broke down with less free broke down for that."""


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
    (task.work / "job.json").write_text(json.dumps(_job(task, prepared)), encoding="utf-8")
    result = _run_worker(task, say)
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


def feature_limit(photos: int, matching: Matching) -> int:
    """How many features a photo to look for, so that matching them all stays affordable."""
    pairs = photos * (photos - 1) / 2 if matching == "exhaustive" else photos * 20
    wanted = int(math.sqrt(_COMPARISONS / max(pairs, 1)))
    return min(max(wanted, _FEATURES[0]), _FEATURES[1])


def _job(task: SfmTask, prepared: list[Prepared]) -> dict[str, Any]:
    pixels = sum(photo.size[0] * photo.size[1] for photo in prepared)
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
        "first_octave": -1 if pixels <= _PIXELS_FOR_FINE_FEATURES else 0,
    }


def _run_worker(task: SfmTask, say: Say) -> dict[str, Any]:
    command = [sys.executable, "-m", "splat.capture.sfm_worker", str(task.work)]
    with open(task.log, "w", encoding="utf-8") as log:
        # Its own session: Ctrl-C reaches us alone, and we stop it. Its stdin ends when we do.
        worker = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        try:
            result = _listen(worker, say)
            code = worker.wait()
        finally:
            worker.kill()
            worker.communicate()
    if result is None:
        if shutil.disk_usage(task.work).free < _LEAST_FREE:
            raise write_error(task.work, OSError(errno.ENOSPC, "No space left on device"))
        raise SplatError(
            f"The search for the cameras broke down (exit code {code}; {_last_words(task.log)})",
            advice=f"Look into {task.log}; if memory ran out, use fewer or smaller photos",
        )
    return result


def _listen(worker: subprocess.Popen[str], say: Say) -> dict[str, Any] | None:
    result = None
    assert worker.stdout is not None
    for line in worker.stdout:
        kind, _, text = line.rstrip("\n").partition(" ")
        if kind == "SAY":
            say(text)
        elif kind == "DONE":
            result = json.loads(text)
    return result


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing"
