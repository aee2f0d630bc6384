"""Reference projection: Gaussians in the world to ellipses on the image, front to back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from splat.cameras import Camera
from splat.gaussians import Gaussians
from splat.rasterize.filters import filtered
from splat.rasterize.footprint import Ellipses, Footprint, SplatRows
from splat.rasterize.settings import ALPHA_MIN, FRUSTUM_MARGIN, RenderSettings
from splat.sh import eval_sh

FLATTEST = -20.0
"""Lower bound of ln(s_min / s) in the whitening; only keeps float32 away from 0 / 0."""


@dataclass(frozen=True)
class Projected(SplatRows):
    """M visible splats, sorted front to back.

    Attributes:
        index: [M] row in the scene.
        mean: [M, 2] projected centre, pixels.
        footprint: the splats as the pixel filter shows them.
        color: [M, 3] RGB towards this camera, >= 0.
        z: [M] camera depth of the centre, world units.
        whitening: [M, 3, 3] L with L (x - mu) isotropic, x in the camera frame, up to one
            factor per splat, which depth and normal do not depend on.
        center: [M, 3] L mu, mu in the camera frame.
    """

    index: Tensor
    mean: Tensor
    footprint: Footprint
    color: Tensor
    z: Tensor
    whitening: Tensor
    center: Tensor


def project(gaussians: Gaussians, camera: Camera, settings: RenderSettings) -> Projected:
    """The visible splats, front to back; differentiable in the scene and in ``world_to_camera``.

    ``camera`` is that of the samples: with sub-pixels, of the finer image.
    """
    with torch.no_grad():
        pose = camera.world_to_camera.to(gaussians.means)
        z = gaussians.means @ pose[2, :3] + pose[2, 3]
        candidates = ((z > settings.near) & (z < settings.far)).nonzero()[:, 0]
        splats = _project_rows(candidates, gaussians, camera, settings)
        splats = splats[_on_image(splats, camera)]
        order = torch.argsort(splats.z, stable=True)
    return _project_rows(splats.index[order], gaussians, camera, settings)


def _on_image(splats: Projected, camera: Camera) -> Tensor:
    """[M] bool: opaque enough, finite, and the bound overlaps the image."""
    size = splats.mean.new_tensor([camera.width, camera.height])
    extent = splats.footprint.half_extent
    overlaps = ((splats.mean + extent > 0) & (splats.mean - extent < size)).all(-1)
    return overlaps & splats.footprint.proper & (splats.footprint.peak >= ALPHA_MIN)


def _project_rows(rows: Tensor, gaussians: Gaussians, camera: Camera, settings: RenderSettings) -> Projected:
    """Project these rows of the scene; all of them are in front of the camera."""
    pose = camera.world_to_camera.to(gaussians.means)
    (fx, fy), (cx, cy) = camera.focal, camera.principal_point
    means, log_scales = gaussians.means[rows], gaussians.log_scales[rows]
    points = means @ pose[:3, :3].T + pose[:3, 3]
    x, y, z = points.unbind(-1)
    axes = pose[:3, :3] @ rotations(gaussians.quats[rows])

    factor = projection_jacobian(points, camera) @ (axes * log_scales.exp()[:, None, :])
    t = None if gaussians.kernel == "gaussian" else 2 / gaussians.betas[rows]
    ellipses = _ellipses(factor, gaussians.logit_opacities[rows].sigmoid(), t)

    flatness = (log_scales.detach().amin(-1, keepdim=True) - log_scales).clamp(min=FLATTEST)
    whitening = flatness.exp()[:, :, None] * axes.transpose(1, 2)
    return Projected(
        index=rows,
        mean=torch.stack([fx * x / z + cx, fy * y / z + cy], -1),
        footprint=filtered(ellipses, settings),
        color=_colors(means, gaussians.sh[rows], pose, settings),
        z=z,
        whitening=whitening,
        center=(whitening @ points[:, :, None])[..., 0],
    )


def rotations(quats: Tensor) -> Tensor:
    """[M, 4] (w, x, y, z), any length, to [M, 3, 3] rotation matrices."""
    w, x, y, z = F.normalize(quats, dim=-1).unbind(-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
    ]
    return torch.stack(rows, -2)


def projection_jacobian(points: Tensor, camera: Camera) -> Tensor:
    """[M, 2, 3] derivative of the pinhole projection at camera-frame points (EWA splatting).

    x/z and y/z are clamped to the image grown by ``FRUSTUM_MARGIN`` on each side; no gradient
    flows through a clamped coordinate.
    """
    (fx, fy), (cx, cy) = camera.focal, camera.principal_point
    x, y, z = points.unbind(-1)
    w, h, margin = camera.width, camera.height, FRUSTUM_MARGIN
    u = (x / z).clamp((-margin * w - cx) / fx, ((1 + margin) * w - cx) / fx)
    v = (y / z).clamp((-margin * h - cy) / fy, ((1 + margin) * h - cy) / fy)
    zero = torch.zeros_like(z)
    first = torch.stack([fx / z, zero, -fx * u / z], -1)
    second = torch.stack([zero, fy / z, -fy * v / z], -1)
    return torch.stack([first, second], -2)


def _ellipses(factor: Tensor, opacity: Tensor, t: Tensor | None) -> Ellipses:
    """Covariance S = B B^T of B [M, 2, 3]; det S is |b1 x b2|^2, which does not cancel."""
    b1, b2 = factor.unbind(-2)
    covariance = torch.stack([(b1 * b1).sum(-1), (b1 * b2).sum(-1), (b2 * b2).sum(-1)], -1)
    return Ellipses(covariance, torch.linalg.cross(b1, b2).square().sum(-1), opacity, t)


def _colors(means: Tensor, sh: Tensor, pose: Tensor, settings: RenderSettings) -> Tensor:
    """[M, 3] colour seen from the camera's centre, max(0, 0.5 + SH)."""
    degree = {1: 0, 4: 1, 9: 2, 16: 3}[sh.shape[1]]
    if settings.sh_degree is not None:
        degree = min(degree, settings.sh_degree)
    directions = F.normalize(means + pose[:3, :3].T @ pose[:3, 3], dim=-1)
    return (0.5 + eval_sh(degree, sh, directions)).clamp(min=0)
