"""Blender / NeRF-synthetic folders: transforms_train.json, and transforms_test.json held out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from splat.capture.options import CaptureOptions
from splat.capture.points import read_points
from splat.capture.posed import PosedPhoto, PosedPhotos
from splat.capture.transforms import frame_photo, read_document
from splat.errors import SplatError

TRAIN_FILE = "transforms_train.json"
_TEST_FILE = "transforms_test.json"
_POINT_FILES = ("points3d.ply", "points3D.ply")


def read_blender(source: Path, options: CaptureOptions) -> PosedPhotos:
    """The training photos, and the test photos as held out where there is a test file.

    Raises:
        SplatError: a file is damaged, or none of the training photos exists.
    """
    train = _read_split(source / TRAIN_FILE, options)
    test = _read_split(source / _TEST_FILE, options) if (source / _TEST_FILE).is_file() else []
    if not any(photo.path.is_file() for photo in train):
        raise SplatError(
            f"None of the {len(train)} photos that {source / TRAIN_FILE} names exists",
            expected=f"files like {train[0].path} (or with .png added)",
        )
    if test:
        train = [replace(photo, held_out=False) for photo in train]
        test = [replace(photo, held_out=True) for photo in test]
    points = next((source / name for name in _POINT_FILES if (source / name).is_file()), None)
    xyz, rgb = read_points(points) if points else (np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
    return PosedPhotos(
        source="blender",
        root=source,
        found=len(train) + len(test),
        photos=train + test,
        points=xyz,
        point_colors=rgb,
    )


def _read_split(path: Path, options: CaptureOptions) -> list[PosedPhoto]:
    document = read_document(path)
    return [frame_photo(path, document, frame, i, options) for i, frame in enumerate(document["frames"])]
