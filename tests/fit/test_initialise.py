from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from splat.errors import SplatError
from splat.fit.carve import project
from splat.fit.engine import Engine
from splat.fit.initialise import FIRST_OPACITY, first_gaussians, gaussians_at, looked_at, random_points
from splat.sh import sh_to_rgb
from tests.fit.synthetic import ring_camera, synthetic_capture

ENGINE = Engine("reference")


def test_sparse_points_become_gaussians_of_their_spacing() -> None:
    grid = torch.stack(torch.meshgrid(*[torch.arange(4.0)] * 3, indexing="ij"), -1).view(-1, 3) * 0.02
    colors = torch.rand(64, 3)
    made = gaussians_at(grid, colors, 1.0, 2, "none", ENGINE)
    assert torch.allclose(made.log_scales.exp(), torch.full((64, 3), 0.02), rtol=1e-4)
    assert torch.allclose(torch.sigmoid(made.logit_opacities), torch.full((64,), FIRST_OPACITY))
    assert torch.allclose(sh_to_rgb(made.sh[:, 0]), colors, atol=1e-5)
    assert made.sh.shape == (64, 9, 3) and made.sh_degree == 2


def test_a_lone_outlier_is_not_a_fog() -> None:
    points = torch.cat([0.1 * torch.rand(50, 3), torch.tensor([[0.0, 0.0, 40.0]])])
    made = gaussians_at(points, torch.zeros(51, 3), 1.0, 0, "none", ENGINE)
    assert float(made.log_scales.exp().max()) <= 4.0 + 1e-4


def test_more_points_than_the_budget_allows_are_thinned() -> None:
    capture = synthetic_capture(views=4)
    made, text = first_gaussians(capture, 30, 1, "mip", 0, ENGINE)
    assert len(made) == 15 and "15 of 40" in text
    again, _ = first_gaussians(capture, 30, 1, "mip", 0, ENGINE)
    assert torch.equal(made.means, again.means)


def test_cameras_on_a_ring_look_at_its_middle() -> None:
    centre = looked_at(synthetic_capture(views=6))
    assert centre is not None and float(centre.norm()) < 1e-4


def test_cameras_that_look_outwards_look_at_nothing() -> None:
    capture = synthetic_capture(views=6, points=False)
    views = []
    for view in capture.views:
        turn = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0]))
        pose = turn @ view.camera.world_to_camera
        views.append(replace(view, camera=replace(view.camera, world_to_camera=pose)))
    capture = replace(capture, views=views)
    assert looked_at(capture) is None
    points, _, text = random_points(capture, 200, torch.Generator().manual_seed(0))
    assert points.shape == (200, 3) and "in front of the cameras" in text
    seen = torch.zeros(200, dtype=torch.bool)
    for view in views:
        seen |= project(points, view.camera)[0]
    assert seen.all(), "every random point is in some picture"


def test_transparent_photos_carve_random_points() -> None:
    capture = synthetic_capture(views=12, transparent=True, points=False, spread=0.25)
    points, colors, text = random_points(capture, 600, torch.Generator().manual_seed(0))
    assert points.shape[0] == 600 and "where no photo is transparent" in text
    loose = 0.32 * (2 * torch.rand(600, 3, generator=torch.Generator().manual_seed(1)) - 1)
    on_nothing = torch.zeros(600, dtype=torch.bool)
    for index in capture.train:
        view = capture.views[index]
        alpha = torch.from_numpy(view.load().alpha).flatten()
        inside, cell = project(points, view.camera)
        assert (alpha[cell[inside]] > 0).all()
        inside, cell = project(loose, view.camera)
        on_nothing |= inside & (alpha[cell] == 0)
    assert on_nothing.sum() > 60, "or there was nothing to carve"
    assert colors.std() > 0.02


def test_projection_agrees_with_the_camera() -> None:
    camera = ring_camera(0.3, 20)
    centre = torch.zeros(1, 3)
    inside, cell = project(centre, camera)
    assert bool(inside[0]) and int(cell[0]) == 10 * 20 + 10
    assert not bool(project(2 * camera.position[None], camera)[0][0])


def test_points_that_are_not_numbers_are_refused() -> None:
    capture = synthetic_capture(views=4)
    capture.points[3, 1] = math.nan
    with pytest.raises(SplatError, match="NaN"):
        first_gaussians(capture, 500, 1, "mip", 0, ENGINE)
