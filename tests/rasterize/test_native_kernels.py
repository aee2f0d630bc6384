"""The compiled core's kernels and pixel filters against the reference: images and every gradient."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from splat import native_core
from splat.gaussians import Antialias
from splat.rasterize import RenderSettings
from tests.rasterize.compare import assert_native_is_right
from tests.rasterize.scenes import PAIRS, scene_of

if not native_core.available():
    pytest.skip("the native core is not built", allow_module_level=True)

ISAS = native_core.build_info()["supported_isas"]


@pytest.fixture(params=ISAS, autouse=True)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test runs with every instruction set."""
    native_core.load().set_isa(request.param)
    yield request.param
    native_core.load().set_isa(ISAS[0])


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
