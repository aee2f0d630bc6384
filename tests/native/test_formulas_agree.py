"""The shared formulas against the reference's filters: alphas and gradients, float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from splat import native_core
from splat.gaussians import Antialias
from splat.rasterize.filters import filtered
from splat.rasterize.footprint import Ellipses
from splat.rasterize.settings import RenderSettings
from tests.native.image_splats import gaussians, random_pixels, random_splats

pytestmark = pytest.mark.skipif(not native_core.available(), reason="the native core is not built")

CASES: list[tuple[Antialias, int, str]] = [
    ("none", 1, "plain"),
    ("none", 1, "power"),
    ("mip", 1, "plain"),
    ("mip", 1, "power"),
    ("moment", 1, "power"),
    ("analytic", 1, "plain"),
    ("exact", 1, "plain"),
    ("exact", 2, "plain"),
    ("exact", 1, "power"),
]


def _reference(splats: Tensor, pixels: Tensor, name: Antialias, strips: int, power: bool) -> Tensor:
    """[N, P] alpha."""
    a, b, c = splats[:, 2], splats[:, 3], splats[:, 4]
    t = splats[:, 6] if power else None
    ellipses = Ellipses(torch.stack([a, b, c], 1), a * c - b * b, splats[:, 5].sigmoid(), t)
    footprint = filtered(ellipses, RenderSettings(antialias=name, strips=strips))
    return footprint.alphas(pixels[:, None] - splats[None, :, :2]).T


def _formulas(
    splats: Tensor, pixels: Tensor, v_alpha: Tensor, name: Antialias, strips: int, profile: str
) -> tuple[Tensor, Tensor]:
    """[N, P] alpha and the splats' gradient."""
    core = native_core.load().formulas
    alpha, grad = torch.empty_like(v_alpha), torch.empty_like(splats)
    if name == "analytic":
        core.analytic_forward(splats, pixels, alpha)
        means = torch.empty(*alpha.shape, 2, dtype=torch.float64)
        core.analytic_backward(splats, pixels, v_alpha, grad, means)
    elif name == "exact":
        facts = torch.empty(len(splats), 4, dtype=torch.float64)
        getattr(core, f"exact_{profile}_forward")(strips, splats, pixels, alpha, facts)
        getattr(core, f"exact_{profile}_backward")(strips, splats, pixels, v_alpha, grad)
    else:
        getattr(core, f"{profile}_forward")(name, splats, pixels, alpha)
        getattr(core, f"{profile}_backward")(name, splats, pixels, v_alpha, grad)
    return alpha, grad


@pytest.mark.parametrize(("name", "strips", "profile"), CASES)
def test_formulas_are_the_reference(name: Antialias, strips: int, profile: str) -> None:
    splats, pixels = random_splats(300, 0.1, 5.0, seed=12), random_pixels()
    if profile == "plain":
        splats = gaussians(splats)
    v_alpha = torch.randn(300, 11, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    alpha, grad = _formulas(splats, pixels, v_alpha, name, strips, profile)
    leaf = splats.clone().requires_grad_()
    want = _reference(leaf, pixels, name, strips, profile == "power")
    torch.testing.assert_close(alpha, want.detach(), rtol=1e-5, atol=1e-5)
    (v_want,) = torch.autograd.grad((want * v_alpha).sum(), leaf)
    scale = v_want.abs().amax(0).clamp(min=1e-3)
    torch.testing.assert_close(grad / scale, v_want / scale, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("t", [0.25, 0.85, 1.4])
def test_round_splats_agree(t: float) -> None:
    """Equal axes, where the eigenvectors are undefined.

    Of "analytic" only the sum of the gradients of a and c is compared: the formulas give those of
    the axes of the image, the reference their mean.
    """
    splats, pixels = random_splats(40, 0.2, 3.0, seed=2), random_pixels()
    splats[:, 3], splats[:, 4], splats[:, 6] = 0, splats[:, 2], t
    v_alpha = torch.ones(40, 11, dtype=torch.float64)
    for name, strips, profile in CASES:
        given = gaussians(splats) if profile == "plain" else splats
        alpha, grad = _formulas(given, pixels, v_alpha, name, strips, profile)
        leaf = given.clone().requires_grad_()
        want = _reference(leaf, pixels, name, strips, profile == "power")
        torch.testing.assert_close(alpha, want.detach(), rtol=1e-5, atol=1e-5)
        (v_want,) = torch.autograd.grad((want * v_alpha).sum(), leaf)
        if name == "analytic":
            for v in (grad, v_want):
                v[:, 2], v[:, 4] = v[:, 2] + v[:, 4], 0
        scale = v_want.abs().amax(0).clamp(min=1e-3)
        torch.testing.assert_close(grad / scale, v_want / scale, rtol=1e-3, atol=1e-4)
