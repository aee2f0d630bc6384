"""Where rendered cameras stand and look."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from splat.cameras import Camera
from splat.cli import camera_path
from splat.cli.camera_path import Lens

LENS = Lens(80, 60, 70.0)
DOWN = np.array([0.0, 1.0, 0.0])
NOTHING = np.zeros((0, 3))


def ring(target: np.ndarray, radius: float, turns: np.ndarray, height: float = 0.5) -> list[Camera]:
    """Cameras on a horizontal arc round ``target``, y down, ``height`` above it."""
    places = [target + [radius * np.cos(t), -height, radius * np.sin(t)] for t in turns]
    return [LENS.looking(place, target, -DOWN) for place in places]


def place(camera: Camera) -> np.ndarray:
    return camera.position.double().numpy()


def ahead(camera: Camera) -> np.ndarray:
    return camera.world_to_camera[2, :3].double().numpy()


def test_looking_is_a_proper_opencv_camera() -> None:
    camera = LENS.looking(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 9.0]), -DOWN)
    expected = torch.eye(4)
    expected[:3, 3] = torch.tensor([-1.0, -2.0, -3.0])
    assert torch.allclose(camera.world_to_camera, expected, atol=1e-6)
    assert camera.principal_point == (40, 30) and camera.focal == (70, 70)


@pytest.mark.parametrize("up", [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
def test_looking_along_up_is_still_a_rotation(up: list[float]) -> None:
    rotation = LENS.looking(np.zeros(3), np.array([0.0, 0.0, 5.0]), np.array(up)).world_to_camera[:3, :3]
    assert torch.allclose(rotation @ rotation.T, torch.eye(3), atol=1e-6)
    assert torch.linalg.det(rotation) == pytest.approx(1.0)


def test_lens_never_shows_more_than_the_photos() -> None:
    cameras = ring(np.zeros(3), 2, np.linspace(0, 6, 5))
    assert camera_path.lens_for(cameras, None) == LENS
    for size in [(160, 60), (40, 60), (800, 600)]:
        lens = camera_path.lens_for(cameras, size)
        assert (lens.width, lens.height) == size
        assert lens.width / lens.focal <= 80 / 70 + 1e-9
        assert lens.height / lens.focal <= 60 / 70 + 1e-9


def test_look_at_point_is_where_axes_meet() -> None:
    target = np.array([3.0, -1.0, 2.0])
    cameras = ring(target, 2, np.linspace(0, 2, 6))
    assert np.allclose(camera_path.look_at_point(cameras, NOTHING), target, atol=1e-5)


def test_look_at_point_of_parallel_axes_is_at_scene_depth() -> None:
    cameras = [
        LENS.looking(np.array([x, 0.0, 0.0]), np.array([x, 0.0, 1.0]), -DOWN) for x in (-1.0, 0.0, 1.0)
    ]
    points = np.array([[0, 0, 4.0], [1, 1, 5.0], [0, 2, 6.0], [0, 0, -50.0]])
    assert np.allclose(camera_path.look_at_point(cameras, points), [0, 0, 5], atol=1e-5)


def test_look_at_point_is_not_behind_cameras_that_look_outwards() -> None:
    cameras = [
        LENS.looking(np.array([np.cos(t), 0, np.sin(t)]), 3 * np.array([np.cos(t), 0, np.sin(t)]), -DOWN)
        for t in np.linspace(-0.6, 0.6, 5)
    ]
    points = np.array([[4.0, 0, 0]] * 3)
    assert camera_path.look_at_point(cameras, points)[0] > 2


def test_orbit_of_a_full_ring_is_the_ring() -> None:
    target = np.array([1.0, 2.0, 3.0])
    cameras = camera_path.orbit(ring(target, 2, np.linspace(0, 2 * np.pi, 9)[:-1]), NOTHING, LENS, 16)
    assert len(cameras) == 16
    offsets = np.stack([place(camera) for camera in cameras]) - target
    assert np.allclose(np.linalg.norm(offsets, axis=1), np.hypot(2, 0.5), atol=1e-4)
    assert np.allclose(offsets[:, 1], -0.5, atol=1e-4)
    for camera, offset in zip(cameras, offsets, strict=True):
        assert ahead(camera) @ -offset / np.linalg.norm(offset) == pytest.approx(1, abs=1e-5)
    azimuth = np.unwrap(np.arctan2(offsets[:, 2], offsets[:, 0]))
    assert np.allclose(np.abs(np.diff(azimuth)), 2 * np.pi / 16, atol=1e-4)


def test_orbit_stays_within_what_was_seen() -> None:
    turns = np.linspace(0.3, 1.3, 7)
    cameras = camera_path.orbit(ring(np.zeros(3), 2, turns), NOTHING, LENS, 24)
    places = np.stack([place(camera) for camera in cameras])
    azimuth = np.arctan2(places[:, 2], places[:, 0])
    assert azimuth.min() >= 0.3 and azimuth.max() <= 1.3
    assert np.ptp(azimuth) > 0.7
    steps = np.linalg.norm(np.diff(np.vstack([places, places[:1]]), axis=0), axis=1)
    assert steps.max() < 0.3, "the path closes without a jump"


def test_covered_arc_crosses_the_seam() -> None:
    start, length = camera_path.covered_arc(np.array([3.0, -3.0, -2.8]))
    assert start == pytest.approx(3.0)
    assert length == pytest.approx(2 * np.pi - 2.8 - 3.0)


def test_through_passes_the_cameras_evenly() -> None:
    keys = ring(np.zeros(3), 2, np.linspace(0, 1, 5))
    path = camera_path.through(keys, LENS, 41)
    for index, key in enumerate(keys):
        assert torch.allclose(path[10 * index].world_to_camera, key.world_to_camera, atol=1e-4)
    steps = np.linalg.norm(np.diff(np.stack([place(camera) for camera in path]), axis=0), axis=1)
    assert steps.max() < 1.2 * steps.min()


def test_through_orders_scattered_photos() -> None:
    keys = ring(np.zeros(3), 2, np.linspace(0, 3, 40))
    shuffled = [keys[index] for index in np.random.default_rng(0).permutation(40)]
    order = camera_path.travel_order(np.stack([place(camera) for camera in shuffled]))
    assert sorted(order) == list(range(40)) and order != list(range(40))
    assert camera_path.travel_order(np.stack([place(camera) for camera in keys])) == list(range(40))


def test_one_camera_is_a_still_path() -> None:
    key = ring(np.zeros(3), 2, np.array([0.5]))[0]
    for path in (camera_path.through([key], LENS, 4), camera_path.orbit([key], np.zeros((1, 3)), LENS, 4)):
        assert len(path) == 4
        assert all(torch.isfinite(camera.world_to_camera).all() for camera in path)


def test_orbit_of_points_sees_the_scene() -> None:
    points = np.random.default_rng(0).normal(size=(500, 3)) + [10, 0, 0]
    for camera in camera_path.orbit_of_points(points, LENS, 5):
        seen = points @ camera.world_to_camera[:3, :3].double().numpy().T
        seen = seen + camera.world_to_camera[:3, 3].double().numpy()
        pixels = 70 * seen[:, :2] / seen[:, 2:] + [40, 30]
        inside = (seen[:, 2] > 0) & (pixels >= 0).all(1) & (pixels[:, 0] < 80) & (pixels[:, 1] < 60)
        assert inside.mean() > 0.8
        assert place(camera)[1] < 0, "from above, y down"


def test_exactly_keeps_cameras_or_puts_them_behind_one_lens() -> None:
    keys = ring(np.zeros(3), 2, np.linspace(0, 1, 3))
    assert camera_path.exactly(keys, None) == keys
    larger = camera_path.exactly(keys, (160, 120))
    assert {(camera.width, camera.height, camera.focal[0]) for camera in larger} == {(160, 120, 140.0)}
    assert torch.allclose(larger[2].world_to_camera, keys[2].world_to_camera, atol=1e-5)
