"""The shared host/device formulas in float64: gradients by finite differences, values by PyTorch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from splat import native_core
from splat.rasterize import settings
from splat.sh import sh_basis

pytestmark = pytest.mark.skipif(not native_core.available(), reason="the native core is not built")

WIDTH, HEIGHT = 60, 40


def _view(angle: float = 0.2) -> Tensor:
    """[18] of a camera: rows of [R|t], fx, fy, cx, cy, width, height."""
    c, s = torch.cos(torch.tensor(angle)), torch.sin(torch.tensor(angle))
    pose = torch.tensor([[c, 0, s, 0.1], [0, 1, 0, -0.05], [-s, 0, c, 0.3]])
    intrinsics = torch.tensor([50.0, 47.0, 31.0, 19.0, WIDTH, HEIGHT])
    return torch.cat([pose.flatten(), intrinsics]).double()


def _splats(count: int) -> Tensor:
    """[count, 11]: mean, quat, log scales, logit opacity; some near the frustum's clamp."""
    make = torch.Generator().manual_seed(3)
    random = torch.randn(count, 11, generator=make, dtype=torch.float64)
    random[:, 0:3] = random[:, 0:3] * torch.tensor([3.5, 1.2, 0.4]) + torch.tensor([0.0, 0.0, 3.0])
    random[:, 7:10] = random[:, 7:10] * 0.7 - 1.5
    return random


def _pixels() -> Tensor:
    make = torch.Generator().manual_seed(4)
    return torch.rand(7, 2, generator=make, dtype=torch.float64) * torch.tensor([WIDTH, HEIGHT])


class _Splat(torch.autograd.Function):
    """[N, P, 5] alpha, depth along the ray and normal of each splat at each pixel."""

    @staticmethod
    def forward(ctx: Any, pose: Tensor, splats: Tensor, mip: bool) -> Tensor:  # type: ignore[override]
        view = torch.cat([pose.detach(), _view()[12:]])
        out = torch.empty(len(splats), len(_pixels()), 5, dtype=torch.float64)
        native_core.load().formulas.splat_forward(view, mip, splats.detach().contiguous(), _pixels(), out)
        ctx.save_for_backward(view, splats)
        ctx.mip = mip
        return out

    @staticmethod
    def backward(ctx: Any, v_out: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        view, splats = ctx.saved_tensors
        v_pose, v_splats = torch.empty(12, dtype=torch.float64), torch.empty_like(splats)
        native_core.load().formulas.splat_backward(
            view, ctx.mip, splats.detach().contiguous(), _pixels(), v_out.contiguous(), v_pose, v_splats
        )
        return v_pose, v_splats, None


@pytest.mark.parametrize("mip", [False, True])
def test_projection_kernel_and_geometry_gradients(mip: bool) -> None:
    pose = _view()[:12].requires_grad_()
    splats = _splats(6).requires_grad_()
    assert torch.autograd.gradcheck(lambda p, s: _Splat.apply(p, s, mip), (pose, splats), eps=1e-6, atol=1e-7)


def test_scene_reaches_the_frustum_clamp_and_beyond() -> None:
    view, splats = _view(), _splats(6)
    rotation, translation = view[:12].view(3, 4)[:, :3], view[:12].view(3, 4)[:, 3]
    x, _, z = (splats[:, :3] @ rotation.T + translation).T
    limit = (settings.FRUSTUM_MARGIN * WIDTH + view[14]) / view[12]
    inside = (x / z).abs() < limit
    assert inside.any() and not inside.all()


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_sh_basis_and_its_gradient(degree: int) -> None:
    formulas = native_core.load().formulas
    make = torch.Generator().manual_seed(5)
    directions = torch.nn.functional.normalize(torch.randn(9, 3, generator=make, dtype=torch.float64), dim=1)
    basis = torch.empty(9, (degree + 1) ** 2, dtype=torch.float64)
    formulas.sh_forward(degree, directions, basis)
    leaf = directions.clone().requires_grad_()
    expected = sh_basis(degree, leaf)
    torch.testing.assert_close(basis, expected.detach(), rtol=0, atol=1e-6)
    cotangent = torch.randn(basis.shape, generator=make, dtype=torch.float64)
    got = torch.empty_like(directions)
    formulas.sh_backward(degree, directions, cotangent, got)
    if degree == 0:
        assert not got.any()
        return
    (wanted,) = torch.autograd.grad((expected * cotangent).sum(), leaf)
    torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-6)


def test_constants_are_those_of_the_reference() -> None:
    constants = native_core.load().formulas.constants()
    assert constants["alpha_min"] == pytest.approx(settings.ALPHA_MIN, rel=1e-6)
    assert constants["alpha_max"] == pytest.approx(settings.ALPHA_MAX, rel=1e-6)
    assert constants["transmittance_min"] == pytest.approx(settings.TRANSMITTANCE_MIN, rel=1e-6)
    assert constants["frustum_margin"] == pytest.approx(settings.FRUSTUM_MARGIN, rel=1e-6)
    assert constants["dilation_none"] == pytest.approx(settings.DILATION["none"], rel=1e-6)
    assert constants["dilation_mip"] == pytest.approx(settings.DILATION["mip"], rel=1e-6)
    assert constants["exact_switch"] == pytest.approx(settings.EXACT_SWITCH[1], rel=1e-6)
    assert constants["exact_switch_two"] == pytest.approx(settings.EXACT_SWITCH[2], rel=1e-6)
    assert constants["exact_slope"] == pytest.approx(settings.EXACT_SLOPE[1], rel=1e-6)
    assert constants["exact_slope_two"] == pytest.approx(settings.EXACT_SLOPE[2], rel=1e-6)
    assert constants["exact_switch_power"] == pytest.approx(settings.EXACT_GEF_SWITCH, rel=1e-6)
    assert constants["exact_beta_most"] == pytest.approx(settings.EXACT_GEF_BETA, rel=1e-6)
