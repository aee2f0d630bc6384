"""Structure from motion on real photos, against ground truth where there is some."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from splat.capture import CaptureOptions, open_capture
from splat.capture.types import Capture
from tests.capture.alignment import pose_error
from tests.capture.scenes import OPENGL
from tests.capture.test_sfm import camera_to_world

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def solve(photos: Path, cache: Path) -> Capture:
    """The capture of a folder of raw photos."""
    return open_capture(photos, CaptureOptions(), cache, lambda _: None)


def test_poses_of_strechas_fountain(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "strecha_fountain-P11"
    document = json.loads((folder / "transforms_gt.json").read_text())
    truth = {
        Path(frame["file_path"]).name: np.array(frame["transform_matrix"]) @ OPENGL
        for frame in document["frames"]
    }
    capture = solve(folder / "images", tmp_path)
    assert len(capture.views) == 11
    found = [camera_to_world(capture, i) for i in range(11)]
    error = pose_error(found, [truth[view.name] for view in capture.views])
    assert error.position < 0.005
    assert error.degrees < 0.2


@pytest.mark.parametrize(
    ("name", "least"), [("fox", 49), ("banana", 14), ("sceaux", 11)], ids=["fox", "banana", "sceaux"]
)
def test_photos_are_registered(shared_data: Path, tmp_path: Path, name: str, least: int) -> None:
    capture = solve(shared_data / name / "images", tmp_path)
    assert capture.summary.registered >= least
    assert capture.summary.reprojection_error is not None and capture.summary.reprojection_error < 1.0


def test_a_hard_walk_registers_or_says_what_to_do(shared_data: Path, tmp_path: Path) -> None:
    summary = solve(shared_data / "lund/images", tmp_path).summary
    told = any("more photos" in note for note in summary.notes)
    assert summary.registered >= 0.8 * summary.photos or told
