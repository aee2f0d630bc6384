"""The sample's photos, depth and cameras agree with each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from datasets.sample import PinholeCamera, render, still_life, walk
from datasets.sample.scene import Scene
from datasets.sample.stage import ROOM, TABLE_TOP
from splat.cameras import Camera


def unproject(camera: PinholeCamera, depth: NDArray[Any]) -> NDArray[np.float64]:
    """World points [H, W, 3] of a depth map, from the definition of the camera."""
    matrix, pose = camera.intrinsics, camera.world_to_camera
    x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    local = np.stack(
        [(x - matrix[0, 2]) / matrix[0, 0] * depth, (y - matrix[1, 2]) / matrix[1, 1] * depth, depth], axis=-1
    )
    return (local - pose[:3, 3]) @ pose[:3, :3]


def project(camera: PinholeCamera, points: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Pixel positions [..., 2] and z-depth [...] of world points."""
    local = points @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
    image = local @ camera.intrinsics.T
    return image[..., :2] / image[..., 2:], local[..., 2]


def test_a_known_point_lands_on_its_pixel_with_its_depth(scene: Scene) -> None:
    camera = walk(34, 320, 240)[0]
    depth = render(scene, camera, supersample=1).depth
    corner = np.array([0.6, -0.5, TABLE_TOP])  # on the table, in front, nothing before it
    (x, y), z = project(camera, corner)
    assert 0 < x < 320 and 0 < y < 240
    seen = unproject(camera, depth)[int(y), int(x)]
    assert abs(depth[int(y), int(x)] - z) < 0.03
    np.testing.assert_allclose(seen[2], TABLE_TOP, atol=2e-4)
    assert np.linalg.norm(seen - corner) < 0.02


def test_every_pixel_sees_something_inside_the_room(scene: Scene) -> None:
    for camera in walk(34, 96, 72)[::9]:
        points = unproject(camera, render(scene, camera, supersample=1).depth)
        assert np.isfinite(points).all()
        assert (np.abs(points[..., 0]) < ROOM[0] + 1e-3).all()
        assert (np.abs(points[..., 1]) < ROOM[1] + 1e-3).all()
        assert (points[..., 2] > -1e-3).all()


def test_two_views_agree_on_depth_and_colour(scene: Scene) -> None:
    first, second = (walk(34, 320, 240)[index] for index in (3, 4))
    one, two = (render(scene, camera) for camera in (first, second))
    (pixel, z) = project(second, unproject(first, one.depth))
    x, y = np.floor(pixel[..., 0]).astype(int), np.floor(pixel[..., 1]).astype(int)
    inside = (x >= 1) & (x < 319) & (y >= 1) & (y < 239)
    x, y, z = x[inside], y[inside], z[inside]
    # What one camera sees, the other cannot see through: its own surface there is as near, or nearer.
    nearest = np.minimum.reduce([two.depth[y + j, x + i] for i in (-1, 0, 1) for j in (-1, 0, 1)])
    assert (nearest < z + 0.005).mean() > 0.9995
    same = np.abs(two.depth[y, x] - z) < 0.02
    assert same.mean() > 0.75
    colour = one.rgb[inside][same].astype(float)

    def difference(shift: int) -> float:
        return float(np.abs(two.rgb[y[same], np.clip(x[same] + shift, 0, 319)] - colour).mean())

    assert difference(0) < 8
    assert difference(0) < 0.6 * min(difference(-1), difference(1))


def test_takes_the_program_s_own_camera(scene: Scene) -> None:
    camera = walk(34, 64, 48)[5]
    same = Camera(
        torch.as_tensor(camera.world_to_camera),
        torch.as_tensor(camera.intrinsics),
        camera.width,
        camera.height,
    )
    ours, theirs = render(scene, camera), render(scene, same)
    assert np.array_equal(ours.rgb, theirs.rgb) and np.array_equal(ours.depth, theirs.depth)


def test_no_photo_is_empty_or_flat(scene: Scene) -> None:
    for camera in walk(34, 160, 120)[::8]:
        grey = render(scene, camera).rgb.mean(axis=2)
        assert 60 < grey.mean() < 170
        assert ((grey > 4) & (grey < 251)).mean() > 0.98
        blocks = grey.reshape(6, 20, 8, 20).std(axis=(1, 3))
        assert (blocks > 3).mean() > 0.95


def test_the_lamp_casts_a_shadow_under_the_table(scene: Scene) -> None:
    floor = 5  # of the room's sides
    room = scene.shapes[0]
    points = np.array([[-0.2, 0.2, 0], [0, -1.8, 0]], dtype=np.float32).T
    surface = room.surface(points)
    assert (surface.chart == floor).all()
    zeros = np.zeros(2, dtype=np.int64)
    shaded, lit = scene.light.sample(surface.chart.astype(np.int64), zeros, surface.u, surface.v)
    assert shaded[2] < 0.1 and lit[2] > 0.9
    assert shaded[0] < 0.1 * lit[0] and shaded[1] < 0.8 * lit[1]


def test_the_same_seed_makes_the_same_scene(scene: Scene) -> None:
    again = still_life.__wrapped__(0)
    assert np.array_equal(again.albedo.texels, scene.albedo.texels)
    assert np.array_equal(again.light.texels, scene.light.texels)
