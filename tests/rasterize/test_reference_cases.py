"""Cases small enough to work out by hand."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log, sqrt

import pytest
import torch

from splat.rasterize import Rendered, RenderSettings
from splat.rasterize.reference import rasterize_reference
from tests.rasterize.scenes import joined, one_splat, pinhole

SETTINGS = RenderSettings(geometry=True)


def render(scene, camera=None, settings: RenderSettings = SETTINGS) -> Rendered:
    return rasterize_reference(scene, camera or pinhole(21, 21, 100.0), settings)


@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_profile_of_one_splat(step: int) -> None:
    """Centre on the middle of pixel (10, 10), standard deviation 2 px before the dilation."""
    image = render(one_splat((0, 0, 2.0), scale=0.04, opacity=0.7, rgb=(1, 0.5, 0.25)))
    alpha = 0.7 * exp(-0.5 * step**2 / (2.0**2 + 0.3))
    assert image.alpha[10, 10 + step].item() == pytest.approx(alpha, abs=1e-14)
    assert image.alpha[10 - step, 10].item() == pytest.approx(alpha, abs=1e-14)
    assert image.color[10, 10 - step].tolist() == pytest.approx([alpha, alpha / 2, alpha / 4], abs=1e-14)


def test_mip_keeps_the_mass() -> None:
    settings = replace(SETTINGS, antialias="mip")
    image = render(one_splat((0, 0, 2.0), scale=0.01, opacity=0.7), settings=settings)
    before, after = 0.5**2, 0.5**2 + 0.1
    opacity = 0.7 * before / after  # sqrt of the ratio of determinants; isotropic
    assert image.alpha[10, 10].item() == pytest.approx(opacity, abs=1e-14)
    assert image.alpha[10, 11].item() == pytest.approx(opacity * exp(-0.5 / after), abs=1e-14)


def test_cut_at_one_255th_and_bound() -> None:
    image = render(one_splat((0, 0, 2.0), scale=0.04, opacity=0.7))
    variance = 2.0**2 + 0.3
    radius = sqrt(2 * log(255 * 0.7) * variance)
    assert image.radii.item() == pytest.approx(radius, abs=1e-12)
    y, x = torch.meshgrid(torch.arange(21) - 10, torch.arange(21) - 10, indexing="ij")
    inside = (x * x + y * y).double().sqrt() < radius
    assert torch.equal(image.alpha > 0, inside)
    assert image.alpha[image.alpha > 0].min() >= 1 / 255


def test_order_is_by_depth_not_by_row() -> None:
    near = one_splat((0, 0, 2.0), opacity=0.6, rgb=(1, 0, 0))
    far = one_splat((0, 0, 3.0), opacity=0.5, rgb=(0, 1, 0))
    for scene in (joined(near, far), joined(far, near)):
        image = render(scene)
        assert image.color[10, 10].tolist() == pytest.approx([0.6, 0.4 * 0.5, 0], abs=1e-14)
        assert image.alpha[10, 10].item() == pytest.approx(1 - 0.4 * 0.5, abs=1e-14)


def test_equal_depths_keep_the_order_of_rows() -> None:
    red = one_splat((0, 0, 2.0), opacity=0.6, rgb=(1, 0, 0))
    green = one_splat((0, 0, 2.0), opacity=0.6, rgb=(0, 1, 0))
    assert render(joined(red, green)).color[10, 10, 0].item() == pytest.approx(0.6, abs=1e-14)
    assert render(joined(green, red)).color[10, 10, 1].item() == pytest.approx(0.6, abs=1e-14)


def test_background_shows_through() -> None:
    settings = replace(SETTINGS, background=(0.2, 0.4, 0.8))
    image = render(one_splat((0, 0, 2.0), scale=0.01, opacity=0.6, rgb=(1, 1, 1)), settings=settings)
    expected = [0.6 + 0.4 * 0.2, 0.6 + 0.4 * 0.4, 0.6 + 0.4 * 0.8]
    assert image.color[10, 10].tolist() == pytest.approx(expected, abs=1e-14)
    assert image.color[0, 0].tolist() == pytest.approx([0.2, 0.4, 0.8], abs=1e-15)


def test_saturated_splat_is_clamped_and_gives_no_gradient() -> None:
    scene = one_splat((0, 0, 2.0), opacity=0.999)
    scene.logit_opacities.requires_grad_()
    alpha = render(scene).alpha
    assert alpha[10, 10].item() == pytest.approx(0.99, abs=1e-15)
    (clamped,) = torch.autograd.grad(alpha[10, 10], scene.logit_opacities, retain_graph=True)
    (free,) = torch.autograd.grad(alpha[10, 13], scene.logit_opacities)
    assert clamped.item() == 0 and free.item() > 0


def test_splat_that_ends_a_pixel_is_blended_and_the_next_is_not() -> None:
    """Transmittance 0.02, 4e-4, 8e-6: the third splat starts above 1e-4, the fourth below."""
    scene = joined(*[one_splat((0, 0, 2.0 + i), opacity=0.98, rgb=(i == 2, i == 3, 0)) for i in range(4)])
    image = render(scene)
    assert image.color[10, 10].tolist() == pytest.approx([4e-4 * 0.98, 0, 0], abs=1e-15)
    assert 1 - image.alpha[10, 10].item() == pytest.approx(8e-6, abs=1e-14)


@pytest.mark.parametrize(
    ("z", "seen"), [(-2.0, False), (0.5, False), (0.5001, True), (3.999, True), (4.0, False)]
)
def test_near_and_far(z: float, seen: bool) -> None:
    image = render(one_splat((0, 0, z)), settings=RenderSettings(near=0.5, far=4.0))
    assert bool(image.visible[0]) == seen
    assert bool(image.alpha.any()) == seen
    assert (image.radii[0] > 0) == seen


def test_faint_splat_is_not_visible() -> None:
    scene = joined(one_splat((0, 0, 2.0), opacity=0.0039), one_splat((0, 0, 2.0), opacity=0.0040))
    assert render(scene).visible.tolist() == [False, True]


def test_bound_decides_visibility() -> None:
    """S = (100 * 0.02 / 2)^2 + 0.3 (plus the tilt), so the bound is about 3.6 px wide."""
    scene = joined(
        *[one_splat((x, 0, 2.0), scale=0.02, opacity=0.5) for x in (0.2, 0.27, 0.31, -0.31, -0.27)]
    )
    assert render(scene).visible.tolist() == [True, True, False, False, True]


def test_projection_of_a_turned_splat_off_the_axis() -> None:
    """Covariance by the textbook product J Sigma J^T, evaluated at one pixel."""
    turn = (sqrt(0.5), 0.0, 0.0, sqrt(0.5))  # 90 degrees about z: local x -> y
    scene = one_splat((0.1, 0.06, 2.0), scale=(0.05, 0.02, 0.03), opacity=0.8, quat=turn)
    sigma = torch.diag(torch.tensor([0.02, 0.05, 0.03], dtype=torch.float64) ** 2)
    jacobian = torch.tensor([[50, 0, -100 * 0.1 / 4], [0, 50, -100 * 0.06 / 4]], dtype=torch.float64)
    cov = jacobian @ sigma @ jacobian.T + 0.3 * torch.eye(2, dtype=torch.float64)
    d = torch.tensor([14.5, 12.5], dtype=torch.float64) - torch.tensor([15.5, 13.5], dtype=torch.float64)
    expected = 0.8 * exp(-0.5 * float(d @ torch.linalg.inv(cov) @ d))
    assert render(scene).alpha[12, 14].item() == pytest.approx(expected, abs=1e-13)


def test_jacobian_is_clamped_outside_the_grown_image() -> None:
    """x/z = 0.5 lies beyond (1.15 * 21 - 10.5) / 100; the mean itself is not clamped."""
    scene = one_splat((1.0, 0, 2.0), scale=0.5, opacity=0.9)
    limit = (1.15 * 21 - 10.5) / 100
    a = (0.5 * 50) ** 2 * (1 + limit**2) + 0.3
    expected = 0.9 * exp(-0.5 * (60.5 - 20.5) ** 2 / a)
    assert render(scene).alpha[10, 20].item() == pytest.approx(expected, abs=1e-13)


def test_colour_follows_direction_and_is_clamped_at_zero() -> None:
    """A degree-1 coefficient along z seen from the front and from behind."""
    scene = one_splat((0, 0, 2.0), opacity=0.5, rgb=(0.5, 0.5, 0.5))
    scene.sh = torch.cat([scene.sh, torch.zeros(1, 3, 3, dtype=torch.float64)], 1)
    scene.sh[0, 2] = torch.tensor([0.5, -0.5, -2.0])
    camera = pinhole(21, 21, 100.0)
    behind = replace(camera, world_to_camera=torch.diag(torch.tensor([-1.0, 1, -1, 1])).double())
    behind.world_to_camera[2, 3] = 4.0
    c1 = 0.4886025119029199
    front, back = render(scene).color[10, 10], render(scene, behind).color[10, 10]
    assert front.tolist() == pytest.approx([0.5 * (0.5 + 0.5 * c1), 0.5 * (0.5 - 0.5 * c1), 0], abs=1e-14)
    assert back.tolist() == pytest.approx(
        [0.5 * (0.5 - 0.5 * c1), 0.5 * (0.5 + 0.5 * c1), 0.5 * (0.5 + 2 * c1)], abs=1e-14
    )
    flat = render(scene, settings=RenderSettings(sh_degree=0)).color[10, 10]
    assert flat.tolist() == pytest.approx([0.25] * 3, abs=1e-14)


def test_depth_of_two_round_splats() -> None:
    scene = joined(one_splat((0, 0, 2.0), 0.03, opacity=0.4), one_splat((0, 0, 3.0), 0.03, opacity=0.5))
    image = render(scene)
    assert image.depth is not None and image.median_depth is not None and image.normals is not None
    weights = 0.4, 0.6 * 0.5
    expected = (weights[0] * 2 + weights[1] * 3) / sum(weights)
    assert image.depth[10, 10].item() == pytest.approx(expected, abs=1e-13)
    assert image.median_depth[10, 10].item() == pytest.approx(3, abs=1e-13)  # 0.6, then 0.3
    assert image.normals[10, 10].tolist() == pytest.approx([0, 0, -sum(weights)], abs=1e-13)
    assert image.depth[0, 0].item() == 0 and image.median_depth[0, 0].item() == 0


def test_median_depth_is_zero_where_half_is_never_reached() -> None:
    image = render(one_splat((0, 0, 2.0), opacity=0.45))
    assert image.median_depth is not None and not image.median_depth.any()


def test_geometry_only_on_request() -> None:
    image = render(one_splat((0, 0, 2.0)), settings=RenderSettings())
    assert image.depth is None and image.median_depth is None and image.normals is None
    assert image.screen is None
