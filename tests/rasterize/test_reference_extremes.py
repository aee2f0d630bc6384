"""Scenes that no one wants and every training run meets: finite images, finite gradients."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from splat.gaussians import Antialias
from splat.rasterize import RenderSettings, rasterize
from tests.rasterize.compare import boundary_band, outcome
from tests.rasterize.scenes import EXTREMES, extreme_scene, posed, random_scene, trainable


@pytest.mark.parametrize("geometry", [False, True])
def test_empty_scene_is_background(geometry: bool) -> None:
    settings = RenderSettings(background=(0.2, 0.4, 0.6), geometry=geometry)
    scene = trainable(random_scene(0, 2))
    image = rasterize(scene, posed(19, 7), settings, "reference")
    assert image.color.shape == (7, 19, 3) and not image.alpha.any()
    assert (image.color == torch.tensor([0.2, 0.4, 0.6], dtype=torch.float64)).all()
    assert (image.depth is not None) == geometry
    assert image.visible.shape == (0,) and image.screen is not None and image.screen.shape == (0, 4)


def test_all_behind_the_camera() -> None:
    scene = random_scene(30)
    scene.means[:, 2] -= 20
    scene = trainable(scene)
    image = rasterize(scene, posed(19, 7), RenderSettings(geometry=True), "reference")
    assert not image.visible.any() and not image.alpha.any() and not image.radii.any()
    image.color.sum().backward()
    for tensor in (*scene.parameters().values(), image.screen):
        assert tensor is not None and tensor.grad is not None and not tensor.grad.any()


@pytest.mark.parametrize("antialias", ["none", "mip", "analytic", "moment", "exact"])
@pytest.mark.parametrize("kind", EXTREMES)
def test_extremes_stay_finite(kind: str, antialias: Antialias) -> None:
    scene, camera = extreme_scene(kind, 120), posed(33, 21, torch.float32)
    settings = RenderSettings(antialias=antialias, geometry=True)
    band = boundary_band(scene, camera, settings)
    result = outcome(lambda *args: rasterize(*args, backend="reference"), scene, camera, settings, band)
    for image in (result.rendered.color, result.rendered.depth, result.rendered.normals):
        assert image is not None and image.isfinite().all()
    assert result.rendered.radii.isfinite().all()
    for name, gradient in result.gradients.items():
        assert gradient.isfinite().all(), name
    assert result.rendered.alpha.max() > 0.5


def test_tiny_splats_still_cover_a_pixel_or_fade_with_mip() -> None:
    """3DGS dilates a point to 0.3 px^2; keeping its mass, "mip" makes it vanish."""
    scene, camera = extreme_scene("tiny", 30), posed(33, 21, torch.float32)
    points = replace(scene, **{n: t[::3] for n, t in scene.parameters().items()})
    points.logit_opacities[:] = 2
    plain = rasterize(points, camera, RenderSettings(), "reference")
    mip = rasterize(points, camera, RenderSettings(antialias="mip"), "reference")
    assert plain.alpha.max() > 0.3
    assert not mip.visible.any()
