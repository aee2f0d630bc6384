from __future__ import annotations

from dataclasses import replace
from math import log

import pytest
import torch

from splat.errors import SplatError
from splat.gaussians import PARAMETERS, betas_from_shape, shape_from_betas
from tests.rasterize.scenes import pinhole, posed, random_scene, trainable


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_length_and_degree(degree: int) -> None:
    scene = random_scene(7, degree)
    assert len(scene) == 7 and scene.sh_degree == degree


def test_parameters_in_order() -> None:
    scene = random_scene(3)
    assert tuple(scene.parameters()) == PARAMETERS
    assert scene.parameters()["sh"] is scene.sh


def test_shape_is_a_parameter_of_the_generalised_exponential_only() -> None:
    shape = torch.randn(3, dtype=torch.float64)
    scene = replace(random_scene(3), kernel="gef", shape=shape)
    assert tuple(scene.parameters()) == (*PARAMETERS, "shape")
    assert scene.parameters()["shape"] is shape
    assert scene.scaled(2.0, torch.zeros(3)).shape is shape
    attached = replace(scene, shape=shape.clone().requires_grad_())
    assert attached.betas.requires_grad and not attached.detached().betas.requires_grad
    with pytest.raises(SplatError, match="shape is None"):
        replace(scene, shape=None).parameters()


def test_betas() -> None:
    assert random_scene(3).betas.tolist() == [2, 2, 2]
    shape = torch.tensor([-200.0, log(0.8 / 6.0), 200], dtype=torch.float64)
    scene = replace(random_scene(3), kernel="gef", shape=shape)
    assert scene.betas.tolist() == pytest.approx([1.2, 2.0, 8.0])
    betas = torch.tensor([1.2, 1.5, 2, 7.9, 8])
    raw = shape_from_betas(betas)
    assert raw.isfinite().all() and torch.allclose(betas_from_shape(raw), betas, atol=1e-5)


def test_detached_shares_memory_and_has_no_graph() -> None:
    scene = trainable(random_scene(3))
    copy = scene.detached()
    assert not any(t.requires_grad for t in copy.parameters().values())
    assert copy.means.data_ptr() == scene.means.data_ptr()


def test_scaled_moves_centres_and_grows_splats() -> None:
    scene = random_scene(3)
    scaled = scene.scaled(2.0, torch.tensor([1.0, 0.0, -1.0]))
    shift = torch.tensor([1.0, 0, -1], dtype=torch.float64)
    assert torch.allclose(scaled.means, 2 * scene.means + shift)
    assert torch.allclose(scaled.log_scales, scene.log_scales + log(2))
    assert scaled.quats is scene.quats and scaled.sh is scene.sh


def test_camera_position_maps_to_the_origin() -> None:
    camera = posed(20, 10)
    moved = camera.world_to_camera[:3, :3] @ camera.position + camera.world_to_camera[:3, 3]
    assert torch.allclose(moved, torch.zeros(3, dtype=torch.float64), atol=1e-15)
    assert camera.focal == pytest.approx((22.0, 24.0))
    assert camera.principal_point == pytest.approx((10.6, 4.6))


def test_resized_camera_scales_each_axis() -> None:
    camera = pinhole(20, 10).resized(10, 30)
    assert (camera.width, camera.height) == (10, 30)
    assert camera.focal == (10.0, 60.0) and camera.principal_point == (5.0, 15.0)
    assert camera.intrinsics[2].tolist() == [0, 0, 1]
