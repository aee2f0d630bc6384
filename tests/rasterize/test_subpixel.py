"""Sub-pixel compositing against a rendering at twice the size, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from splat.gaussians import Antialias, Kernel, shape_from_betas
from splat.rasterize import Rendered, RenderSettings
from splat.rasterize.footprint import Ellipses
from splat.rasterize.reference import rasterize_reference
from tests.rasterize.naive import naive_render
from tests.rasterize.scenes import joined, one_splat, pinhole, posed, random_scene, trainable

SETTINGS = RenderSettings(geometry=True, background=(0.1, 0.2, 0.3), subpixel=2)


def doubled(width: int, height: int):
    """The camera of the sub-pixels, written out."""
    camera = posed(width, height)
    k = camera.intrinsics.clone()
    k[:2] *= 2
    return replace(camera, intrinsics=k, width=2 * width, height=2 * height)


def mean(image: Tensor) -> Tensor:
    return (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4


@pytest.mark.parametrize("kernel", ["gaussian", "gef"])
@pytest.mark.parametrize("antialias", ["mip", "moment", "exact", "analytic"])
def test_is_the_mean_of_the_double_size(kernel: Kernel, antialias: Antialias) -> None:
    if kernel == "gef" and antialias == "analytic":
        pytest.skip("Gaussians only")
    scene = random_scene(60, 1, size=0.1)
    if kernel == "gef":
        betas = 1.3 + 5 * torch.rand(60, dtype=torch.float64)
        scene = replace(scene, kernel="gef", shape=shape_from_betas(betas))
    settings = replace(SETTINGS, antialias=antialias)
    got = rasterize_reference(scene, posed(15, 11), settings)
    fine = rasterize_reference(scene, doubled(15, 11), replace(settings, subpixel=1))
    assert got.color.shape == (11, 15, 3) and got.alpha.max() > 0.5
    assert fine.depth is not None and fine.normals is not None and fine.median_depth is not None
    assert got.depth is not None and got.normals is not None and got.median_depth is not None
    for name in ("color", "alpha", "normals"):
        assert torch.allclose(getattr(got, name), mean(getattr(fine, name)), atol=1e-12), name
    weight = mean(fine.alpha)
    depth = mean(fine.alpha * fine.depth) / weight.clamp(min=1e-30)
    assert torch.allclose(got.depth, depth, atol=1e-9)
    has = mean(fine.alpha * (fine.median_depth > 0))
    median = mean(fine.alpha * fine.median_depth) / has.clamp(min=1e-30)
    assert torch.allclose(got.median_depth, median, atol=1e-9) and got.median_depth.any()
    assert torch.equal(got.visible, fine.visible)
    assert torch.allclose(got.radii, fine.radii / 2, atol=1e-12)


def test_none_keeps_its_dilation_of_03_pixel2(monkeypatch: pytest.MonkeyPatch) -> None:
    """The double-size picture of a model whose blur is 0.3 px^2 of the full pixel."""
    scene, camera = random_scene(25, 1, size=0.2), doubled(13, 9)
    plain = Ellipses.grown
    monkeypatch.setattr(Ellipses, "grown", lambda self, variance: plain(self, 4 * variance))
    fine = rasterize_reference(scene, camera, replace(SETTINGS, subpixel=1))
    monkeypatch.undo()
    got = rasterize_reference(scene, posed(13, 9), SETTINGS)
    assert torch.allclose(got.color, mean(fine.color), atol=1e-12)


def test_mip_against_the_naive_loop() -> None:
    scene = random_scene(25, 1, size=0.2)
    wanted = naive_render(scene, doubled(13, 9), replace(SETTINGS, antialias="mip", subpixel=1))
    got = rasterize_reference(scene, posed(13, 9), replace(SETTINGS, antialias="mip"))
    assert torch.allclose(got.color, mean(torch.from_numpy(wanted["color"])), atol=1e-9)


def test_two_splats_over_the_same_half_of_a_pixel() -> None:
    """What one transmittance per pixel gets wrong: the far splat is hidden by the near one."""
    near = one_splat((-0.005, 0, 2.0), scale=(0.0025, 0.05, 0.01), opacity=0.98, rgb=(1, 0, 0))
    far = one_splat((-0.0075, 0, 3.0), scale=(0.00375, 0.075, 0.01), opacity=0.98, rgb=(0, 1, 0))
    camera, settings = pinhole(21, 21, 100.0), RenderSettings(antialias="exact", strips=2)
    scene = joined(near, far)
    truth = brute_force(scene, 16)
    errors = []
    for subpixel in (1, 2):
        image = rasterize_reference(scene, camera, replace(settings, subpixel=subpixel))
        errors.append((image.color - truth).abs().max().item())
    assert errors[1] < 0.5 * errors[0] and errors[0] > 0.05


def brute_force(scene, side: int) -> Tensor:
    """Every pixel as side x side samples, without any filter, each composited by itself."""
    camera = pinhole(21, 21, 100.0).resized(21 * side, 21 * side)
    fine = rasterize_reference(scene, camera, RenderSettings(antialias="moment"))
    return fine.color.unflatten(1, (21, side)).unflatten(0, (21, side)).mean((1, 3))


def test_screen_gradients_are_per_full_pixel() -> None:
    """The signed ones are those of the mean's move in pixels: the principal point's move."""
    scene, settings = trainable(random_scene(1, 0, size=0.3, spread=0.1)), replace(SETTINGS, geometry=False)
    camera = pinhole(11, 9)
    shift = torch.zeros(2, dtype=torch.float64)
    weight = torch.randn(9, 11, 3, dtype=torch.float64)

    def loss(shift: Tensor) -> tuple[Tensor, Rendered]:
        k = camera.intrinsics.clone()
        k[:2, 2] += shift
        image = rasterize_reference(scene, replace(camera, intrinsics=k), replace(settings, antialias="mip"))
        return (weight * image.color).sum(), image

    value, image = loss(shift)
    value.backward()
    assert image.screen is not None and image.screen.grad is not None
    for axis in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[axis] = 1e-6
        change = ((loss(step)[0] - loss(-step)[0]) / 2e-6).item()
        assert image.screen.grad[0, axis].item() == pytest.approx(change, abs=1e-6)
        assert image.screen.grad[0, 2 + axis] >= abs(change)
