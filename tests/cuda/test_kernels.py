"""The CUDA driver's pixel kernels, emulated, against the reference: images and every gradient."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest
import torch

from splat.gaussians import Antialias
from splat.rasterize import RenderSettings
from tests.cuda.emulated import EmulatedCore
from tests.native.poisoned import assert_same_bits, plain, run
from tests.rasterize.compare import assert_native_is_right
from tests.rasterize.scenes import PAIRS, random_scene, scene_of

pytestmark = pytest.mark.usefixtures("emulated_backend")

WIDTH, HEIGHT = 40, 33
"""Two and a half by two tiles and a row."""


@pytest.mark.parametrize("size", [0.02, 0.1, 0.4])
@pytest.mark.parametrize(("kernel", "antialias"), PAIRS)
def test_random_scenes(kernel: str, antialias: Antialias, size: float) -> None:
    """From far below a pixel to many; depth and normals at one size."""
    scene = scene_of(kernel, 120 if size < 0.3 else 40, 7, size)
    scene.logit_opacities[::5] += 3
    assert_native_is_right(scene, WIDTH, HEIGHT, RenderSettings(antialias=antialias, geometry=size == 0.1))


@pytest.mark.parametrize("geometry", [False, True])
@pytest.mark.parametrize(("kernel", "antialias"), PAIRS)
def test_sub_pixels(kernel: str, antialias: Antialias, geometry: bool) -> None:
    settings = RenderSettings(antialias=antialias, geometry=geometry, subpixel=2)
    assert_native_is_right(scene_of(kernel, 60, 8), 19, 17, settings)


@pytest.mark.parametrize("size", [0.02, 0.06, 0.1])
@pytest.mark.parametrize("kernel", ["gaussian", "gef"])
def test_two_strips(kernel: str, size: float) -> None:
    settings = RenderSettings(antialias="exact", strips=2, geometry=size == 0.06)
    assert_native_is_right(scene_of(kernel, 120, 9, size), WIDTH, HEIGHT, settings)


@pytest.mark.parametrize("axes", [(2, -1, -1), (0, 0, -4), (3, -3, 0)], ids=["needle", "disc", "strip"])
@pytest.mark.parametrize(("kernel", "antialias"), PAIRS)
def test_thin_splats(kernel: str, antialias: Antialias, axes: tuple[int, int, int]) -> None:
    scene = scene_of(kernel, 80, 2)
    scene.log_scales += 0.7 * torch.tensor(axes)
    assert_native_is_right(scene, WIDTH, HEIGHT, RenderSettings(antialias=antialias))


@pytest.mark.parametrize("strips", [1, 2])
@pytest.mark.parametrize("kernel", ["gaussian", "gef"])
def test_strips_through_sampled_splats(kernel: str, strips: int) -> None:
    """In one tile, in turn: integrated along rows, along columns, and sampled."""
    scene = scene_of(kernel, 90, 4)
    for first, size in enumerate(((0.12, 0.02, 0.02), (0.02, 0.12, 0.02), (0.4, 0.4, 0.4))):
        scene.log_scales[first::3] = torch.tensor(size, dtype=scene.means.dtype).log()
        scene.quats[first::3] = torch.tensor([1.0, 0.0, 0.0, 0.1 * first], dtype=scene.means.dtype)
    scene.logit_opacities[:] = -0.5
    scene.means[:, :2] *= 0.5
    assert_native_is_right(scene, 16, 16, RenderSettings(antialias="exact", strips=strips, geometry=True))


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize(("antialias", "strips"), [("analytic", 1), ("exact", 1), ("exact", 2)])
def test_many_in_one_tile(
    antialias: Antialias, strips: int, deterministic: bool, emulated_backend: EmulatedCore
) -> None:
    """Several buckets, pixels that end in one of them, and sums by atomics."""
    emulated_backend.deterministic = deterministic
    scene = random_scene(500, 1, seed=3, size=0.05, spread=0.25)
    scene.logit_opacities += 1
    settings = RenderSettings(antialias=antialias, strips=strips, geometry=deterministic)
    assert_native_is_right(scene, 24, 20, settings)


@pytest.mark.parametrize("antialias", ["analytic", "exact"])
def test_same_bits_in_any_order_of_threads(antialias: Antialias, emulated: ModuleType) -> None:
    cases = [replace(plain(200, 40, 33, size=0.04), antialias=antialias, geometry=False) for _ in range(2)]
    results = []
    for case, order in zip(cases, ("forward", "reverse"), strict=True):
        emulated.emulator.set_schedule(order, 0)
        core = EmulatedCore(emulated)
        results.append(run(case, frame=core.frame()))
        core.check_memory()
        core.close()
    assert_same_bits(results[0], results[1])
