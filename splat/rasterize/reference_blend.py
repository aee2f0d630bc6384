"""Reference blending: every pixel of a block against every splat, front to back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splat.cameras import Camera
from splat.rasterize.reference_project import Projected
from splat.rasterize.settings import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_MIN, RenderSettings


@dataclass(frozen=True)
class Blended:
    """P pixels: color [P, 3], alpha [P]; depth [P], median_depth [P], normals [P, 3] or None."""

    color: Tensor
    alpha: Tensor
    depth: Tensor | None
    median_depth: Tensor | None
    normals: Tensor | None


class SpreadMeans(torch.autograd.Function):
    """One copy of the projected means per pixel; the way back sums, and feeds the screen probe."""

    @staticmethod
    def forward(ctx: Any, means: Tensor, probe: Tensor, pixels: int) -> Tensor:
        """means [M, 2], probe [M, 4] (only receives a gradient) -> [pixels, M, 2]."""
        return means.expand(pixels, *means.shape).clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        """Signed sum to the means; (signed, absolute) sums to the probe."""
        signed = grads[0].sum(0)
        return signed, torch.cat([signed, grads[0].abs().sum(0)], -1), None


def blend(
    splats: Projected, probe: Tensor | None, pixels: Tensor, camera: Camera, settings: RenderSettings
) -> Blended:
    """Composite sorted splats at pixel centres [P, 2]; probe [M, 4] receives screen gradients."""
    means = splats.mean.expand(len(pixels), -1, -1)
    if probe is not None:
        means = SpreadMeans.apply(splats.mean, probe, len(pixels))
    alphas = splat_alphas(splats, means, pixels)
    weights, after = transmit(alphas)
    final = after[:, -1]
    background = weights.new_tensor(settings.background)
    color = weights @ splats.color + final[:, None] * background
    if not settings.geometry:
        return Blended(color, 1 - final, None, None, None)

    hit = weights > 0
    depths, normals = surfaces(splats, pixels, hit, camera)
    total = weights.sum(-1)
    depth = (weights * depths).sum(-1) / torch.where(total > 0, total, 1.0)
    below_half = after < 0.5
    first = below_half.to(torch.uint8).argmax(-1, keepdim=True)
    median = torch.where(below_half.any(-1), depths.gather(-1, first)[:, 0], 0.0)
    world = camera.world_to_camera[:3, :3].to(normals)
    return Blended(color, 1 - final, depth, median, (weights[..., None] * normals).sum(1) @ world)


def splat_alphas(splats: Projected, means: Tensor, pixels: Tensor) -> Tensor:
    """[P, M] opacity of each splat at each pixel, 0 where it is below 1/255."""
    alphas = splats.footprint.alphas(pixels[:, None] - means).clamp(max=ALPHA_MAX)
    return torch.where(alphas >= ALPHA_MIN, alphas, 0.0)


def transmit(alphas: Tensor) -> tuple[Tensor, Tensor]:
    """[P, M] alphas front to back -> blending weights and transmittance after each splat.

    A splat is blended while the transmittance before it is at least ``TRANSMITTANCE_MIN``.
    """
    with torch.no_grad():
        active = _shift(torch.cumprod(1 - alphas, -1)) >= TRANSMITTANCE_MIN
    alphas = torch.where(active, alphas, 0.0)
    after = torch.cumprod(1 - alphas, -1)
    return _shift(after) * alphas, after


def _shift(after: Tensor) -> Tensor:
    """Transmittance before each splat from that after it."""
    return torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], -1)


def surfaces(splats: Projected, pixels: Tensor, hit: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Depth and camera-frame normal of each splat's largest density along each pixel's ray.

    With the ray r = (x, y, 1) and L the splat's whitening: t = (L mu . L r) / (L r . L r) and
    normal -L^T L r, normalised (Gaussian Opacity Fields, RaDe-GS). 0 where ``hit`` is false.

    Returns:
        [P, M] and [P, M, 3].
    """
    (fx, fy), (cx, cy) = camera.focal, camera.principal_point
    x, y = (pixels[:, 0] - cx) / fx, (pixels[:, 1] - cy) / fy
    rays = torch.stack([x, y, torch.ones_like(x)], -1)
    local = torch.einsum("mij,pj->pmi", splats.whitening, rays)
    length = torch.where(hit, (local * local).sum(-1), 1.0)
    depths = torch.where(hit, (splats.center * local).sum(-1) / length, 0.0)
    gradient = torch.einsum("mij,pmi->pmj", splats.whitening, local)
    gradient = torch.where(hit[..., None], gradient, 1.0)
    normals = -gradient / gradient.norm(dim=-1, keepdim=True)
    return depths, torch.where(hit[..., None], normals, 0.0)
