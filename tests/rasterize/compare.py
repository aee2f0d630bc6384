"""Compare a float32 backend with the float64 reference: values, gradients, and where not to look.

Rendering has jumps: a splat is skipped below alpha 1/255, a pixel ends below a transmittance of
1e-4, splats swap where their depths tie. Within rounding of a jump two right answers differ, so
pixels in that band are left out of the values and get no weight in the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from splat.cameras import Camera
from splat.gaussians import Gaussians
from splat.rasterize import Rendered, RenderSettings, rasterize
from splat.rasterize.filter_exact import ExactFootprint
from splat.rasterize.footprint import Footprint
from splat.rasterize.reference import BLOCK, pixel_centers
from splat.rasterize.reference_blend import transmit
from splat.rasterize.reference_project import Projected, project
from splat.rasterize.settings import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_MIN
from tests.rasterize.scenes import cast, posed, trainable

Backend = Callable[[Gaussians, Camera, RenderSettings], Rendered]

IMAGES = ("color", "alpha", "depth", "median_depth", "normals")


@dataclass(frozen=True)
class Band:
    """[H, W] bool: pixels too near a jump to compare; ``median`` for the median depth only."""

    pixels: Tensor
    median: Tensor


def boundary_band(scene: Gaussians, camera: Camera, settings: RenderSettings) -> Band:
    """Pixels where rounding to float32 may decide, found in float64."""
    side = settings.subpixel
    view = camera.resized(side * camera.width, side * camera.height)
    with torch.no_grad():
        splats = project(cast(scene, torch.float64), view, settings)
        pixels = torch.zeros(view.height, view.width, dtype=torch.bool)
        median = torch.zeros_like(pixels)
        for y in range(0, view.height, BLOCK):
            for x in range(0, view.width, BLOCK):
                block = (x, y, min(x + BLOCK, view.width), min(y + BLOCK, view.height))
                part = slice(y, block[3]), slice(x, block[2])
                close, half = _block_band(splats, block)
                pixels[part] = close.view(pixels[part].shape)
                median[part] = half.view(pixels[part].shape)
        pixels, median = (m.view(camera.height, side, camera.width, side) for m in (pixels, median))
        pixels = pixels.any(3).any(1)
        return Band(pixels, median.any(3).any(1) | pixels)


def _block_band(splats: Projected, block: tuple[int, int, int, int]) -> tuple[Tensor, Tensor]:
    points = pixel_centers(splats.mean, block)
    low, high = points.amin(0) - 1, points.amax(0) + 1
    extent = splats.footprint.half_extent
    splats = splats[((splats.mean + extent > low) & (splats.mean - extent < high)).all(-1)]
    if not len(splats.index):
        none = torch.zeros(len(points), dtype=torch.bool)
        return none, none
    offsets = points[:, None] - splats.mean
    raw = splats.footprint.alphas(offsets)
    alphas = torch.where(raw >= ALPHA_MIN, raw.clamp(max=ALPHA_MAX), 0.0)
    before = torch.cumprod(1 - alphas, -1) / (1 - alphas)
    reached = before >= TRANSMITTANCE_MIN * (1 - 1e-3)
    jumps = (255 * raw - 1).abs() < 1e-3
    jumps |= (raw - ALPHA_MAX).abs() < 1e-5
    jumps |= (before / TRANSMITTANCE_MIN - 1).abs() < 1e-3
    # A colour channel within rounding of its clamp at 0 has a gradient or none.
    jumps |= (alphas > 0) & ((splats.color > 0) & (splats.color < 1e-5)).any(-1)
    jumps |= (alphas > 0) & _undecided(splats.footprint)
    tied = splats.z[1:] - splats.z[:-1] < 2e-6 * splats.z[1:]
    hit = alphas > 0
    swaps = tied & hit[:, 1:] & hit[:, :-1]
    _, after = transmit(alphas)
    half = ((after - 0.5).abs() < 1e-4) & hit
    return (jumps & reached).any(-1) | swaps.any(-1), half.any(-1)


def _undecided(footprint: Footprint) -> Tensor:
    """[M] bool: rounding decides by which form "exact" shows the splat, or along which axis."""
    if not isinstance(footprint, ExactFootprint):
        return torch.zeros_like(footprint.peak, dtype=torch.bool)
    a, b, c = footprint.strip.covariance.unbind(-1)
    tied = footprint.small & ((a - c).abs() < 1e-5 * a) & (b.abs() > 1e-4 * a)
    return tied | ((footprint.size - 1).abs() < 1e-4)


@dataclass(frozen=True)
class Outcome:
    """One backend's images and the gradients of a fixed loss, by name."""

    rendered: Rendered
    gradients: dict[str, Tensor]


def outcome(
    backend: Backend, scene: Gaussians, camera: Camera, settings: RenderSettings, band: Band
) -> Outcome:
    """Render and go back from a random weighting of every image (zero in the band)."""
    scene = trainable(scene)
    pose = camera.world_to_camera.detach().to(scene.means.dtype).clone().requires_grad_()
    rendered = backend(scene, replace(camera, world_to_camera=pose), settings)
    loss = _loss(rendered, band)
    loss.backward()
    assert rendered.screen is not None and rendered.screen.grad is not None
    gradients = {name: t.grad for name, t in scene.parameters().items() if t.grad is not None}
    assert set(gradients) == set(scene.parameters()) and pose.grad is not None
    screen = rendered.screen.grad
    gradients |= {"pose": pose.grad[:3], "screen": screen[:, :2], "abs_screen": screen[:, 2:]}
    return Outcome(rendered, gradients)


def _loss(rendered: Rendered, band: Band) -> Tensor:
    random = torch.Generator().manual_seed(1)
    loss = rendered.color.new_zeros(())
    for name in IMAGES:
        image = getattr(rendered, name)
        if image is None:
            continue
        weight = torch.randn(image.shape, generator=random, dtype=torch.float64)
        weight[band.median if name == "median_depth" else band.pixels] = 0
        loss = loss + (image * weight.to(image)).sum()
    return loss


def assert_images_close(got: Rendered, want: Rendered, band: Band, tolerance: float = 1e-4) -> None:
    """Every image within ``tolerance`` outside the band; depths relative to themselves above 1."""
    for name in IMAGES:
        ours, theirs = getattr(got, name), getattr(want, name)
        assert (ours is None) == (theirs is None), name
        if ours is None:
            continue
        assert ours.shape == theirs.shape and bool(ours.isfinite().all()), name
        keep = ~(band.median if name == "median_depth" else band.pixels)
        error = (ours.double() - theirs.double()).abs()
        if "depth" in name:
            error = error / theirs.double().abs().clamp(min=1)
        worst = error[keep].max().item()
        assert worst <= tolerance, f"{name}: largest difference {worst:.2e} > {tolerance:.0e}"


def assert_gradient_close(name: str, got: Tensor, want: Tensor, tolerance: float = 1e-3) -> None:
    """Norm of the difference, cosine, and which rows are zero."""
    got, want = got.double(), want.double()
    assert got.shape == want.shape, name
    assert bool(got.isfinite().all()), f"{name}: gradient is not finite"
    norm = want.norm()
    assert norm > 0, f"{name}: the reference's gradient is zero, so this would show nothing"
    error = ((got - want).norm() / norm).item()
    assert error <= tolerance, f"{name}: relative error {error:.2e} > {tolerance:.0e}"
    cosine = (got.flatten() @ want.flatten() / (got.norm() * norm)).item()
    assert cosine >= 1 - 1e-5, f"{name}: cosine {cosine:.8f}"
    ours, theirs = (t.reshape(len(t), -1).ne(0).any(-1) for t in (got, want))
    differing = (ours != theirs).nonzero()[:, 0].tolist()
    assert not differing, f"{name}: rows zero in one and not in the other: {differing[:10]}"


def assert_outcomes_close(got: Outcome, want: Outcome, band: Band) -> None:
    """Images, visibility, radii and all gradients."""
    assert_images_close(got.rendered, want.rendered, band)
    assert torch.equal(got.rendered.visible, want.rendered.visible)
    assert torch.allclose(got.rendered.radii.double(), want.rendered.radii.double(), rtol=1e-3, atol=1e-3)
    for name, gradient in want.gradients.items():
        assert_gradient_close(name, got.gradients[name], gradient)


def native(scene: Gaussians, camera: Camera, settings: RenderSettings) -> Rendered:
    """By the compiled core."""
    return rasterize(scene, camera, settings, backend="native")


def reference(scene: Gaussians, camera: Camera, settings: RenderSettings) -> Rendered:
    """By the reference."""
    return rasterize(scene, camera, settings, backend="reference")


def assert_native_is_right(scene: Gaussians, width: int, height: int, settings: RenderSettings) -> Outcome:
    """Native in float32 against the reference in float64, on the same numbers."""
    camera = posed(width, height, torch.float32)
    band = boundary_band(scene, camera, settings)
    assert band.median.float().mean() < 0.25, "most pixels must be compared"
    got = outcome(native, cast(scene, torch.float32), camera, settings, band)
    want = outcome(reference, cast(scene, torch.float64), camera, settings, band)
    assert want.rendered.alpha.max() > 0.5
    assert_outcomes_close(got, want, band)
    return got
