"""Properties of the pixel filters: where they are exact, where they meet, what bounds them."""

from __future__ import annotations

from dataclasses import replace
from math import pi

import numpy as np
import pytest
import torch
from torch import Tensor

from splat.gaussians import Antialias
from splat.rasterize import RenderSettings
from splat.rasterize.filter_analytic import analytic, window
from splat.rasterize.filter_exact import exact
from splat.rasterize.filter_moment import matched
from splat.rasterize.filter_point import spread
from splat.rasterize.filter_strip import StripFootprint, interval
from splat.rasterize.filters import filtered
from splat.rasterize.footprint import Ellipses
from splat.rasterize.profile import relative_mass
from splat.rasterize.settings import ALPHA_MIN
from tests.rasterize.response import FILTERS, draw, near_pixels, truth

TINY = (1e-6, 1e-3, 0.03, 1.0, 50.0, 1e4, 1e6)


def ellipse(a: float, b: float, c: float, beta: float = 2.0, opacity: float = 1.0) -> Ellipses:
    values = torch.tensor([[a, b, c]], dtype=torch.float64)
    t = None if beta == 2 else torch.tensor([2 / beta], dtype=torch.float64)
    return Ellipses(values, values[:, 0] * values[:, 2] - values[:, 1] ** 2, values.new_tensor([opacity]), t)


def strips(ellipses: Ellipses, count: int = 1) -> StripFootprint:
    return StripFootprint(ellipses.covariance, ellipses.determinant, ellipses.opacity, count)


def grid(extent: float = 3.0, count: int = 21) -> Tensor:
    """[count^2, 1, 2] offsets."""
    line = torch.linspace(-extent, extent, count, dtype=torch.float64)
    return torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).reshape(-1, 1, 2)


def box_integral(sigma: float, offset: Tensor) -> Tensor:
    """Integral of exp(-x^2 / (2 sigma^2)) over the pixel at these offsets, by erf."""
    low, high = ((offset + shift) / (sigma * 2**0.5) for shift in (-0.5, 0.5))
    return (pi / 2) ** 0.5 * sigma * (torch.erf(high) - torch.erf(low))


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(("a", "c"), [(0.04, 0.3), (2.0, 0.5), (0.25, 0.25), (40.0, 0.01)])
def test_strips_are_exact_along_the_pixels_axes(a: float, c: float, count: int) -> None:
    offsets = grid()
    expected = box_integral(a**0.5, offsets[..., 0]) * box_integral(c**0.5, offsets[..., 1])
    assert torch.allclose(strips(ellipse(a, 0, c), count).alphas(offsets), expected, atol=1e-7)


def test_interval_against_quadrature() -> None:
    """Any width and place, across the switch from three nodes to differences."""
    widths = torch.tensor([1e-6, 1e-3, 0.3, 0.499, 0.501, 1.5, 6.0], dtype=torch.float64)
    middle, half = torch.meshgrid(torch.linspace(-6, 6, 25).double(), widths / 2, indexing="ij")
    nodes, weights = (torch.from_numpy(v) for v in np.polynomial.legendre.leggauss(60))
    x = middle[..., None] + half[..., None] * nodes
    density = weights * torch.exp(-0.5 * x * x) / (2 * pi) ** 0.5
    mass, mean, spread_ = interval(middle - half, middle + half)
    total = density.sum(-1)
    center = (density * x).sum(-1) / total
    variance = (density * (x - center[..., None]) ** 2).sum(-1) / total
    assert torch.allclose(mass, half * total, rtol=1e-4, atol=1e-9)
    assert torch.allclose(mean, center, atol=2e-4)
    assert torch.allclose(spread_, variance, rtol=0.02, atol=1e-12)
    near = middle.abs() <= 4
    assert torch.allclose(spread_[near], variance[near], rtol=3e-3, atol=1e-12)


def test_interval_in_float32_does_not_cancel() -> None:
    low = torch.tensor([-9.0, -4.0, -0.5, 0.0, 3.0, 8.5])
    for width in (1e-5, 1e-3, 0.3, 0.7, 4.0):
        wanted, got = interval(low.double(), (low + width).double()), interval(low, low + width)
        assert torch.allclose(got[0].double(), wanted[0], rtol=3e-5, atol=1e-20)
        assert torch.allclose(got[1].double(), wanted[1], rtol=1e-5, atol=1e-6)
        assert torch.allclose(got[2].double(), wanted[2], rtol=0.02, atol=1e-12)


def test_analytic_of_a_round_splat_is_the_product_along_the_pixels_axes() -> None:
    offsets = grid()
    footprint = analytic(ellipse(0.3, 0.0, 0.3))
    assert footprint.axis.tolist() == [[1, 0]]
    expected = box_integral(0.3**0.5, offsets[..., 0]) * box_integral(0.3**0.5, offsets[..., 1])
    assert (footprint.alphas(offsets) - expected).abs().max() < 3e-3


@pytest.mark.parametrize("split", [0.0, 1e-20, 1e-12, 1e-7, 1e-4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_analytic_gradients_are_bounded_near_round(split: float, dtype: torch.dtype) -> None:
    for size in (1e-4, 0.3, 1e6):
        covariance = torch.tensor([[size * (1 + split), size * split, size]], dtype=dtype).requires_grad_()
        opacity = torch.ones(1, dtype=dtype)
        a, b, c = covariance.unbind(-1)
        footprint = analytic(Ellipses(covariance, a * c - b * b, opacity, None))
        (gradient,) = torch.autograd.grad(footprint.alphas(grid().to(dtype)).sum(), covariance)
        assert gradient.isfinite().all() and (gradient * size).abs().max() < 1e5


def test_analytic_is_the_published_formula() -> None:
    """Eigenvectors and the two logistic differences, written out."""
    ellipses, _ = draw(2.0, 50)
    sample = near_pixels(2.0, 50, 20)
    a, b, c = ellipses.covariance.unbind(-1)
    matrix = torch.stack([torch.stack([a, b], -1), torch.stack([b, c], -1)], -2)
    values, vectors = torch.linalg.eigh(matrix)
    along = torch.einsum("mij,pmi->pmj", vectors, sample.offsets)
    sigma = values.sqrt()

    def logistic(x: Tensor) -> Tensor:
        return 1 / (1 + torch.exp(-(1.6 * x + 0.07 * x**3)))

    windows = logistic((along + 0.5) / sigma) - logistic((along - 0.5) / sigma)
    expected = 2 * pi * (sigma * windows).prod(-1)
    assert torch.allclose(analytic(ellipses).alphas(sample.offsets), expected, atol=1e-10)


def test_logistic_window_does_not_cancel() -> None:
    low = torch.linspace(-4, 4, 9)
    single = window(low, low + 1e-6)
    real = (low + 1e-6).double() - low.double()
    slope = window(low.double(), low.double() + real) / real
    assert torch.allclose(single.double() / real, slope, rtol=1e-5)


@pytest.mark.parametrize("beta", [1.2, 2.0, 5.0])
@pytest.mark.parametrize("name", [n for n in FILTERS if n != "none"])
def test_filters_keep_the_mass(name: str, beta: float) -> None:
    """The sum over all pixels of a splat is its integral, whatever its place."""
    if name == "analytic" and beta != 2:
        pytest.skip("Gaussians only")
    ellipses = ellipse(0.5, 0.3, 0.6, beta)
    line = torch.arange(-40, 41, dtype=torch.float64)
    offsets = torch.stack(torch.meshgrid(line + 0.21, line - 0.37, indexing="xy"), -1).reshape(-1, 1, 2)
    t = torch.tensor(2 / beta, dtype=torch.float64)
    expected = 2 * pi * (ellipses.determinant.sqrt() * relative_mass(t)).item()
    total = filtered(ellipses, FILTERS[name]).alphas(offsets).sum().item()
    assert total == pytest.approx(expected, rel=0.05 if name == "mip" else 0.03)


@pytest.mark.parametrize("beta", [1.2, 1.5, 3.0, 8.0])
@pytest.mark.parametrize("settings", [s for n, s in FILTERS.items() if n not in ("none", "analytic")])
def test_large_splats_need_no_filter(settings: RenderSettings, beta: float) -> None:
    sample = near_pixels(beta, 30, 30)
    large = Ellipses(
        sample.ellipses.covariance * 1e6,
        sample.ellipses.determinant * 1e12,
        sample.ellipses.opacity,
        sample.ellipses.t,
    )
    plain = filtered(large, RenderSettings(antialias="none")).alphas(1e3 * sample.offsets)
    got = filtered(large, settings).alphas(1e3 * sample.offsets)
    assert (got - plain).abs().max() < 2e-4


def test_exact_takes_strips_below_one_pixel_and_samples_above() -> None:
    small, large = ellipse(0.9, 0.1, 5.0), ellipse(1.5, 0.1, 5.0)
    offsets = grid()
    assert torch.equal(exact(small, 2).alphas(offsets), strips(small, 2).alphas(offsets))
    assert torch.equal(exact(large, 2).alphas(offsets), spread(large, 1 / 12).alphas(offsets))


@pytest.mark.parametrize(("count", "most"), [(1, 0.0125), (2, 0.0021)])
def test_a_faint_splat_is_sampled_up_to_the_error_of_an_opaque_one(count: int, most: float) -> None:
    sample = near_pixels(2.0, 1500, 8, seed=4)
    wanted = truth(sample, 32)
    for opacity in (0.7, 0.4, 0.2, 0.05):
        ellipses = replace(sample.ellipses, opacity=torch.full((1500,), opacity, dtype=torch.float64))
        chosen = exact(ellipses, count)
        assert (chosen.alphas(sample.offsets) - opacity * wanted).abs().max() < most
        freed = ~chosen.small & exact(sample.ellipses, count).small
        assert freed.sum() > 10, "some splats are spared their strips"


def test_exact_of_a_generalised_exponential() -> None:
    """Strips of the Gaussian of equal mass if small and beta <= 2.5; else the moment closure."""
    offsets = grid()
    for beta, size, by_strips in ((1.5, 0.05, True), (1.5, 0.1, False), (3.0, 0.01, False)):
        ellipses = ellipse(size, 0.0, 0.5, beta)
        got = exact(ellipses, 1).alphas(offsets)
        assert torch.equal(got, matched(ellipses).alphas(offsets)) != by_strips


def test_mixed_forms_keep_the_order() -> None:
    sizes = torch.tensor([0.1, 9.0, 0.2, 4.0, 0.3], dtype=torch.float64)
    ellipses = Ellipses(
        torch.stack([sizes, 0 * sizes, sizes], -1), sizes.square(), torch.ones_like(sizes), None
    )
    together = exact(ellipses, 1).alphas(grid().expand(-1, 5, 2))
    for row in range(5):
        alone = exact(ellipses[torch.tensor([row])], 1).alphas(grid())
        assert torch.equal(together[:, row : row + 1], alone)


@pytest.mark.parametrize("beta", [1.2, 2.0, 3.0, 8.0])
@pytest.mark.parametrize("name", FILTERS)
def test_bounds_hold(name: str, beta: float) -> None:
    """No alpha above ``peak``; none of 1/255 or more outside the box."""
    if name == "analytic" and beta != 2:
        pytest.skip("Gaussians only")
    sample = near_pixels(beta, 2000, 60)
    footprint = filtered(sample.ellipses, FILTERS[name])
    alphas = footprint.alphas(2 * sample.offsets)
    assert (alphas <= footprint.peak * 1.01 + 1e-9).all()
    outside = (2 * sample.offsets.abs() > footprint.half_extent).any(-1)
    assert outside.any()
    assert alphas[outside].max() < ALPHA_MIN * (1 + 1e-9)


@pytest.mark.parametrize("antialias", ["none", "mip", "analytic", "moment", "exact"])
@pytest.mark.parametrize("beta", [1.2, 2.0, 8.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_size_and_shape_is_finite(antialias: Antialias, beta: float, dtype: torch.dtype) -> None:
    """Round to needle, 1e-6 to 1e6 px, three directions: values in [0, peak], finite gradients."""
    if antialias == "analytic" and beta != 2:
        pytest.skip("Gaussians only")
    first, second = torch.cartesian_prod(torch.tensor(TINY), torch.tensor(TINY)).to(dtype).unbind(-1)
    offsets = torch.cat([grid(), 100 * grid()]).to(dtype)
    for angle in (0.0, 0.3, pi / 4):
        x, y = torch.cos(torch.tensor(angle)), torch.sin(torch.tensor(angle))
        s1, s2 = first.clone().requires_grad_(), second.clone().requires_grad_()
        parts = [x**2 * s1**2 + y**2 * s2**2, x * y * (s1**2 - s2**2), y**2 * s1**2 + x**2 * s2**2]
        opacity = torch.ones_like(first).requires_grad_()
        t = torch.full_like(first, 2 / beta).requires_grad_() if beta != 2 else None
        footprint = filtered(
            Ellipses(torch.stack(parts, -1), (s1 * s2).square(), opacity, t),
            RenderSettings(antialias=antialias),
        )
        rows = (footprint.proper & (footprint.peak >= ALPHA_MIN)).nonzero()[:, 0]
        alphas = footprint[rows].alphas(offsets.expand(-1, len(rows), 2))
        assert len(rows) > 10 and alphas.isfinite().all()
        assert (alphas >= 0).all() and (alphas <= footprint.peak[rows] * 1.02 + 1e-6).all()
        inputs = [v for v in (s1, s2, opacity, t) if v is not None]
        for gradient in torch.autograd.grad(alphas.sum(), inputs, allow_unused=t is not None):
            assert gradient is None or gradient.isfinite().all()
        assert footprint.half_extent[rows].isfinite().all()


def test_truth_is_the_integral() -> None:
    """The supersampling itself, against erf."""
    sample = near_pixels(2.0, 20, 10)
    round_ = Ellipses(
        sample.ellipses.covariance * 0 + torch.tensor([0.09, 0, 0.09]).double(),
        torch.full((20,), 0.0081).double(),
        sample.ellipses.opacity,
        None,
    )
    got = truth(type(sample)(2.0, round_, sample.offsets))
    expected = box_integral(0.3, sample.offsets[..., 0]) * box_integral(0.3, sample.offsets[..., 1])
    assert torch.allclose(got, expected, atol=1e-4)
