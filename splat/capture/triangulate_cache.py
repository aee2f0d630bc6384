"""The cache of triangulated points: ``model/`` with points.npz (original world) and the record."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from splat.capture.check import UsablePhoto
from splat.capture.sfm_cache import RECORD, SfmRecord, load_record, model_folder, sample, save_record

VERSION = 1
"""Part of every fingerprint; raise it when the solver changes what it finds."""

_FILE = "points.npz"


@dataclass(frozen=True)
class Points:
    """What was found.

    Attributes:
        record: how it went.
        positions: [P, 3] float64, original world; P is 0 where points could not be had.
        colors: [P, 3] uint8.
    """

    record: SfmRecord
    positions: NDArray[np.float64]
    colors: NDArray[np.uint8]


def fingerprint(photos: list[UsablePhoto]) -> str:
    """Hash of the photos' names and samples of their bytes, their masks, lenses and poses.

    Numbers are rounded to nine digits: readers work poses out, and another machine may do so with
    another last bit.
    """
    digest = hashlib.sha256(f"splat points {VERSION}".encode())
    for photo in photos:
        posed = photo.posed
        digest.update(
            f"\n{posed.name} {sample(posed.path)} {photo.upright}".encode("utf-8", "surrogateescape")
        )
        lens = posed.lens
        numbers = " ".join(f"{value:.9g}" for value in lens.params)
        digest.update(f" {lens.model} {lens.width} {lens.height} {numbers}".encode())
        shift = posed.world_to_camera[:3, 3]
        far = max(1.0, float(np.abs(shift).max()))
        pose = np.concatenate([posed.world_to_camera[:3, :3].ravel(), shift / far])
        digest.update(f" {far:.9g} ".encode() + (np.round(pose, 9) + 0.0).tobytes())
        if posed.mask is not None:
            digest.update(f" mask {posed.mask.inverted} {sample(posed.mask.path)}".encode())
    return digest.hexdigest()


def load_points(cache: Path, mark: str) -> Points | None:
    """The points found in the same photos with the same cameras; None where there are none, or damaged."""
    record = load_record(cache, mark)
    if record is None:
        return None
    try:
        with np.load(model_folder(cache) / _FILE) as arrays:
            points = Points(record, arrays["positions"], arrays["colors"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    whole = points.positions.shape == points.colors.shape == (record.points, 3)
    return points if whole else None


def is_of_others(cache: Path, mark: str) -> bool:
    """Whether a record can be read and is of other photos or cameras."""
    try:
        content = json.loads((model_folder(cache) / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("fingerprint", mark) != mark


def save_points(work: Path, points: Points) -> None:
    """Make ``work/model``."""
    (work / "model").mkdir()
    np.savez(work / "model" / _FILE, positions=points.positions, colors=points.colors)
    save_record(work / "model", points.record)
