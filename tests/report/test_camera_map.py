"""The map of camera places."""

from __future__ import annotations

import re

import numpy as np

from splat.report.camera_map import SIZE, camera_map


def view(center: tuple[float, float, float], split: str = "train") -> dict:
    pose = np.eye(4)
    pose[:3, 3] = -np.array(center)
    return {"world_to_camera": pose.tolist(), "split": split}


def test_places_keep_their_shape() -> None:
    centers = [(0.0, 0.0, 0.0), (4.0, 0.0, 0.0), (0.0, 0.1, 2.0)]
    svg = camera_map([view(c) for c in centers])
    places = [tuple(map(float, p)) for p in re.findall(r'circle cx="([\d.-]+)" cy="([\d.-]+)"', svg)]
    a, b, c = (np.array(p) for p in places)
    assert abs(np.linalg.norm(b - a) / np.linalg.norm(c - a) - 4 / np.hypot(0.1, 2)) < 0.05
    assert all(0 <= v <= SIZE for place in places for v in place)


def test_held_out_views_differ() -> None:
    svg = camera_map([view((0, 0, 0)), view((1, 0, 0), "test"), view((0, 0, 1))])
    assert svg.count('<g class="test">') == 1 and svg.count('<g class="train">') == 2


def test_unusable_poses_are_left_out() -> None:
    bad = [{"world_to_camera": None}, {"world_to_camera": [[1, 2]]}, {"world_to_camera": "x"}, {}]
    assert camera_map([*bad, view((0, 0, 0))]) == ""
    assert camera_map([]) == ""
    assert "2 cameras" in camera_map([*bad, view((0, 0, 0)), view((1, 0, 0))])
