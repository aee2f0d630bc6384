"""The gsplat adapter: its arguments through gsplat's plain-torch parts on the CPU, against the reference."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from splat.errors import SplatError
from splat.gaussians import Antialias, Gaussians
from splat.rasterize import Rendered, RenderSettings, rasterize
from splat.rasterize import gsplat as adapter
from splat.rasterize.reference_blend import SpreadMeans
from tests.rasterize.compare import assert_gradient_close, boundary_band, outcome
from tests.rasterize.scenes import posed, random_scene

torch_impl = pytest.importorskip("gsplat.cuda._torch_impl", reason="gsplat is not installed")
CAMERA = posed(43, 29, torch.float32)


def faint_scene(count: int = 60) -> Gaussians:
    """Opacities up to 0.7: neither the cut of alpha nor the early stop, in which gsplat differs, matter."""
    scene = random_scene(count, 2, size=0.15, dtype=torch.float32)
    return replace(scene, logit_opacities=scene.logit_opacities.clamp(max=0.8))


def rasterization(
    *, means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, colors: Tensor, sh_degree: int,
    viewmats: Tensor, Ks: Tensor, width: int, height: int, near_plane: float, far_plane: float, eps2d: float,
    rasterize_mode: str, backgrounds: Tensor, render_mode: str, packed: bool, absgrad: bool,
) -> tuple[Tensor, Tensor, dict[str, Any]]:  # fmt: skip
    """What ``gsplat.rasterization`` does with these arguments, from gsplat's own torch functions; its
    blending (a CUDA kernel) is written out."""
    assert render_mode == "RGB" and not packed and rasterize_mode in ("classic", "antialiased")
    covariance, _ = torch_impl._quat_scale_to_covar_preci(quats, scales, compute_preci=False)
    radii, means2d, depths, conics, factor = torch_impl._fully_fused_projection(
        means, covariance, viewmats, Ks, width, height, eps2d=eps2d, near_plane=near_plane,
        far_plane=far_plane, calc_compensations=rasterize_mode == "antialiased",
    )  # fmt: skip
    opacity = opacities if factor is None else opacities * factor[0]
    directions = means - torch.linalg.inv(viewmats)[0, :3, 3]
    harmonics = torch_impl._spherical_harmonics(
        sh_degree, torch.nn.functional.normalize(directions, dim=-1), colors
    )
    rgb = (harmonics + 0.5).clamp_min(0)
    means2d = means2d.clone()  # not a leaf, as in gsplat
    order = depths[0].argsort()
    order = order[(radii[0] > 0).all(-1)[order]]
    ys, xs = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    pixels = torch.stack([xs, ys], -1).reshape(-1, 1, 2)
    probe = torch.zeros(means2d.shape[1], 4, requires_grad=True)
    spread = SpreadMeans.apply(means2d[0], probe, len(pixels))[:, order]
    if absgrad:
        probe.register_hook(lambda g: setattr(means2d, "absgrad", g[None, :, 2:]))
    x, y = (pixels - spread).unbind(-1)
    a, b, c = conics[0, order].unbind(-1)
    alpha = (opacity[order] * torch.exp(-0.5 * (a * x * x + c * y * y) - b * x * y)).clamp(max=0.999)
    alpha = torch.where(alpha >= 1 / 255, alpha, 0.0)
    after = torch.cumprod(1 - alpha, -1)
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], -1)
    color = (before * alpha) @ rgb[order] + after[:, -1:] * backgrounds
    shape = (1, height, width, -1)
    return color.view(shape), (1 - after[:, -1]).view(shape), {"means2d": means2d, "radii": radii}


def through_adapter(scene: Gaussians, camera: Any, settings: RenderSettings) -> Rendered:
    adapter.check_supported(scene, settings)
    return adapter.render_with(rasterization, scene, camera, settings)


@pytest.mark.parametrize("antialias", ["none", "mip"])
@pytest.mark.parametrize("degree", [None, 1])
def test_picture_and_gradients_are_those_of_the_reference(antialias: Antialias, degree: int | None) -> None:
    scene = faint_scene()
    settings = RenderSettings(antialias, sh_degree=degree, background=(0.2, 0.5, 0.9), near=3.0, far=5.5)
    band = boundary_band(scene, CAMERA, settings)
    got = outcome(through_adapter, scene, CAMERA, settings, band)
    want = outcome(lambda *a: rasterize(*a, backend="reference"), scene, CAMERA, settings, band)
    keep = ~band.pixels
    assert keep.float().mean() > 0.9
    assert (got.rendered.color - want.rendered.color).abs()[keep].max() < 1e-4
    assert (got.rendered.alpha - want.rendered.alpha).abs()[keep].max() < 1e-4
    for name, gradient in want.gradients.items():
        # Of the pose only the translation: gsplat has the camera's centre from the inverse, which is the
        # transpose for rotations, but changes otherwise with each of their nine numbers.
        part = (slice(None), 3) if name == "pose" else ...
        assert_gradient_close(name, got.gradients[name][part], gradient[part])


def test_visible_splats_and_radii() -> None:
    rendered = through_adapter(faint_scene(), CAMERA, RenderSettings())
    expected = rasterize(faint_scene(), CAMERA, RenderSettings(), backend="reference")
    assert rendered.visible.dtype == torch.bool and bool((rendered.visible >= expected.visible).all())
    assert bool((rendered.radii >= expected.radii).all())
    assert bool((rendered.radii[~rendered.visible] == 0).all()) and bool(rendered.visible.any())
    assert rendered.screen is None and rendered.depth is None


def test_no_splats_give_the_background() -> None:
    behind = (0.1, 0.2, 0.3)
    rendered = through_adapter(faint_scene(0), CAMERA, RenderSettings(background=behind))
    assert torch.equal(rendered.color, torch.tensor(behind).expand(29, 43, 3))


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ({"kernel": "gef", "shape": torch.zeros(9)}, {}, 'kernel is "gef"'),
        ({}, {"antialias": "analytic"}, 'no pixel filter "analytic"'),
        ({}, {"antialias": "exact"}, 'no pixel filter "exact"'),
        ({}, {"antialias": "moment"}, 'no pixel filter "moment"'),
        ({}, {"geometry": True}, "no normals"),
        ({}, {"subpixel": 2}, "no sub-pixels"),
        ({}, {}, "NVIDIA GPUs only"),
    ],
)
def test_what_gsplat_cannot_do_is_refused(
    change: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    scene = replace(random_scene(9, 0, dtype=torch.float32), **change)
    with pytest.raises(SplatError, match=message):
        rasterize(scene, CAMERA, RenderSettings(**settings), backend="gsplat")


def test_double_precision_is_refused() -> None:
    with pytest.raises(SplatError, match="float64.*float32"):
        rasterize(random_scene(9, 0), CAMERA, RenderSettings(), backend="gsplat")


def test_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gsplat", None)
    with pytest.raises(SplatError, match="gsplat cannot be imported.*pip install gsplat"):
        adapter.library()


def test_package_without_its_cuda_code_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    package, inner, backend = (ModuleType(f"gsplat{tail}") for tail in ("", ".cuda", ".cuda._backend"))
    backend._C = None  # type: ignore[attr-defined]
    inner._backend = backend  # type: ignore[attr-defined]
    for module in (package, inner, backend):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(SplatError, match="CUDA code is not compiled"):
        adapter.library()
