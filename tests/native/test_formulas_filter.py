"""Kernels and the filters none, mip, moment in float64: values by other means, gradients by differences."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from splat import native_core
from tests.native.image_splats import (
    covariance,
    curves,
    gaussians,
    random_pixels,
    random_splats,
    supersampled,
)

pytestmark = pytest.mark.skipif(not native_core.available(), reason="the native core is not built")

FILTERS = ["none", "mip", "moment"]
PROFILES = ["plain", "power"]


def _filtered(profile: str, name: str, splats: Tensor) -> Tensor:
    out = torch.empty(len(splats), 10, dtype=torch.float64)
    getattr(native_core.load().formulas, f"{profile}_filtered")(name, splats.contiguous(), out)
    return out


class _Alpha(torch.autograd.Function):
    """[N, P] alpha of each splat at each pixel."""

    @staticmethod
    def forward(ctx: Any, splats: Tensor, pixels: Tensor, profile: str, name: str) -> Tensor:  # type: ignore[override]
        out = torch.empty(len(splats), len(pixels), dtype=torch.float64)
        getattr(native_core.load().formulas, f"{profile}_forward")(name, splats.contiguous(), pixels, out)
        ctx.save_for_backward(splats.detach().contiguous(), pixels)
        ctx.call = profile, name
        return out

    @staticmethod
    def backward(ctx: Any, v_out: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        splats, pixels = ctx.saved_tensors
        profile, name = ctx.call
        grad = torch.empty_like(splats)
        backward = getattr(native_core.load().formulas, f"{profile}_backward")
        backward(name, splats, pixels, v_out.contiguous(), grad)
        return grad, None, None, None


def _wanted(splats: Tensor, name: str) -> tuple[Tensor, Tensor, Tensor]:
    """S', o', t' by the definitions, the moments as full tensors."""
    opacity, t, eye = splats[:, 5].sigmoid(), splats[:, 6], torch.eye(2, dtype=torch.float64)
    before = covariance(splats)
    added = {"none": 0.3, "mip": 0.1, "moment": 1 / 12}[name]
    after = before + added * eye
    if name == "none":
        return after, opacity, t
    ratio = (torch.linalg.det(before) / torch.linalg.det(after)).sqrt()
    if name == "mip":
        return after, opacity * ratio, t
    kurt = _convolved_kurtosis(before, after, curves(t)[2])
    low, high = torch.full_like(t, 0.15), torch.full_like(t, 1.8)
    for _ in range(60):  # bisection on the exact curve
        middle = (low + high) / 2
        above = curves(middle)[2] > kurt
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return after, opacity * ratio * curves(t)[1] / curves(low)[1], low


def _convolved_kurtosis(kernel: Tensor, total: Tensor, kurt: Tensor) -> Tensor:
    """E[(x^T V^-1 x)^2] / 4 for kernel + box, from fourth-moment tensors."""
    eye = torch.eye(2, dtype=torch.float64)

    def pairs(a: Tensor, b: Tensor) -> Tensor:
        return torch.einsum("nij,nkl->nijkl", a, b)

    def symmetric(a: Tensor, b: Tensor) -> Tensor:
        one = pairs(a, b)
        return one + one.permute(0, 1, 3, 2, 4) + one.permute(0, 1, 4, 3, 2)

    box = (eye / 12).expand_as(kernel)
    fourth = symmetric(kernel, kernel) * (kurt / 2)[:, None, None, None, None]
    fourth = fourth + symmetric(box, box)
    for axis in range(2):
        fourth[:, axis, axis, axis, axis] += 1 / 80 - 3 / 144
    fourth = fourth + symmetric(kernel, box) + symmetric(box, kernel)
    inverse = torch.linalg.inv(total)
    return torch.einsum("nijkl,nij,nkl->n", fourth, inverse, inverse) / 4


@pytest.mark.parametrize("name", FILTERS)
def test_filters_by_their_definitions(name: str) -> None:
    splats = random_splats(300)
    got = _filtered("power", name, splats)
    after, opacity, t = _wanted(splats, name)
    assert ((t > 0.2) & (t < 1.75)).all()
    torch.testing.assert_close(got[:, [0, 1, 1, 2]].view(-1, 2, 2), after, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(got[:, 3], torch.linalg.det(after), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(got[:, 4], opacity, rtol=2e-6, atol=0)
    torch.testing.assert_close(got[:, 5], t, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", FILTERS)
def test_alpha_is_the_kernel(name: str) -> None:
    splats, pixels = random_splats(200), random_pixels()
    got = _Alpha.apply(splats, pixels, "power", name)
    after, opacity, t = _wanted(splats, name)
    d = pixels[None] - splats[:, None, :2]
    q = torch.einsum("npi,nij,npj->np", d, torch.linalg.inv(after), d)
    m2 = curves(t)[0]
    want = opacity[:, None] * torch.exp(-0.5 * (m2[:, None] * q) ** (1 / t[:, None]))
    torch.testing.assert_close(got, want, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", ["none", "mip"])
def test_power_at_beta_2_is_plain(name: str) -> None:
    splats, pixels = gaussians(random_splats(100)), random_pixels()
    plain, power = (_Alpha.apply(splats, pixels, profile, name) for profile in PROFILES)
    torch.testing.assert_close(power, plain, rtol=0, atol=1e-7)
    torch.testing.assert_close(
        _filtered("power", name, splats), _filtered("plain", name, splats), rtol=1e-6, atol=0
    )


@pytest.mark.parametrize(
    ("profile", "name"), [(p, n) for p in PROFILES for n in FILTERS if (p, n) != ("plain", "moment")]
)
def test_gradients(profile: str, name: str) -> None:
    """t is no parameter of a plain kernel, which ignores it."""
    splats = random_splats(8, seed=3)
    if profile == "plain":
        splats = gaussians(splats)
    splats.requires_grad_()
    pixels = random_pixels()
    assert torch.autograd.gradcheck(
        lambda s: _Alpha.apply(s, pixels, profile, name), splats, eps=1e-6, atol=1e-7
    )


def test_moment_gradients_stop_at_the_clamp() -> None:
    """A shape that pixel filtering would take past the range of t' stays at its end."""
    splats = random_splats(4, smallest=60.0, largest=90.0)
    splats[:, 6] = 1.81
    assert _filtered("power", "moment", splats)[:, 5] == pytest.approx(1.75, abs=1e-6)
    splats.requires_grad_()
    pixels = random_pixels(reach=60.0)
    assert torch.autograd.gradcheck(
        lambda s: _Alpha.apply(s, pixels, "power", "moment"), splats, eps=1e-6, atol=1e-7
    )


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", FILTERS)
def test_extents_hold_every_pixel_that_counts(profile: str, name: str) -> None:
    splats = random_splats(60, seed=5)
    if profile == "plain":
        splats = gaussians(splats)
    box = _filtered(profile, name, splats)[:, 6:8]
    angle = torch.linspace(0, 2 * math.pi, 721, dtype=torch.float64)[:-1]
    for splat, extent in zip(splats, box, strict=True):
        if not extent.any():
            continue
        circle = torch.stack([angle.cos(), angle.sin()], 1)
        for axis in (0, 1):  # a frame of pixels at 1.001 times the box, and the touching points inside
            outside = circle.clone()
            outside[:, axis] = outside[:, axis].sign() * extent[axis] * 1.001
            outside[:, 1 - axis] *= 3 * extent[1 - axis]
            alpha = _Alpha.apply(splat[None], splat[:2] + outside, profile, name)
            assert alpha.max() < 1 / 255
            grid = torch.linspace(-1, 1, 2001, dtype=torch.float64) * extent[1 - axis]
            edge = torch.empty(len(grid), 2, dtype=torch.float64)
            edge[:, axis], edge[:, 1 - axis] = extent[axis] * 0.995, grid
            assert _Alpha.apply(splat[None], splat[:2] + edge, profile, name).max() > 1 / 255


@pytest.mark.parametrize(("smallest", "largest"), [(1e-4, 2e-4), (1e-4, 3e3), (500.0, 500.0), (2e4, 1e5)])
@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("profile", PROFILES)
def test_everything_is_finite(profile: str, name: str, smallest: float, largest: float) -> None:
    splats = random_splats(40, smallest, largest, seed=7)
    splats[::4, 5], splats[1::4, 5] = -1e4, 1e4
    splats[:, 6] = torch.linspace(0.25, 2 / 1.2, 40, dtype=torch.float64)
    splats[::5, 3], splats[::5, 4] = 0, splats[::5, 2]  # isotropic
    if profile == "plain":
        splats = gaussians(splats)
    splats.requires_grad_()
    pixels = torch.cat([random_pixels(), splats[:2, :2].detach()])
    alpha = _Alpha.apply(splats, pixels, profile, name)
    assert alpha.isfinite().all() and _filtered(profile, name, splats.detach()).isfinite().all()
    (grad,) = torch.autograd.grad(alpha.sum(), splats)
    assert grad.isfinite().all()


@pytest.mark.parametrize(
    ("beta", "bound", "worst"), [(1.5, 0.007, 0.13), (2.0, 0.003, 0.07), (4.0, 0.008, 0.13)]
)
def test_moment_is_the_mean_over_the_pixel(beta: float, bound: float, worst: float) -> None:
    """Root mean square and largest error of the moment closure over 0.15 to 4 px."""
    splats = random_splats(120, seed=9)
    splats[:, 5], splats[:, 6] = 50.0, 2 / beta
    pixels = random_pixels(2, reach=6.0, count=60)
    truth = supersampled(splats, pixels)
    error = _Alpha.apply(splats, pixels, "power", "moment") - truth
    assert error.square().mean().sqrt() < bound
    assert error.abs().max() < worst
