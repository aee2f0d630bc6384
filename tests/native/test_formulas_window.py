"""Kernels that integrate over the pixel: the strip rule, Analytic-Splatting, and the filter "exact"."""

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

WINDOWS = ["strip1", "strip2", "analytic"]


def _call(kernel: str) -> tuple[str, list[int]]:
    return ("analytic", []) if kernel == "analytic" else ("strip", [int(kernel[-1])])


class _Alpha(torch.autograd.Function):
    """[N, P] alpha of each splat at each pixel."""

    @staticmethod
    def forward(ctx: Any, splats: Tensor, pixels: Tensor, kernel: str) -> Tensor:  # type: ignore[override]
        out = torch.empty(len(splats), len(pixels), dtype=torch.float64)
        name, strips = _call(kernel)
        getattr(native_core.load().formulas, f"{name}_forward")(*strips, splats.contiguous(), pixels, out)
        ctx.save_for_backward(splats.detach().contiguous(), pixels)
        ctx.kernel = kernel
        return out

    @staticmethod
    def backward(ctx: Any, v_out: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        splats, pixels = ctx.saved_tensors
        return _backward(splats, pixels, ctx.kernel, v_out)[0], None, None


def _backward(splats: Tensor, pixels: Tensor, kernel: str, v_out: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of the splats, and [N, P, 2] that of their means from every pixel by itself."""
    grad, means = torch.empty_like(splats), torch.empty(*v_out.shape, 2, dtype=torch.float64)
    name, strips = _call(kernel)
    backward = getattr(native_core.load().formulas, f"{name}_backward")
    backward(*strips, splats, pixels, v_out.contiguous(), grad, means)
    return grad, means


class _Exact(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, splats: Tensor, pixels: Tensor, profile: str, strips: int) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(splats.detach().contiguous(), pixels)
        ctx.call = profile, strips
        return _exact(splats, pixels, profile, strips)[0]

    @staticmethod
    def backward(ctx: Any, v_out: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        splats, pixels = ctx.saved_tensors
        profile, strips = ctx.call
        grad = torch.empty_like(splats)
        backward = getattr(native_core.load().formulas, f"exact_{profile}_backward")
        backward(strips, splats, pixels, v_out.contiguous(), grad)
        return grad, None, None, None


def _exact(splats: Tensor, pixels: Tensor, profile: str, strips: int = 1) -> tuple[Tensor, Tensor]:
    """Alpha, and [N, 4]: whether it takes strips, whether it is seen, half extents."""
    out = torch.empty(len(splats), len(pixels), dtype=torch.float64)
    facts = torch.empty(len(splats), 4, dtype=torch.float64)
    forward = getattr(native_core.load().formulas, f"exact_{profile}_forward")
    forward(strips, splats.detach().contiguous(), pixels, out, facts)
    return out, facts


def _normal(x: Tensor) -> Tensor:
    return 0.5 * torch.erfc(-x / math.sqrt(2.0))


def test_distribution_functions() -> None:
    x = torch.linspace(-12, 12, 24001, dtype=torch.float64)
    out = torch.empty(len(x), 5, dtype=torch.float64)
    native_core.load().formulas.cdf(x, out)
    density = torch.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    assert (out[:, 0] - _normal(x)).abs().max() < 1.6e-6
    assert (out[:, 1] - density).abs().max() < 1e-5
    assert (out[:, 2] - _normal(x)).abs().max() < 3.93e-4
    assert (out[:, 4] - _normal(x)).abs().max() < 2e-6
    step = x[1] - x[0]
    for column in (0, 2):
        assert (out[:, column].diff() >= 0).all()
        middle = (out[2:, column] - out[:-2, column]) / (2 * step)
        torch.testing.assert_close(out[1:-1, column + 1], middle, rtol=0, atol=2e-7)


def test_moments_of_a_strip() -> None:
    """Against 20000-point midpoint sums of the normal density; narrow and wide strips, to its tails."""
    strips = torch.cartesian_prod(
        torch.tensor([-3.9, -2.2, -1.0, -0.26, 0.0, 0.3, 0.7, 1.9, 3.4], dtype=torch.float64),
        torch.tensor([1e-3, 0.05, 0.49, 0.51, 0.8, 1.7, 4.0, 9.0], dtype=torch.float64),
    )
    got = torch.empty(len(strips), 3, dtype=torch.float64)
    native_core.load().formulas.strip_moments(strips, got)
    steps = (torch.arange(20000, dtype=torch.float64) + 0.5) / 20000 - 0.5
    offsets = steps * strips[:, 1:]
    density = torch.exp(-0.5 * (strips[:, :1] + offsets) ** 2) / math.sqrt(2 * math.pi)
    mass = density.mean(1)
    offset = (density * offsets).mean(1) / mass
    variance = (density * offsets**2).mean(1) / mass - offset**2
    torch.testing.assert_close(got[:, 0], mass * strips[:, 1], rtol=6e-6, atol=0)
    torch.testing.assert_close(got[:, 1], strips[:, 0] + offset, rtol=0, atol=2e-5)
    torch.testing.assert_close(got[:, 2], variance, rtol=2e-3, atol=0)


def _nodes(count: int) -> tuple[Tensor, Tensor]:
    """Gauss-Legendre on [-1/2, 1/2]."""
    off = torch.arange(1, count, dtype=torch.float64)
    off = off / torch.sqrt(4 * off * off - 1)
    values, vectors = torch.linalg.eigh(torch.diag(off, 1) + torch.diag(off, -1))
    return values / 2, vectors[0] ** 2


def _integral(splats: Tensor, pixels: Tensor) -> Tensor:
    """A Gaussian's mean over each pixel: quadrature along y, erf along x."""
    s = covariance(splats)
    y, weights = _nodes(64)
    d = pixels[None] - splats[:, None, :2]
    dy = d[..., 1:] + y
    vy = s[:, 1, 1, None, None]
    given = (torch.linalg.det(s)[:, None, None] / vy).sqrt()
    x = d[..., :1] - s[:, 0, 1, None, None] / vy * dy
    across = _normal((x + 0.5) / given) - _normal((x - 0.5) / given)
    inner = torch.exp(-0.5 * dy * dy / vy) * across * given * math.sqrt(2 * math.pi)
    return splats[:, 5, None].sigmoid() * (inner * weights).sum(2)


def _opaque(count: int, smallest: float, largest: float) -> Tensor:
    splats = gaussians(random_splats(count, smallest, largest, seed=9))
    splats[:, 5] = 50.0
    return splats


@pytest.mark.parametrize(
    ("kernel", "mean", "worst"),
    [("strip1", 0.0006, 0.012), ("strip2", 0.0001, 0.0024), ("analytic", 0.006, 0.063)],
)
def test_windows_are_the_mean_over_the_pixel(kernel: str, mean: float, worst: float) -> None:
    """Root mean square and largest error, standard deviations 0.15 to 4 px."""
    splats, pixels = _opaque(400, 0.15, 4.0), random_pixels(2, reach=5.0, count=60)
    error = _Alpha.apply(splats, pixels, kernel) - _integral(splats, pixels)
    assert error.square().mean().sqrt() < mean
    assert error.abs().max() < worst


@pytest.mark.parametrize("kernel", ["strip1", "strip2"])
def test_strips_of_an_aligned_splat_are_exact(kernel: str) -> None:
    splats, pixels = _opaque(100, 0.1, 0.9), random_pixels(2, reach=3.0, count=40)
    splats[:, 3] = 0
    error = _Alpha.apply(splats, pixels, kernel) - _integral(splats, pixels)
    assert error.abs().max() < 1e-4  # what is left is Phi's own


def test_analytic_is_the_published_formula() -> None:
    splats, pixels = gaussians(random_splats(50, seed=4)), random_pixels()
    values, vectors = torch.linalg.eigh(covariance(splats))
    along = torch.einsum("nik,npi->npk", vectors, pixels[None] - splats[:, None, :2])
    sigma = values.sqrt()[:, None]

    def f(x: Tensor) -> Tensor:
        return torch.sigmoid(1.6 * x + 0.07 * x**3)

    parts = f((along + 0.5) / sigma) - f((along - 0.5) / sigma)
    want = splats[:, 5, None].sigmoid() * 2 * math.pi * (sigma * parts).prod(2)
    torch.testing.assert_close(_Alpha.apply(splats, pixels, "analytic"), want, rtol=1e-5, atol=1e-7)


def test_analytic_of_large_splats_is_the_kernel() -> None:
    splats = _opaque(30, 200.0, 3000.0)
    pixels = random_pixels(reach=200.0)
    d = pixels[None] - splats[:, None, :2]
    kernel = torch.exp(-0.5 * torch.einsum("npi,nij,npj->np", d, torch.linalg.inv(covariance(splats)), d))
    # the published constants, not the window, are behind the error
    torch.testing.assert_close(_Alpha.apply(splats, pixels, "analytic"), kernel, rtol=0, atol=6e-3)


@pytest.mark.parametrize("kernel", WINDOWS)
@pytest.mark.parametrize(("smallest", "largest"), [(0.15, 0.9), (0.5, 8.0), (5.0, 400.0)])
def test_gradients(kernel: str, smallest: float, largest: float) -> None:
    splats = gaussians(random_splats(8, smallest, largest, seed=3)).requires_grad_()
    pixels = random_pixels(reach=max(2.0, smallest))
    # The strips' masses and their slopes come from two fits that agree to 3e-6.
    tolerance = 1e-5 if kernel.startswith("strip") else 1e-7
    assert torch.autograd.gradcheck(
        lambda s: _Alpha.apply(s, pixels, kernel), splats, eps=1e-6, atol=tolerance, rtol=1e-4
    )


@pytest.mark.parametrize("kernel", WINDOWS)
def test_every_pixels_part_of_the_mean_gradient(kernel: str) -> None:
    splats, pixels = gaussians(random_splats(40, seed=6)), random_pixels()
    v_out = torch.randn(40, 11, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    _, means = _backward(splats, pixels, kernel, v_out)
    for k in range(len(pixels)):
        alone = torch.zeros_like(v_out)
        alone[:, k] = v_out[:, k]
        grad, _ = _backward(splats, pixels, kernel, alone)
        torch.testing.assert_close(means[:, k], grad[:, :2], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("strips", [1, 2])
@pytest.mark.parametrize("profile", ["plain", "power"])
def test_exact_gradients(profile: str, strips: int) -> None:
    splats = random_splats(12, 0.2, 9.0, seed=3)
    if profile == "plain":
        splats = gaussians(splats)
    pixels = random_pixels()
    taken = _exact(splats, pixels, profile)[1][:, 0]
    assert taken.any() and not taken.all()
    splats.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s: _Exact.apply(s, pixels, profile, strips), splats, eps=1e-6, atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize(("strips", "mean", "worst"), [(1, 0.0005, 0.012), (2, 0.0002, 0.0024)])
def test_exact_is_the_mean_over_the_pixel(strips: int, mean: float, worst: float) -> None:
    splats, pixels = _opaque(400, 0.15, 4.0), random_pixels(2, reach=5.0, count=60)
    error = _exact(splats, pixels, "plain", strips)[0] - _integral(splats, pixels)
    assert error.square().mean().sqrt() < mean
    assert error.abs().max() < worst


def test_exact_leaves_out_no_pixel() -> None:
    """A splat that is not seen, and what lies outside the extents, stay below alpha 1/255."""
    splats = gaussians(random_splats(400, 0.005, 3.0, seed=11))
    splats[:, 5] = torch.linspace(-6, 6, 400, dtype=torch.float64)
    splats[:, :2] += 50  # well inside the image
    pixels = torch.cartesian_prod(*[50 + torch.arange(-14, 15, dtype=torch.float64) * 0.75] * 2)
    alpha, facts = _exact(splats, pixels, "plain")
    seen = facts[:, 1] > 0
    assert seen.any() and not seen.all()
    assert alpha[~seen].max() < 1 / 255
    outside = ((pixels[None] - splats[:, None, :2]).abs() > facts[:, None, 2:]).any(2)
    assert alpha[outside].max() < 1 / 255


@pytest.mark.parametrize(("smallest", "largest"), [(1e-6, 1e-5), (1e-4, 3e3), (500.0, 500.0), (2e4, 1e5)])
@pytest.mark.parametrize("kernel", [*WINDOWS, "exact_plain", "exact_power"])
def test_everything_is_finite(kernel: str, smallest: float, largest: float) -> None:
    splats = random_splats(40, smallest, largest, seed=7)
    splats[::4, 5], splats[1::4, 5] = -1e4, 1e4
    splats[::5, 3], splats[::5, 4] = 0, splats[::5, 2]  # isotropic
    if kernel != "exact_power":
        splats = gaussians(splats)
    pixels = torch.cat([random_pixels(), random_pixels(reach=1e5), splats[:2, :2]])
    splats.requires_grad_()
    if kernel.startswith("exact"):
        alpha = _Exact.apply(splats, pixels, kernel[6:], 1)
    else:
        alpha = _Alpha.apply(splats, pixels, kernel)
    assert alpha.isfinite().all()
    (grad,) = torch.autograd.grad(alpha.sum(), splats)
    assert grad.isfinite().all()


@pytest.mark.parametrize("beta", [1.2, 1.7, 2.4])
def test_small_splats_of_any_kernel_keep_their_mass(beta: float) -> None:
    """All of a small splat lies in 5x5 pixels: their sum is its volume."""
    splats = _opaque(60, 0.05, 0.25)
    splats[:, 6] = 2 / beta
    pixels = torch.cartesian_prod(*[torch.arange(-4, 5, dtype=torch.float64)] * 2)
    alpha, facts = _exact(splats, pixels, "power")
    small = facts[:, 0] > 0
    assert small.sum() > 30
    volume = 2 * math.pi * torch.linalg.det(covariance(splats)).sqrt() * curves(splats[:, 6])[1]
    torch.testing.assert_close(alpha.sum(1)[small], volume[small], rtol=2e-4, atol=0)


@pytest.mark.parametrize(
    ("beta", "mean", "worst"), [(1.2, 0.008, 0.15), (2.4, 0.005, 0.06), (8.0, 0.02, 0.17)]
)
def test_exact_of_other_kernels(beta: float, mean: float, worst: float) -> None:
    """Root mean square and largest error; strips for some splats unless the kernel is too flat."""
    splats, pixels = _opaque(100, 0.15, 4.0), random_pixels(2, reach=5.0, count=40)
    splats[:, 6] = 2 / beta
    alpha, facts = _exact(splats, pixels, "power")
    assert facts[:, 0].any() == (beta < 2.5)
    error = alpha - supersampled(splats, pixels)
    assert error.square().mean().sqrt() < mean
    assert error.abs().max() < worst
