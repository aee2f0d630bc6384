"""The compiled core's kernels and pixel filters against the reference: images and every gradient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from splat import native_core
from splat.gaussians import Antialias, Gaussians
from splat.rasterize import RenderSettings
from tests.rasterize.scenes import random_scene
from tests.rasterize.test_native import assert_native_is_right

if not native_core.available():
    pytest.skip("the native core is not built", allow_module_level=True)

ISAS = native_core.build_info()["supported_isas"]
FILTERS: tuple[Antialias, ...] = ("none", "mip", "analytic", "moment", "exact")


@pytest.fixture(params=ISAS, autouse=True)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test runs with every instruction set."""
    native_core.load().set_isa(request.param)
    yield request.param
    native_core.load().set_isa(ISAS[0])


def generalised(scene: Gaussians, seed: int = 0) -> Gaussians:
    """The same splats with exponents over the whole range."""
    make = torch.Generator().manual_seed(seed)
    shape = 2.5 * torch.randn(len(scene), generator=make, dtype=scene.means.dtype) - 1.5
    return replace(scene, kernel="gef", shape=shape)


PAIRS = [(kernel, filter_) for kernel in ("gaussian", "gef") for filter_ in FILTERS]
PAIRS.remove(("gef", "analytic"))  # refused


def scene_of(kernel: str, count: int, seed: int, size: float = 0.1) -> Gaussians:
    scene = random_scene(count, 1, seed=seed, size=size)
    return generalised(scene) if kernel == "gef" else scene


@pytest.mark.parametrize("size", [0.02, 0.1, 0.4])
@pytest.mark.parametrize(("kernel", "antialias"), PAIRS)
def test_random_scenes(kernel: str, antialias: Antialias, size: float) -> None:
    """From far below a pixel to many."""
    scene = scene_of(kernel, 300 if size < 0.3 else 100, 7, size)
    scene.logit_opacities[::5] += 3
    assert_native_is_right(scene, 61, 47, RenderSettings(antialias=antialias, geometry=size == 0.1))


@pytest.mark.parametrize(("kernel", "antialias"), PAIRS)
def test_sub_pixels(kernel: str, antialias: Antialias) -> None:
    settings = RenderSettings(antialias=antialias, geometry=True, subpixel=2)
    assert_native_is_right(scene_of(kernel, 150, 8), 37, 25, settings)


@pytest.mark.parametrize("size", [0.02, 0.1])
@pytest.mark.parametrize("kernel", ["gaussian", "gef"])
def test_two_strips(kernel: str, size: float) -> None:
    settings = RenderSettings(antialias="exact", strips=2)
    assert_native_is_right(scene_of(kernel, 300, 9, size), 61, 47, settings)


@pytest.mark.parametrize("axes", [(2, -1, -1), (0, 0, -4), (3, -3, 0)], ids=["needle", "disc", "strip"])
@pytest.mark.parametrize(("kernel", "antialias"), PAIRS)
def test_thin_splats(kernel: str, antialias: Antialias, axes: tuple[int, int, int]) -> None:
    scene = scene_of(kernel, 200, 2)
    scene.log_scales += 0.7 * torch.tensor(axes)
    assert_native_is_right(scene, 50, 40, RenderSettings(antialias=antialias))
