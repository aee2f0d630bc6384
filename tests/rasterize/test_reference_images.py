"""Whole images: against an independent implementation, and what must not change them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from splat.cameras import Camera
from splat.gaussians import Antialias, Gaussians
from splat.rasterize import Rendered, RenderSettings, reference
from splat.rasterize.reference import rasterize_reference
from splat.rasterize.reference_project import rotations
from tests.rasterize.naive import naive_render
from tests.rasterize.scenes import cast, posed, random_scene

NAMES = ("color", "alpha", "depth", "median_depth", "normals")
SETTINGS = RenderSettings(geometry=True, background=(0.1, 0.2, 0.3))


def assert_same(got: Rendered, want: Rendered, tolerance: float = 1e-11) -> None:
    for name in NAMES:
        difference = (getattr(got, name) - getattr(want, name)).abs().max().item()
        assert difference <= tolerance, f"{name} differs by {difference}"


@pytest.mark.parametrize("antialias", ["none", "mip"])
@pytest.mark.parametrize("degree", [0, 2, 3])
def test_equals_the_naive_loop(antialias: Antialias, degree: int) -> None:
    scene, camera = random_scene(40, degree, size=0.2), posed(23, 18)
    settings = replace(SETTINGS, antialias=antialias)
    got, want = rasterize_reference(scene, camera, settings), naive_render(scene, camera, settings)
    for name in NAMES:
        assert np.allclose(getattr(got, name).numpy(), want[name], rtol=0, atol=1e-9), name
    assert (got.alpha > 0.9).any() and (got.alpha < 0.9).any()  # the case is not an empty one


@pytest.mark.parametrize("antialias", ["none", "mip"])
def test_generalised_exponentials_equal_the_naive_loop(antialias: Antialias) -> None:
    scene, camera = random_scene(40, 1, size=0.2), posed(23, 18)
    shape = torch.linspace(-4, 6, 40, dtype=torch.float64)  # beta 1.3 to 7.98
    scene = replace(scene, kernel="gef", shape=shape)
    settings = replace(SETTINGS, antialias=antialias)
    got, want = rasterize_reference(scene, camera, settings), naive_render(scene, camera, settings)
    for name in NAMES:
        assert np.allclose(getattr(got, name).numpy(), want[name], rtol=0, atol=1e-9), name
    plain = rasterize_reference(replace(scene, kernel="gaussian", shape=None), camera, settings)
    assert (plain.color - got.color).abs().max() > 0.05


def test_float32_is_close_to_float64() -> None:
    scene, camera = random_scene(200, 3), posed(40, 30)
    exact = rasterize_reference(scene, camera, SETTINGS)
    single = rasterize_reference(cast(scene, torch.float32), posed(40, 30, torch.float32), SETTINGS)
    assert single.color.dtype == torch.float32
    assert (single.color - exact.color).abs().mean() < 1e-6


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, camera = random_scene(150, 1), posed(37, 29)
    want = rasterize_reference(scene, camera, SETTINGS)
    for side in (5, 100):
        monkeypatch.setattr(reference, "BLOCK", side)
        assert_same(rasterize_reference(scene, camera, SETTINGS), want, 1e-13)


def moved(scene: Gaussians, camera: Camera) -> tuple[Gaussians, Camera, torch.Tensor]:
    """The scene and the camera under one rigid motion of the world; and its rotation."""
    quat = torch.tensor([0.3, -0.5, 0.7, 0.2], dtype=torch.float64)
    quat = quat / quat.norm()
    rotation, shift = rotations(quat[None])[0], torch.tensor([3.0, -1, 2], dtype=torch.float64)
    motion = torch.eye(4, dtype=torch.float64)
    motion[:3, :3], motion[:3, 3] = rotation, shift
    (w, v), (ws, vs) = (quat[0], quat[1:]), (scene.quats[:, 0], scene.quats[:, 1:])
    vector = w * vs + ws[:, None] * v + torch.linalg.cross(v.expand_as(vs), vs)
    quats = torch.cat([(w * ws - vs @ v)[:, None], vector], -1)
    world = replace(scene, means=scene.means @ rotation.T + shift, quats=quats)
    pose = camera.world_to_camera @ torch.linalg.inv(motion)
    return world, replace(camera, world_to_camera=pose), rotation


def test_rigid_motion_of_world_and_camera() -> None:
    scene, camera = random_scene(80, 0), posed(31, 22)
    want = rasterize_reference(scene, camera, SETTINGS)
    world, view, rotation = moved(scene, camera)
    got = rasterize_reference(world, view, SETTINGS)
    assert got.normals is not None
    assert_same(replace(got, normals=got.normals @ rotation), want)


def test_scaled_world() -> None:
    scene, camera = random_scene(80, 3), posed(31, 22)
    shift = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    pose = camera.world_to_camera.clone()
    pose[:3, 3] = 2.5 * pose[:3, 3] - pose[:3, :3] @ shift
    want = rasterize_reference(scene, camera, SETTINGS)
    got = rasterize_reference(scene.scaled(2.5, shift), replace(camera, world_to_camera=pose), SETTINGS)
    assert want.depth is not None and want.median_depth is not None
    assert_same(got, replace(want, depth=2.5 * want.depth, median_depth=2.5 * want.median_depth))


def test_rows_and_quaternion_lengths_do_not_matter() -> None:
    scene, camera = random_scene(80, 3), posed(31, 22)
    order = torch.randperm(80)
    shuffled = replace(scene, **{n: t[order] for n, t in scene.parameters().items()})
    shuffled.quats = shuffled.quats * torch.rand(80, 1, dtype=torch.float64).add(0.1) * -3
    got, want = (rasterize_reference(s, camera, SETTINGS) for s in (shuffled, scene))
    assert_same(got, want)
    assert torch.equal(got.visible, want.visible[order])
    assert torch.allclose(got.radii, want.radii[order], atol=1e-12)


def test_resized_camera_sees_the_same() -> None:
    """A pixel centre of the half-size image is a corner of the full-size one: compare along rays."""
    scene, camera = random_scene(60, 1, size=0.5), posed(30, 20)
    odd = rasterize_reference(scene, camera.resized(90, 60), replace(SETTINGS, antialias="mip"))
    base = rasterize_reference(scene, camera, replace(SETTINGS, antialias="mip"))
    assert (odd.color[1::3, 1::3] - base.color).abs().mean() < 0.01
