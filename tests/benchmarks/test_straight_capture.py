"""A capture written without distortion reads back as the same capture."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from splat.capture import CaptureOptions, open_capture

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from straight_capture import write_straight  # noqa: E402


def bent_capture(folder: Path) -> None:
    folder.mkdir()
    generator = np.random.default_rng(0)
    frames = []
    for index in range(9):
        smooth = generator.integers(0, 255, (3, 4, 3), dtype=np.uint8)
        Image.fromarray(smooth).resize((48, 36)).save(folder / f"{index}.png")
        pose = np.eye(4)
        pose[:3, 3] = generator.normal(size=3)
        frames.append({"file_path": f"{index}.png", "transform_matrix": pose.tolist()})
    lens = {"fl_x": 40.0, "fl_y": 41.0, "cx": 23.0, "cy": 18.5, "w": 48, "h": 36, "k1": 0.05, "k2": 0.01}
    (folder / "transforms.json").write_text(json.dumps({**lens, "frames": frames}))


def test_the_same_capture_comes_back(tmp_path: Path) -> None:
    bent_capture(tmp_path / "bent")
    first = open_capture(tmp_path / "bent", CaptureOptions(), progress=lambda _: None)
    points, colors = torch.randn(7, 3), torch.randint(0, 255, (7, 3), dtype=torch.uint8)
    first = replace(first, points=points, point_colors=colors)
    write_straight(first, tmp_path / "straight")
    again = open_capture(tmp_path / "straight", CaptureOptions(test_every=3), progress=lambda _: None)
    assert (again.train, again.test) == (first.train, first.test)
    assert torch.equal(again.point_colors, colors)
    scale = float(again.transform[0, 0])
    shift = torch.from_numpy(again.transform[:3, 3]).float()
    torch.testing.assert_close(again.points, scale * points + shift, rtol=1e-5, atol=1e-5)
    for before, after in zip(first.views, again.views, strict=True):
        assert (after.camera.width, after.camera.height) == (before.camera.width, before.camera.height)
        torch.testing.assert_close(after.camera.intrinsics, before.camera.intrinsics)
        rotations = [view.camera.world_to_camera[:3, :3] for view in (before, after)]
        torch.testing.assert_close(*rotations, rtol=0, atol=1e-5)
        moved = scale * before.camera.position + shift
        torch.testing.assert_close(after.camera.position, moved, rtol=1e-5, atol=1e-5)
        difference = after.load().rgb.astype(int) - before.load().rgb
        assert np.abs(difference).mean() < 3
