"""The direct pass: other sizes in the same buffers, and calls that do not fit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from splat import native_core
from splat.errors import SplatError
from splat.gaussians import Gaussians
from splat.rasterize import RenderSettings, rasterize
from splat.rasterize.direct import DirectPass
from splat.rasterize.gradient_target import GradientTarget
from tests.rasterize.scenes import posed, random_scene, trainable

if not native_core.available():
    pytest.skip("the native core is not built", allow_module_level=True)

SETTINGS = RenderSettings(antialias="mip")


def scene(count: int) -> Gaussians:
    return trainable(random_scene(count, 1, seed=count, dtype=torch.float32))


def target(gaussians: Gaussians) -> GradientTarget:
    return GradientTarget({n: torch.full_like(t, torch.nan) for n, t in gaussians.parameters().items()})


def test_any_scene_and_size_after_any_other() -> None:
    direct = DirectPass(torch.device("cpu"))
    for count, width, height in ((200, 50, 37), (90, 64, 20), (300, 17, 70), (90, 64, 20), (0, 5, 5)):
        gaussians, camera = scene(count), posed(width, height, torch.float32)
        expected = rasterize(gaussians, camera, SETTINGS, "native")
        weights = torch.randn(height, width, 3, generator=torch.Generator().manual_seed(1))
        (expected.color * weights).sum().backward()
        rendered, into = direct.render(gaussians, camera, SETTINGS), target(gaussians)
        direct.backward(weights, into)
        for name in ("color", "alpha", "radii", "visible"):
            assert torch.equal(getattr(rendered, name), getattr(expected, name)), name
        for name, value in gaussians.parameters().items():
            assert value.grad is not None and torch.equal(into.buffers[name], value.grad), name
        assert rendered.screen is not None and expected.screen is not None
        assert rendered.screen.shape == expected.screen.shape and not rendered.screen.any()
        assert rendered.screen.grad is not None and expected.screen.grad is not None
        assert torch.equal(rendered.screen.grad, expected.screen.grad)


def test_one_backward_after_each_render() -> None:
    direct, gaussians = DirectPass(torch.device("cpu")), scene(50)
    weights = torch.ones(20, 30, 3)
    with pytest.raises(SplatError, match="no render"):
        direct.backward(weights, target(gaussians))
    direct.render(gaussians, posed(30, 20, torch.float32), SETTINGS)
    direct.backward(weights, target(gaussians))
    with pytest.raises(SplatError, match="no render"):
        direct.backward(weights, target(gaussians))
    direct.render(gaussians, posed(30, 20, torch.float32), SETTINGS)
    direct.release()
    with pytest.raises(SplatError, match="no render"):
        direct.backward(weights, target(gaussians))


def turned(values: Tensor) -> Tensor:
    """The same numbers, not contiguous."""
    return values.t().contiguous().t()


def test_what_it_does_not_draw_is_refused() -> None:
    direct, gaussians, camera = DirectPass(torch.device("cpu")), scene(50), posed(30, 20, torch.float32)
    for settings in (RenderSettings(geometry=True), RenderSettings(subpixel=2)):
        with pytest.raises(SplatError, match="colour only"):
            direct.render(gaussians, camera, settings)
    with pytest.raises(SplatError, match=r"means.*not contiguous"):
        direct.render(replace(gaussians, means=turned(gaussians.means.detach())), camera, SETTINGS)
    with pytest.raises(SplatError, match="float64"):
        direct.render(replace(gaussians, means=gaussians.means.detach().double()), camera, SETTINGS)
    with pytest.raises(SplatError, match="no render"):
        direct.backward(torch.ones(20, 30, 3), target(gaussians))
    assert direct.render(gaussians, camera, SETTINGS).color.isfinite().all()
