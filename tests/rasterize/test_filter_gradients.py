"""Float64 gradcheck through every kernel and filter, all parameters and the pose."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from splat.gaussians import Antialias, Gaussians, Kernel, shape_from_betas
from splat.rasterize import Rendered, RenderSettings
from splat.rasterize.reference import rasterize_reference
from tests.rasterize.compare import boundary_band
from tests.rasterize.scenes import posed, random_scene, trainable

CASES: list[tuple[Kernel, RenderSettings, float]] = [
    ("gaussian", RenderSettings(antialias="analytic"), 0.7),
    ("gaussian", RenderSettings(antialias="moment"), 0.7),
    ("gaussian", RenderSettings(antialias="exact"), 0.25),
    ("gaussian", RenderSettings(antialias="exact", strips=2), 0.25),
    ("gaussian", RenderSettings(antialias="exact"), 1.5),
    ("gaussian", RenderSettings(antialias="mip", subpixel=2), 0.7),
    ("gaussian", RenderSettings(antialias="exact", subpixel=2), 0.25),
    ("gef", RenderSettings(antialias="none"), 0.7),
    ("gef", RenderSettings(antialias="mip"), 0.7),
    ("gef", RenderSettings(antialias="moment"), 0.5),
    ("gef", RenderSettings(antialias="exact"), 0.15),
    ("gef", RenderSettings(antialias="exact", strips=2), 0.4),
    ("gef", RenderSettings(antialias="moment", subpixel=2), 0.5),
]


def small_scene(kernel: Kernel, size: float) -> Gaussians:
    """Three splats in front of a 7 x 5 camera, betas 1.4, 2 and 3.5."""
    scene = random_scene(3, 1, seed=5, size=size, spread=0.8)
    scene.logit_opacities += 2
    if kernel == "gef":
        betas = torch.tensor([1.4, 2.0, 3.5], dtype=torch.float64)
        scene = replace(scene, kernel="gef", shape=shape_from_betas(betas))
    return trainable(scene)


@pytest.mark.parametrize(("kernel", "settings", "size"), CASES)
def test_all_parameters_and_pose(kernel: Kernel, settings: RenderSettings, size: float) -> None:
    settings = replace(settings, background=(0.3, 0.1, 0.6), geometry=True)
    scene, camera = small_scene(kernel, size), posed(7, 5)
    # Pixels within the steps of a jump are left out.
    keep = ~boundary_band(scene, camera, settings).median
    assert keep.double().mean() > 0.6
    pose = camera.world_to_camera.clone().requires_grad_()
    mixing = torch.randn(6, int(keep.sum()) * 9, dtype=torch.float64)

    def images(result: Rendered) -> list[Tensor]:
        found = (result.color, result.alpha, result.depth, result.median_depth, result.normals)
        return [image[keep].flatten() for image in found if image is not None]

    names = tuple(scene.parameters())

    def render(pose: Tensor, *parameters: Tensor) -> Tensor:
        """Six random sums of all the images' pixels."""
        world = replace(scene, **dict(zip(names, parameters, strict=True)))
        result = rasterize_reference(world, replace(camera, world_to_camera=pose), settings)
        return mixing @ torch.cat(images(result))

    inputs = tuple(scene.parameters().values())
    assert rasterize_reference(scene, camera, settings).visible.all()
    assert torch.autograd.gradcheck(render, (pose, *inputs), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("size", [0.02, 0.3])
@pytest.mark.parametrize("antialias", ["none", "mip", "moment"])
def test_a_gaussian_is_the_exponential_of_beta_2(antialias: Antialias, size: float) -> None:
    """Same image, same gradients, for filters that treat both alike."""
    gaussian = random_scene(30, 1, size=size)
    shape = shape_from_betas(torch.full((30,), 2.0, dtype=torch.float64))
    settings = RenderSettings(antialias=antialias)
    results = []
    for scene in (gaussian, replace(gaussian, kernel="gef", shape=shape)):
        scene = trainable(scene)
        image = rasterize_reference(scene, posed(17, 12), settings)
        image.color.square().sum().backward()
        results.append((image, scene))
    (plain, one), (general, two) = results
    assert torch.allclose(plain.color, general.color, atol=1e-9)
    assert torch.allclose(plain.radii, general.radii, atol=1e-9)
    for name, value in one.parameters().items():
        other = getattr(two, name).grad
        assert value.grad is not None and torch.allclose(value.grad, other, atol=1e-7)
    assert two.shape is not None and two.shape.grad is not None and two.shape.grad.any()
