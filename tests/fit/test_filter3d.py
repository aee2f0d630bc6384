"""The 3D filter: sizes with a known answer, and what it does to a scene."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from splat.cameras import Camera
from splat.fit.filter3d import VARIANCE, Filter3D, filtered, sampling_sigma
from splat.fit.initialise import with_kernel
from splat.gaussians import Gaussians
from splat.rasterize import RenderSettings, rasterize
from tests.fit.synthetic import ring_camera, true_scene


def camera_at(x: float, z: float, focal: float) -> Camera:
    """Looks along +z from (x, 0, z); 40 x 20 pixels."""
    pose = torch.eye(4)
    pose[:3, 3] = torch.tensor([-x, 0.0, -z])
    return Camera(pose, torch.tensor([[focal, 0, 20], [0, focal, 10], [0, 0, 1.0]]), 40, 20)


def test_the_finest_camera_that_sees_a_splat_decides() -> None:
    near, far, sharp = camera_at(0, -2, 50.0), camera_at(0, -8, 50.0), camera_at(0, -8, 400.0)
    behind = camera_at(0, 3, 900.0)
    means = torch.tensor([[0.0, 0.0, 0.0], [1.1, 0.0, 0.0], [-40.0, 0.0, 0.0]])
    sigma = sampling_sigma(means, [near, far, behind]) / VARIANCE**0.5
    # The first is 2 from the near camera; the second lies outside of it, 1.1 * 50 / 2 = 27.5 px from the
    # middle with 20 + 6 allowed; nobody sees the third, which gets the largest.
    assert sigma.tolist() == pytest.approx([2 / 50, 8 / 50, 8 / 50])
    sigma = sampling_sigma(means, [near, far, sharp]) / VARIANCE**0.5
    assert sigma.tolist() == pytest.approx([8 / 400, 8 / 50, 8 / 50])


@pytest.mark.parametrize(("offset", "seen"), [(0.64, True), (0.66, False), (-0.64, True), (-0.66, False)])
def test_a_camera_sees_a_little_beyond_its_border(offset: float, seen: bool) -> None:
    """15 % of 20 pixels beyond the 10 from the middle: 13 px, at depth 1 with focal length 20: 0.65."""
    means = torch.tensor([[0.0, offset, 1.0], [0.0, 0.0, 5.0]])
    sigma = sampling_sigma(means, [camera_at(0, 0, 20.0)]) / VARIANCE**0.5
    assert float(sigma[0]) == pytest.approx(1 / 20 if seen else 5 / 20)


def test_unseen_scenes_are_left_alone() -> None:
    scene = true_scene(5)
    sigma = sampling_sigma(scene.means - torch.tensor([0.0, 0.0, 50.0]), [camera_at(0, 0, 20.0)])
    assert torch.all(sigma == 0)
    same = filtered(scene, sigma)
    assert torch.equal(same.log_scales, scene.log_scales)
    assert torch.equal(same.logit_opacities, scene.logit_opacities)


def test_variances_add_and_mass_stays() -> None:
    scene = true_scene(50)
    scene.logit_opacities[0], scene.logit_opacities[1] = 30.0, -12.0
    sigma = 10 ** torch.linspace(-7, 1, 50)
    made = filtered(scene, sigma)
    expected = (scene.log_scales.double().exp() ** 2 + sigma.double()[:, None] ** 2).sqrt()
    assert torch.allclose(made.log_scales.double().exp(), expected, rtol=1e-5)
    opacity = torch.sigmoid(scene.logit_opacities.double())
    expected = opacity * scene.log_scales.double().exp().prod(1) / expected.prod(1)
    assert torch.allclose(torch.sigmoid(made.logit_opacities.double()), expected, rtol=2e-5)


def test_gradients() -> None:
    scene = true_scene(6)
    sigma = torch.tensor([1e-3, 0.01, 0.05, 0.1, 1.0, 0.0]).double()

    def both(log_scales: torch.Tensor, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        made = filtered(replace(scene, log_scales=log_scales, logit_opacities=logits), sigma)
        return made.log_scales, made.logit_opacities

    inputs = (scene.log_scales.double().requires_grad_(), scene.logit_opacities.double().requires_grad_())
    assert torch.autograd.gradcheck(both, inputs)


@pytest.mark.parametrize("value", [-100.0, -40.0, 40.0, 100.0])
def test_extreme_parameters_stay_finite(value: float) -> None:
    scene = true_scene(4)
    scene.log_scales[0], scene.logit_opacities[1] = -abs(value) / 2, value
    scene.log_scales.requires_grad_()
    scene.logit_opacities.requires_grad_()
    made = filtered(scene, torch.tensor([0.01, 1e-12, 0.0, 1e6]))
    (made.log_scales.sum() + made.logit_opacities.sum()).backward()
    for tensor in (made.log_scales, made.logit_opacities, scene.log_scales.grad, scene.logit_opacities.grad):
        assert tensor is not None and bool(torch.isfinite(tensor).all())


@pytest.mark.parametrize("kernel", ["gaussian", "gef"])
def test_baked_scene_renders_as_the_filtered_one(kernel: str) -> None:
    scene, camera = with_kernel(true_scene(), kernel), ring_camera(0.3)  # type: ignore[arg-type]
    filter3d = Filter3D([ring_camera(turn) for turn in (0.0, 1.0, 2.0)])
    settings = RenderSettings("mip")
    shown = rasterize(filter3d.apply(scene), camera, settings, "reference").color
    parameters = {
        name: value.clone() for name, value in filter3d.apply(scene).detached().parameters().items()
    }
    baked = Gaussians(**parameters, kernel=scene.kernel, antialias="mip")
    assert torch.equal(rasterize(baked, camera, settings, "reference").color, shown)
    plain = rasterize(scene, camera, settings, "reference").color
    assert float((plain - shown).abs().max()) > 0.02, "the filter must do something here"


def test_sizes_follow_only_when_updated() -> None:
    filter3d, scene = Filter3D([camera_at(0, -2, 50.0)]), true_scene(7)
    filter3d.apply(scene)
    before = filter3d.sigma.clone()
    scene.means[:, 2] += 3
    filter3d.apply(scene)
    assert torch.equal(filter3d.sigma, before)
    again = Filter3D([])
    again.load_state_dict(filter3d.state_dict())
    assert torch.equal(again.sigma, before)
    filter3d.update(scene)
    assert torch.all(filter3d.sigma > before)
