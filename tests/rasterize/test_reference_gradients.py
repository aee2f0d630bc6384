"""Gradients of the reference against finite differences, in float64."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from splat.gaussians import PARAMETERS, Antialias
from splat.rasterize import Rendered, RenderSettings, reference
from splat.rasterize.reference import rasterize_reference
from tests.rasterize.scenes import posed, random_scene, trainable

IMAGES = ("color", "alpha", "depth", "median_depth", "normals")


def images(result: Rendered) -> tuple[Tensor, ...]:
    return tuple(getattr(result, name) for name in IMAGES)


@pytest.mark.parametrize(("antialias", "degree"), [("none", 3), ("mip", 1)])
def test_all_parameters_and_pose(antialias: Antialias, degree: int) -> None:
    """Includes a clamped Jacobian and a background; no pixel lies within the step of a jump."""
    scene, camera = trainable(random_scene(3, degree, seed=5, size=0.7, spread=0.8)), posed(7, 5)
    with torch.no_grad():
        scene.means[0] += torch.tensor([2.2, 0, -1.5])  # beyond the grown image: x/z is clamped
        scene.log_scales[0] += 0.5
        scene.logit_opacities += 2
    pose = camera.world_to_camera.clone().requires_grad_()
    settings = RenderSettings(antialias=antialias, background=(0.3, 0.1, 0.6), geometry=True)

    mixing = torch.randn(8, 5 * 7 * 9, dtype=torch.float64)

    def render(pose: Tensor, *parameters: Tensor) -> Tensor:
        """Eight random sums of all the images' pixels: as telling as each pixel, and faster."""
        world = replace(scene, **dict(zip(PARAMETERS, parameters, strict=True)))
        view = replace(camera, world_to_camera=pose)
        result = rasterize_reference(world, view, settings)
        return mixing @ torch.cat([image.flatten() for image in images(result)])

    inputs = [scene.parameters()[name] for name in PARAMETERS]
    result = rasterize_reference(scene, camera, settings)
    assert result.visible.all() and result.median_depth is not None
    assert (result.median_depth > 0).any()
    assert torch.autograd.gradcheck(render, (pose, *inputs), atol=1e-6, rtol=1e-5)


def test_invisible_splats_get_zero_gradient() -> None:
    scene = random_scene(6, 1, size=0.3)
    scene.means[2] = torch.tensor([0, 0, -4.0])
    scene.means[3] = torch.tensor([50.0, 0, 4])
    scene.logit_opacities[4] = -8
    scene = trainable(scene)
    result = rasterize_reference(scene, posed(16, 12), RenderSettings(geometry=True))
    torch.stack([image.sum() for image in images(result)]).sum().backward()
    assert not result.visible[2:5].any() and result.visible[[0, 1]].any()
    for tensor in scene.parameters().values():
        assert tensor.grad is not None and not tensor.grad[2:5].any()


@pytest.mark.parametrize("geometry", [False, True])
def test_screen_probe(geometry: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signed and absolute screen gradients against shifts of the projected means, pixel by pixel."""
    scene, camera = trainable(random_scene(4, 1, size=0.25, spread=0.6)), posed(9, 7)
    settings = RenderSettings(geometry=geometry, background=(0.2, 0.3, 0.4))
    weights = [torch.randn(7, 9, 3, dtype=torch.float64) for _ in range(2)]
    project = reference.project

    def losses(result: Rendered) -> Tensor:
        """[H, W]: what each pixel adds to the loss."""
        loss = (weights[0] * result.color).sum(-1) + result.alpha.square()
        if result.depth is not None and result.normals is not None:
            loss = loss + (weights[1] * result.normals).sum(-1) + 0.1 * result.depth
        return loss

    def shifted(row: int, axis: int, step: float) -> Tensor:
        def moved(*args):
            splats = project(*args)
            mean = splats.mean.clone()
            mean[splats.index == row, axis] += step
            return replace(splats, mean=mean)

        with torch.no_grad(), monkeypatch.context() as patch:
            patch.setattr(reference, "project", moved)
            return losses(rasterize_reference(scene, camera, settings))

    result = rasterize_reference(scene, camera, settings)
    losses(result).sum().backward()
    assert result.screen is not None and result.screen.grad is not None
    assert not result.screen.any()
    step = 1e-6
    for row in range(len(scene)):
        for axis in range(2):
            change = (shifted(row, axis, step) - shifted(row, axis, -step)) / (2 * step)
            assert result.screen.grad[row, axis].item() == pytest.approx(change.sum().item(), abs=1e-7)
            assert result.screen.grad[row, 2 + axis].item() == pytest.approx(
                change.abs().sum().item(), abs=1e-7
            )
    assert (result.screen.grad[:, 2:] > result.screen.grad[:, :2].abs() + 1e-3).any()


def test_no_probe_without_gradients() -> None:
    camera = posed(9, 7)
    assert rasterize_reference(random_scene(3), camera, RenderSettings()).screen is None
    with torch.no_grad():
        assert rasterize_reference(trainable(random_scene(3)), camera, RenderSettings()).screen is None
    pose_only = replace(camera, world_to_camera=camera.world_to_camera.clone().requires_grad_())
    assert rasterize_reference(random_scene(3), pose_only, RenderSettings()).screen is not None
