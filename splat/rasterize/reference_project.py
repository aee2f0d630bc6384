"""Reference projection: Gaussians in the world to ellipses on the image, front to back."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from splat.cameras import Camera
from splat.gaussians import Gaussians
from splat.rasterize.settings import ALPHA_MIN, DILATION, FRUSTUM_MARGIN, RenderSettings
from splat.sh import eval_sh

MIP_RATIO_MIN = 1e-12
"""Lower bound of det S0 / det S before its square root (mip)."""
FLATTEST = -20.0
"""Lower bound of ln(s_min / s) in the whitening; only keeps float32 away from 0 / 0."""


@dataclass(frozen=True)
class Projected:
    """M visible splats, sorted front to back.

    Attributes:
        index: [M] row in the scene.
        mean: [M, 2] projected centre, pixels.
        covariance: [M, 3] (a, b, c) of S = [[a, b], [b, c]], px^2, dilated.
        determinant: [M] a c - b^2.
        opacity: [M] peak opacity after the sigmoid and the mip factor.
        color: [M, 3] RGB towards this camera, >= 0.
        z: [M] camera depth of the centre, world units.
        whitening: [M, 3, 3] L with L (x - mu) isotropic, x in the camera frame, up to one
            factor per splat, which depth and normal do not depend on.
        center: [M, 3] L mu, mu in the camera frame.
    """

    index: Tensor
    mean: Tensor
    covariance: Tensor
    determinant: Tensor
    opacity: Tensor
    color: Tensor
    z: Tensor
    whitening: Tensor
    center: Tensor

    def __getitem__(self, rows: Tensor) -> Projected:
        return Projected(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @property
    def half_extent(self) -> Tensor:
        """[M, 2] half size in pixels of the box outside which alpha < 1/255 (StopThePop, B.2)."""
        tau = 2 * torch.log(self.opacity.detach() / ALPHA_MIN)
        return (tau.clamp(min=0)[:, None] * self.covariance.detach()[:, [0, 2]]).sqrt()


def project(gaussians: Gaussians, camera: Camera, settings: RenderSettings) -> Projected:
    """The visible splats, front to back; differentiable in the scene and in ``world_to_camera``."""
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
    low, high = splats.mean - splats.half_extent, splats.mean + splats.half_extent
    overlaps = ((high > 0) & (low < size)).all(-1)
    proper = (splats.determinant > 0) & splats.determinant.isfinite()
    return overlaps & proper & (splats.opacity >= ALPHA_MIN)


def _project_rows(rows: Tensor, gaussians: Gaussians, camera: Camera, settings: RenderSettings) -> Projected:
    """Project these rows of the scene; all of them are in front of the camera."""
    pose = camera.world_to_camera.to(gaussians.means)
    (fx, fy), (cx, cy) = camera.focal, camera.principal_point
    means, log_scales = gaussians.means[rows], gaussians.log_scales[rows]
    points = means @ pose[:3, :3].T + pose[:3, 3]
    x, y, z = points.unbind(-1)
    axes = pose[:3, :3] @ rotations(gaussians.quats[rows])

    factor = projection_jacobian(points, camera) @ (axes * log_scales.exp()[:, None, :])
    covariance, determinant, mip = _dilate(factor, settings)
    opacity = gaussians.logit_opacities[rows].sigmoid()
    if settings.antialias == "mip":
        opacity = opacity * mip

    flatness = (log_scales.detach().amin(-1, keepdim=True) - log_scales).clamp(min=FLATTEST)
    whitening = flatness.exp()[:, :, None] * axes.transpose(1, 2)
    return Projected(
        index=rows,
        mean=torch.stack([fx * x / z + cx, fy * y / z + cy], -1),
        covariance=covariance,
        determinant=determinant,
        opacity=opacity,
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


def _dilate(factor: Tensor, settings: RenderSettings) -> tuple[Tensor, Tensor, Tensor]:
    """Covariance (a, b, c), its determinant and the mip opacity factor from S0 = B B^T, B [M, 2, 3].

    det S0 is |b1 x b2|^2 and det (S0 + e I) = det S0 + e tr S0 + e^2: sums of non-negative terms,
    where a c - b^2 would cancel for long thin splats.
    """
    b1, b2 = factor.unbind(-2)
    dilation = DILATION[settings.antialias]
    a, b, c = (b1 * b1).sum(-1), (b1 * b2).sum(-1), (b2 * b2).sum(-1)
    undilated = torch.linalg.cross(b1, b2).square().sum(-1)
    determinant = undilated + dilation * (a + c) + dilation**2
    mip = (undilated / determinant).clamp(min=MIP_RATIO_MIN).sqrt()
    return torch.stack([a + dilation, b, c + dilation], -1), determinant, mip


def _colors(means: Tensor, sh: Tensor, pose: Tensor, settings: RenderSettings) -> Tensor:
    """[M, 3] colour seen from the camera's centre, max(0, 0.5 + SH)."""
    degree = {1: 0, 4: 1, 9: 2, 16: 3}[sh.shape[1]]
    if settings.sh_degree is not None:
        degree = min(degree, settings.sh_degree)
    directions = F.normalize(means + pose[:3, :3].T @ pose[:3, 3], dim=-1)
    return (0.5 + eval_sh(degree, sh, directions)).clamp(min=0)
