"""The cache of structure from motion: a whole model or none.

``model/`` holds the COLMAP binary model (at the original photos' sizes) and our splat.json;
``sfm.log`` is what the solver said.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from splat.capture.masks import MaskFile
from splat.capture.photos import Photo
from splat.capture.sfm_effort import Matching
from splat.io.atomic import write_error

VERSIONS = {"exhaustive": 1, "sequential": 2}
"""By matching, part of every fingerprint; raise it when the solver changes what it finds."""

RECORD = "splat.json"
"""The record's file in a model's folder."""
_SAMPLE = 1 << 16


@dataclass(frozen=True)
class SfmRecord:
    """What is known of a solution besides the model itself.

    Attributes:
        fingerprint: of the photos and settings it was made from.
        photos: photos that went in.
        registered: photos that have a camera.
        points: sparse points.
        reprojection_error: mean, in pixels of the original photos.
        seconds: wall time.
        notes: sentences for a person.
    """

    fingerprint: str
    photos: int
    registered: int
    points: int
    reprojection_error: float
    seconds: float
    notes: list[str] = field(default_factory=list)


def model_folder(cache: Path) -> Path:
    """Where the model lies in a cache."""
    return cache / "model"


def fingerprint(photos: list[Photo], masks: dict[str, MaskFile], matching: Matching) -> str:
    """Hash of the photos' names, sizes and samples of their bytes, the masks and the settings."""
    digest = hashlib.sha256(f"splat sfm {VERSIONS[matching]} {matching}".encode())
    for photo in photos:
        digest.update(f"\n{photo.name} {sample(photo.path)}".encode("utf-8", "surrogateescape"))
        mask = masks.get(photo.name)
        if mask is not None:
            digest.update(f" mask {mask.inverted} {sample(mask.path)}".encode())
    return digest.hexdigest()


def load_record(cache: Path, mark: str) -> SfmRecord | None:
    """The record of a solution made from the same photos; None where there is none."""
    try:
        content = json.loads((model_folder(cache) / RECORD).read_text(encoding="utf-8"))
        record = SfmRecord(**content)
    except (OSError, ValueError, TypeError):
        return None
    return record if record.fingerprint == mark else None


def save_record(folder: Path, record: SfmRecord) -> None:
    """Put the record beside the model's files."""
    (folder / RECORD).write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")


@contextmanager
def publish(cache: Path, mark: str) -> Iterator[Path]:
    """A temporary folder whose ``model`` becomes the cache's when the block ends well.

    A run that is killed leaves at most a temporary folder, never half a model; what such runs left
    is removed first.

    Raises:
        SplatError: the cache cannot be written.
    """
    work = None
    try:
        cache.mkdir(parents=True, exist_ok=True)
        for stale in cache.glob("working-*"):
            shutil.rmtree(stale, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f"working-{mark[:8]}-", dir=cache))
        yield work
        if model_folder(cache).exists():
            shutil.move(model_folder(cache), work / "old")
        (work / "model").rename(model_folder(cache))
    except OSError as error:
        raise write_error(cache, error) from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)


def sample(path: Path) -> str:
    """Size and hash of a file's beginning and end: quick, and copies of a file are alike."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        digest = hashlib.sha256(file.read(_SAMPLE))
        file.seek(max(0, size - _SAMPLE))
        digest.update(file.read(_SAMPLE))
    return f"{size} {digest.hexdigest()}"
