"""The CUDA driver's projection, emulated: who is seen, how large, in which colour."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from splat.gaussians import Antialias, Gaussians
from splat.rasterize import Rendered, RenderSettings, rasterize
from splat.rasterize.native import rasterize_native
from tests.cuda.emulated import EmulatedCore
from tests.rasterize.compare import assert_images_close, boundary_band
from tests.rasterize.scenes import (
    EXTREMES,
    cast,
    extreme_scene,
    joined,
    one_splat,
    pinhole,
    posed,
    random_scene,
)
from tests.rasterize.test_native_kernels import PAIRS, scene_of

pytestmark = pytest.mark.usefixtures("emulated_backend")

WIDTH, HEIGHT = 40, 33


def native(scene: Gaussians, settings: RenderSettings) -> Rendered:
    """Past the checks of ``rasterize``, which let no NaN through."""
    with torch.no_grad():
        return rasterize_native(scene, posed(WIDTH, HEIGHT, torch.float32), settings)


def assert_projected_as_the_reference(scene: Gaussians, settings: RenderSettings) -> Rendered:
    """Visibility, radii and images, float32 against float64."""
    camera = posed(WIDTH, HEIGHT, torch.float32)
    got = native(cast(scene, torch.float32), settings)
    with torch.no_grad():
        want = rasterize(cast(scene, torch.float64), camera, settings, backend="reference")
    assert torch.equal(got.visible, want.visible)
    assert torch.allclose(got.radii.double(), want.radii, rtol=1e-4, atol=1e-4)
    assert_images_close(got, want, boundary_band(scene, camera, settings))
    return got


@pytest.mark.parametrize("geometry", [False, True])
@pytest.mark.parametrize(("kernel", "antialias"), PAIRS)
def test_footprints(kernel: str, antialias: Antialias, geometry: bool) -> None:
    """With splats behind the camera, outside the view, and too faint; not a whole number of warps."""
    scene = scene_of(kernel, 150, 11)
    scene.means[::9, 2] -= 8
    scene.logit_opacities[::11] = -7.0
    settings = RenderSettings(antialias=antialias, geometry=geometry)
    rendered = assert_projected_as_the_reference(scene, settings)
    assert 20 < rendered.visible.sum() < 130


@pytest.mark.parametrize(("stored", "used"), [(s, u) for s in range(4) for u in range(s + 1)])
def test_colors(stored: int, used: int) -> None:
    """Every degree from rows of every length, whole float4s or not."""
    scene = random_scene(75, stored, seed=5, size=0.15)
    assert_projected_as_the_reference(scene, RenderSettings(sh_degree=used))


@pytest.mark.parametrize("degree", [0, 1, 3])
def test_coefficients_that_are_not_aligned(degree: int) -> None:
    """As a part of a larger tensor."""
    scene = random_scene(75, degree, seed=6, dtype=torch.float32)
    store = torch.empty(scene.sh.numel() + 1)
    moved = store[1:].view_as(scene.sh)
    moved[:] = scene.sh
    assert moved.data_ptr() % 16 == 4
    got, want = native(replace(scene, sh=moved), RenderSettings()), native(scene, RenderSettings())
    assert torch.equal(got.color, want.color)


@pytest.mark.parametrize("degree", [0, 2, 3])
def test_bad_colors(degree: int) -> None:
    """NaN counts as 0, infinity as a large number that leaves other pixels alone."""
    scene = random_scene(75, degree, seed=7, dtype=torch.float32)
    dark = scene.sh.clone()
    scene.sh[::4, :, 1] = float("nan")
    dark[::4, :, 1] = 0.0
    dark[::4, 0, 1] = -10.0
    got, want = native(scene, RenderSettings()), native(replace(scene, sh=dark), RenderSettings())
    assert torch.equal(got.color, want.color)
    scene.sh[:] = 0.0
    scene.sh[0, 0] = float("inf")
    scene.means[0] = torch.tensor([0.0, 0.0, 4.0])
    assert bool(native(scene, RenderSettings()).color.isfinite().all())


@pytest.mark.parametrize("kind", EXTREMES)
@pytest.mark.parametrize("antialias", ["none", "exact"])
def test_extremes(kind: str, antialias: Antialias) -> None:
    """Numbers far from ordinary stay numbers, and who is not seen has no radius."""
    rendered = native(extreme_scene(kind, 90), RenderSettings(antialias=antialias, geometry=True))
    for image in (rendered.color, rendered.alpha, rendered.depth, rendered.normals):
        assert image is not None and bool(image.isfinite().all())
    assert torch.equal(rendered.visible, rendered.radii > 0)


@pytest.mark.parametrize("name", ["means", "quats", "log_scales", "logit_opacities", "sh"])
def test_splats_that_are_not_seen_may_hold_anything(name: str) -> None:
    """A warp of them behind the camera, and some among others."""
    scene = random_scene(200, 3, seed=8, dtype=torch.float32)
    scene.means[:70, 2] = -3.0
    scene.means[::6, 2] = -3.0
    unseen = scene.means[:, 2] < 0
    want = native(scene, RenderSettings())
    getattr(scene, name)[unseen] = float("nan")
    got = native(scene, RenderSettings())
    assert torch.equal(got.color, want.color) and torch.equal(got.radii, want.radii)


def test_depths_at_the_clipping_planes() -> None:
    """Open at both ends, as in the reference; each in a warp of its own."""
    settings = RenderSettings(near=2.0, far=4.0)
    depths = [2.0, 2.0000002, 3.0, 3.9999998, 4.0]
    scene = cast(joined(*[one_splat((0.0, 0.0, z), 0.3) for z in depths for _ in range(32)]), torch.float32)
    with torch.no_grad():
        got = rasterize(scene, pinhole(16, 16, dtype=torch.float32), settings, backend="native")
    assert got.visible[::32].tolist() == [False, True, True, True, False]


def test_same_bits_twice(emulated_backend: EmulatedCore) -> None:
    scene = random_scene(150, 3, seed=9, dtype=torch.float32)
    first, again = (native(scene, RenderSettings(antialias="exact", geometry=True)) for _ in range(2))
    assert len(emulated_backend.idle) == 1
    for name in ("color", "alpha", "depth", "median_depth", "normals", "radii"):
        assert torch.equal(getattr(first, name), getattr(again, name)), name
