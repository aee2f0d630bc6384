"""Blender folders: transparency, and the test file as the held-out set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from splat.capture import CaptureOptions, open_capture
from splat.errors import SplatError
from tests.capture.scenes import camera_to_world_opengl, ring, save


def write(folder: Path, split: str, count: int) -> None:
    """A split of half transparent photos, red where they are opaque."""
    frames = []
    for i, pose in enumerate(ring(count)):
        rgba = np.zeros((40, 40, 4), np.uint8)
        rgba[:, 20:] = [200, 0, 0, 255]
        rgba[:, :20] = [0, 255, 0, 0]
        save(folder / split / f"r_{i}.png", rgba)
        frames.append({"file_path": f"./{split}/r_{i}", "transform_matrix": camera_to_world_opengl(pose)})
    document = {"camera_angle_x": 0.7, "frames": frames}
    (folder / f"transforms_{split}.json").write_text(json.dumps(document))


def test_test_file_is_held_out(tmp_path: Path) -> None:
    write(tmp_path, "train", 5)
    write(tmp_path, "test", 3)
    capture = open_capture(tmp_path, CaptureOptions(), progress=lambda _: None)
    assert capture.summary.source == "blender"
    assert [capture.views[i].name for i in capture.test] == [f"test/r_{i}.png" for i in range(3)]
    assert [capture.views[i].name for i in capture.train] == [f"train/r_{i}.png" for i in range(5)]
    assert capture.points.shape == (0, 3)


def test_without_a_test_file_every_nth_is_held_out(tmp_path: Path) -> None:
    write(tmp_path, "train", 5)
    capture = open_capture(tmp_path, CaptureOptions(test_every=4), progress=lambda _: None)
    assert capture.test == [0, 4]


@pytest.mark.parametrize(
    ("name", "rgb"), [(None, (1.0, 1.0, 1.0)), ("white", (1.0, 1.0, 1.0)), ("black", (0.0, 0.0, 0.0))]
)
def test_transparency_is_kept_and_the_background_chosen(tmp_path: Path, name: str | None, rgb: tuple) -> None:
    write(tmp_path, "train", 5)
    capture = open_capture(tmp_path, CaptureOptions(background=name), progress=lambda _: None)  # type: ignore[arg-type]
    assert capture.background == rgb and capture.summary.notes == []
    pixels = capture.views[0].load()
    assert pixels.alpha is not None
    assert (pixels.alpha[:, :20] == 0).all() and (pixels.alpha[:, 20:] == 255).all()
    assert (pixels.rgb[:, 20:] == [200, 0, 0]).all()


def test_hidden_colours_do_not_bleed_when_reduced(tmp_path: Path) -> None:
    write(tmp_path, "train", 5)
    capture = open_capture(tmp_path, CaptureOptions(max_size=17), progress=lambda _: None)
    pixels = capture.views[0].load()
    assert pixels.alpha is not None and pixels.rgb.shape == (17, 17, 3)
    # At 17 pixels the middle column is half transparent: red with alpha about 128, not brown.
    seen = pixels.alpha > 0
    assert (pixels.rgb[seen] == [200, 0, 0]).all()


def test_all_photos_missing_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "train", 5)
    for photo in (tmp_path / "train").iterdir():
        photo.unlink()
    with pytest.raises(SplatError, match="None of the 5 photos"):
        open_capture(tmp_path, CaptureOptions(), progress=lambda _: None)
