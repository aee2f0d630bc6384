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
FILTERS: tuple[Antialias, ...] = ("none", "mip", "moment")


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


@pytest.mark.parametrize("size", [0.02, 0.1, 0.4])
@pytest.mark.parametrize("antialias", FILTERS)
@pytest.mark.parametrize("kernel", ["gaussian", "gef"])
def test_random_scenes(kernel: str, antialias: Antialias, size: float) -> None:
    """From far below a pixel to many."""
    scene = random_scene(300 if size < 0.3 else 100, 1, seed=7, size=size)
    if kernel == "gef":
        scene = generalised(scene)
    scene.logit_opacities[::5] += 3
    assert_native_is_right(scene, 61, 47, RenderSettings(antialias=antialias, geometry=size == 0.1))


@pytest.mark.parametrize("antialias", FILTERS)
@pytest.mark.parametrize("kernel", ["gaussian", "gef"])
def test_sub_pixels(kernel: str, antialias: Antialias) -> None:
    scene = random_scene(150, 1, seed=8)
    if kernel == "gef":
        scene = generalised(scene)
    assert_native_is_right(scene, 37, 25, RenderSettings(antialias=antialias, geometry=True, subpixel=2))
