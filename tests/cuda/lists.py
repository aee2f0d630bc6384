"""Which splats a tile's list has to name, and which it may: found in float64, pixel by pixel."""

from __future__ import annotations

import torch
from torch import Tensor

from splat.cameras import Camera
from splat.gaussians import Gaussians
from splat.rasterize import Rendered, RenderSettings, rasterize
from splat.rasterize.filter_analytic import AnalyticFootprint
from splat.rasterize.filter_exact import ExactFootprint
from splat.rasterize.footprint import Footprint
from splat.rasterize.reference import pixel_centers
from splat.rasterize.reference_project import Projected, project
from splat.rasterize.settings import ALPHA_MIN
from tests.cuda.emulated import EmulatedCore
from tests.rasterize.scenes import cast

TILE = 16
ROUNDING = 1e-4
"""Relative, of an alpha in float32."""
MARGIN = (1.004, 2e-3)
"""Of the limit on u^2 + v^2: twice what the driver adds, so that rounding does not matter."""


def listed(
    core: EmulatedCore, scene: Gaussians, camera: Camera, settings: RenderSettings
) -> tuple[Rendered, list[list[int]]]:
    """Render on the driver: the images, and each tile's list."""
    with torch.no_grad():
        rendered = rasterize(cast(scene, torch.float32), camera, settings, backend="native")
    return rendered, core.idle[-1].tile_lists()


def tile_corners(camera: Camera) -> list[tuple[int, int]]:
    """Upper left pixel of every tile, row by row."""
    return [(x, y) for y in range(0, camera.height, TILE) for x in range(0, camera.width, TILE)]


def projected(scene: Gaussians, camera: Camera, settings: RenderSettings) -> Projected:
    """The visible splats in float64."""
    with torch.no_grad():
        return project(cast(scene, torch.float64), camera, settings)


def must_list(splats: Projected, camera: Camera, corner: tuple[int, int]) -> set[int]:
    """Splats that a pixel of the tile shows."""
    x, y = corner
    block = (x, y, min(x + TILE, camera.width), min(y + TILE, camera.height))
    offsets = pixel_centers(splats.mean, block)[:, None] - splats.mean
    alphas = splats.footprint.alphas(offsets)
    return set(splats.index[(alphas >= ALPHA_MIN * (1 + ROUNDING)).any(0)].tolist())


def may_list(splats: Projected, corner: tuple[int, int]) -> set[int]:
    """Splats whose ellipse meets the rectangle of the tile's pixel centres, grown by the filter's window."""
    covariance, grow, tau, factor = _bounds(splats.footprint)
    low = splats.mean.new_tensor(corner) + 0.5 - splats.mean - grow[:, None]
    high = low + (TILE - 1) + 2 * grow[:, None]
    slack = MARGIN[1] / factor
    near = smallest_on_rectangle(covariance, low, high) <= MARGIN[0] * tau + slack
    return set(splats.index[near].tolist())


def smallest_on_rectangle(covariance: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """[M] smallest d^T S^-1 d over low <= d <= high: 0 inside, else the best of the four edges."""
    a, b, c = covariance.unbind(-1)
    determinant = a * c - b * b

    def value(dx: Tensor, dy: Tensor) -> Tensor:
        return (c * dx * dx - 2 * b * dx * dy + a * dy * dy) / determinant

    values = []
    for edge in (low, high):
        x, y = edge.unbind(-1)
        values.append(value(x, (b / a * x).clamp(low[:, 1], high[:, 1])))
        values.append(value((b / c * y).clamp(low[:, 0], high[:, 0]), y))
    inside = ((low <= 0) & (high >= 0)).all(-1)
    return torch.where(inside, 0.0, torch.stack(values).amin(0))


def _bounds(footprint: Footprint) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Covariance, growth of the tile (pixels), limit of d^T S^-1 d, and (u^2 + v^2) / (d^T S^-1 d)."""
    if isinstance(footprint, ExactFootprint):
        parts = _bounds(footprint.strip), _bounds(footprint.point)
        small = footprint.small
        picked = [
            torch.where(small[:, None] if s.ndim == 2 else small, s, p) for s, p in zip(*parts, strict=True)
        ]
        return picked[0], picked[1], picked[2], picked[3]
    covariance: Tensor = footprint.covariance  # type: ignore[attr-defined]
    t = getattr(footprint, "t", None)
    margin = 0.0
    if isinstance(footprint, AnalyticFootprint):
        margin = 0.5**0.5
    elif hasattr(footprint, "strips"):
        margin = 0.5
    tau = (footprint.half_extent[:, 0] - margin).square() / covariance[:, 0]
    opacity: Tensor = footprint.opacity  # type: ignore[attr-defined]
    limit = torch.log2(opacity / ALPHA_MIN).clamp(min=0) ** (1.0 if t is None else t)
    factor = torch.where(tau > 0, limit / tau, 1.0)
    return covariance, torch.full_like(tau, margin), tau, factor
