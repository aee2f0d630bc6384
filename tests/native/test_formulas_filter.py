"""Kernels and the filters none, mip, moment in float64: values by other means, gradients by differences."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from splat import native_core

pytestmark = pytest.mark.skipif(not native_core.available(), reason="the native core is not built")

FILTERS = ["none", "mip", "moment"]
PROFILES = ["plain", "power"]


def _splats(count: int, smallest: float = 0.15, largest: float = 4.0, seed: int = 0) -> Tensor:
    """[count, 7]: mean, covariance a, b, c, opacity logit, t. Axes log-uniform, any rotation."""
    make = torch.Generator().manual_seed(seed)
    random = torch.rand(count, 7, generator=make, dtype=torch.float64)
    axes = smallest * (largest / smallest) ** random[:, :2]
    angle = math.pi * random[:, 2]
    c, s = angle.cos(), angle.sin()
    a = (c * axes[:, 0]) ** 2 + (s * axes[:, 1]) ** 2
    b = c * s * (axes[:, 0] ** 2 - axes[:, 1] ** 2)
    d = (s * axes[:, 0]) ** 2 + (c * axes[:, 1]) ** 2
    mean = random[:, 3:5] * 2 - 1
    return torch.stack([*mean.T, a, b, d, 3 * random[:, 5] - 1, 0.27 + 1.35 * random[:, 6]], 1)


def _gaussians(splats: Tensor) -> Tensor:
    return torch.cat([splats[:, :6], torch.ones_like(splats[:, :1])], 1)


def _pixels(seed: int = 1, reach: float = 3.0) -> Tensor:
    make = torch.Generator().manual_seed(seed)
    return (torch.rand(11, 2, generator=make, dtype=torch.float64) * 2 - 1) * reach


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


def _curves(t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """m2, rho, kurt of the kernel family from the Gamma function."""
    g = torch.lgamma
    m2 = 2**t * torch.exp(g(2 * t) - g(t)) / 2
    rho = 2**t * torch.exp(g(1 + t)) / 2 / m2
    return m2, rho, torch.exp(g(3 * t) + g(t) - 2 * g(2 * t))


def _covariance(splats: Tensor) -> Tensor:
    a, b, c = splats[:, 2], splats[:, 3], splats[:, 4]
    return torch.stack([a, b, b, c], 1).view(-1, 2, 2)


def _wanted(splats: Tensor, name: str) -> tuple[Tensor, Tensor, Tensor]:
    """S', o', t' by the definitions, the moments as full tensors."""
    opacity, t, eye = splats[:, 5].sigmoid(), splats[:, 6], torch.eye(2, dtype=torch.float64)
    before = _covariance(splats)
    added = {"none": 0.3, "mip": 0.1, "moment": 1 / 12}[name]
    after = before + added * eye
    if name == "none":
        return after, opacity, t
    ratio = (torch.linalg.det(before) / torch.linalg.det(after)).sqrt()
    if name == "mip":
        return after, opacity * ratio, t
    kurt = _convolved_kurtosis(before, after, _curves(t)[2])
    low, high = torch.full_like(t, 0.15), torch.full_like(t, 1.8)
    for _ in range(60):  # bisection on the exact curve
        middle = (low + high) / 2
        above = _curves(middle)[2] > kurt
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return after, opacity * ratio * _curves(t)[1] / _curves(low)[1], low


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
    splats = _splats(300)
    got = _filtered("power", name, splats)
    covariance, opacity, t = _wanted(splats, name)
    assert ((t > 0.2) & (t < 1.75)).all()
    torch.testing.assert_close(got[:, [0, 1, 1, 2]].view(-1, 2, 2), covariance, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(got[:, 3], torch.linalg.det(covariance), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(got[:, 4], opacity, rtol=2e-6, atol=0)
    torch.testing.assert_close(got[:, 5], t, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", FILTERS)
def test_alpha_is_the_kernel(name: str) -> None:
    splats, pixels = _splats(200), _pixels()
    got = _Alpha.apply(splats, pixels, "power", name)
    covariance, opacity, t = _wanted(splats, name)
    d = pixels[None] - splats[:, None, :2]
    q = torch.einsum("npi,nij,npj->np", d, torch.linalg.inv(covariance), d)
    m2 = _curves(t)[0]
    want = opacity[:, None] * torch.exp(-0.5 * (m2[:, None] * q) ** (1 / t[:, None]))
    torch.testing.assert_close(got, want, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", ["none", "mip"])
def test_power_at_beta_2_is_plain(name: str) -> None:
    splats, pixels = _gaussians(_splats(100)), _pixels()
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
    splats = _splats(8, seed=3)
    if profile == "plain":
        splats = _gaussians(splats)
    splats.requires_grad_()
    pixels = _pixels()
    assert torch.autograd.gradcheck(
        lambda s: _Alpha.apply(s, pixels, profile, name), splats, eps=1e-6, atol=1e-7
    )


def test_moment_gradients_stop_at_the_clamp() -> None:
    """A shape that pixel filtering would take past the range of t' stays at its end."""
    splats = _splats(4, smallest=60.0, largest=90.0)
    splats[:, 6] = 1.81
    assert _filtered("power", "moment", splats)[:, 5] == pytest.approx(1.75, abs=1e-6)
    splats.requires_grad_()
    pixels = _pixels(reach=60.0)
    assert torch.autograd.gradcheck(
        lambda s: _Alpha.apply(s, pixels, "power", "moment"), splats, eps=1e-6, atol=1e-7
    )


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", FILTERS)
def test_extents_hold_every_pixel_that_counts(profile: str, name: str) -> None:
    splats = _splats(60, seed=5)
    if profile == "plain":
        splats = _gaussians(splats)
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
    splats = _splats(40, smallest, largest, seed=7)
    splats[::4, 5], splats[1::4, 5] = -1e4, 1e4
    splats[:, 6] = torch.linspace(0.25, 2 / 1.2, 40, dtype=torch.float64)
    splats[::5, 3], splats[::5, 4] = 0, splats[::5, 2]  # isotropic
    if profile == "plain":
        splats = _gaussians(splats)
    splats.requires_grad_()
    pixels = torch.cat([_pixels(), splats[:2, :2].detach()])
    alpha = _Alpha.apply(splats, pixels, profile, name)
    assert alpha.isfinite().all() and _filtered(profile, name, splats.detach()).isfinite().all()
    (grad,) = torch.autograd.grad(alpha.sum(), splats)
    assert grad.isfinite().all()


def _supersampled(splats: Tensor, pixels: Tensor, samples: int = 24) -> Tensor:
    """Mean of the kernel over each pixel."""
    steps = (torch.arange(samples, dtype=torch.float64) + 0.5) / samples - 0.5
    offsets = torch.cartesian_prod(steps, steps)
    d = pixels[None, :, None] + offsets - splats[:, None, None, :2]
    q = torch.einsum("npsi,nij,npsj->nps", d, torch.linalg.inv(_covariance(splats)), d)
    t = splats[:, 6, None, None]
    kernel = torch.exp(-0.5 * (_curves(splats[:, 6])[0][:, None, None] * q) ** (1 / t))
    return splats[:, 5, None].sigmoid() * kernel.mean(2)


@pytest.mark.parametrize(
    ("beta", "bound", "worst"), [(1.5, 0.007, 0.13), (2.0, 0.003, 0.07), (4.0, 0.008, 0.13)]
)
def test_moment_is_the_mean_over_the_pixel(beta: float, bound: float, worst: float) -> None:
    """Root mean square and largest error of the moment closure over 0.15 to 4 px."""
    splats = _splats(120, seed=9)
    splats[:, 5], splats[:, 6] = 50.0, 2 / beta
    make = torch.Generator().manual_seed(2)
    pixels = (torch.rand(60, 2, generator=make, dtype=torch.float64) * 2 - 1) * 6
    truth = _supersampled(splats, pixels)
    error = _Alpha.apply(splats, pixels, "power", "moment") - truth
    assert error.square().mean().sqrt() < bound
    assert error.abs().max() < worst
