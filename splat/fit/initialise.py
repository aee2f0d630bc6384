"""The Gaussians that training starts from: sparse points, or random ones where a capture has none."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from splat.capture.types import Capture
from splat.errors import SplatError
from splat.fit.carve import carve
from splat.fit.engine import Engine
from splat.gaussians import Antialias, Gaussians, Kernel, shape_from_betas
from splat.sh import rgb_to_sh

FIRST_OPACITY = 0.1
LARGEST_SCALE = 0.1
"""Largest first scale, as a fraction of the distance to the cameras' middle (or of the extent)."""
BOX = 1.3 / 4.03
"""Half side of the box of random points over the cameras' distance: that of 3DGS for NeRF-synthetic."""
RANDOM_POINTS = 30_000


def first_gaussians(
    capture: Capture, budget: int, sh_degree: int, antialias: Antialias, seed: int, engine: Engine
) -> tuple[Gaussians, str]:
    """Gaussians at the capture's sparse points, or at random points if it has none.

    As 3DGS: isotropic, with the root mean squared distance to the 3 nearest others as scale, opacity
    0.1, colour of the point. Spacing is clamped so that a lone outlier does not become a fog.

    Args:
        capture: cameras, points, photos.
        budget: most Gaussians; sparse points beyond half of it are left out at random.
        sh_degree: of the coefficients.
        antialias: recorded in the scene.
        seed: of everything random here.
        engine: finds neighbours.

    Returns:
        The Gaussians, on the processor whatever the engine's device, and a sentence for the log about
        what they are.

    Raises:
        SplatError: points or cameras are not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    room = max(1, budget // 2) if budget > 8 else budget
    if capture.points.shape[0] >= 4:
        points, colors = capture.points, capture.point_colors.float() / 255
        text = f"starts from {min(room, len(points))} of {len(points)} sparse points"
        chosen = torch.randperm(len(points), generator=generator)[:room].sort().values
        points, colors = points[chosen], colors[chosen]
    else:
        points, colors, text = random_points(capture, min(room, RANDOM_POINTS), generator)
    if not torch.isfinite(points).all():
        raise SplatError("the sparse points hold NaN or infinity", advice="Check the reconstruction's files")
    return gaussians_at(points, colors, capture.extent, sh_degree, antialias, engine), text


def gaussians_at(
    points: Tensor, colors: Tensor, extent: float, sh_degree: int, antialias: Antialias, engine: Engine
) -> Gaussians:
    """Isotropic Gaussians of opacity 0.1 at [N, 3] ``points`` with RGB [N, 3] ``colors`` 0 to 1."""
    count = points.shape[0]
    neighbours = min(3, count - 1)
    squared = torch.full((count,), 1e-2)
    if neighbours:
        squared = engine.mean_squared_spacing(points.to(engine.device), neighbours).cpu()
    limit = LARGEST_SCALE * points.norm(dim=1).clamp_min(extent)
    scales = torch.minimum(squared.clamp_min(1e-7).sqrt(), limit)
    sh = torch.zeros(count, (sh_degree + 1) ** 2, 3)
    sh[:, 0] = rgb_to_sh(colors)
    return Gaussians(
        means=points.float().clone(),
        quats=torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(count, 1),
        log_scales=scales.log()[:, None].repeat(1, 3).float(),
        logit_opacities=torch.full((count,), math.log(FIRST_OPACITY / (1 - FIRST_OPACITY))),
        sh=sh,
        antialias=antialias,
    )


def with_kernel(scene: Gaussians, kernel: Kernel) -> Gaussians:
    """The same Gaussians as members of a kernel's family: exponent 2 for "gef"."""
    if kernel == "gaussian":
        return replace(scene, kernel=kernel, shape=None)
    return replace(scene, kernel=kernel, shape=shape_from_betas(torch.full((len(scene),), 2.0)))


def random_points(capture: Capture, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, str]:
    """[N, 3] points and [N, 3] colours where the cameras look.

    Cameras that look at one place: a box around it, cut to what every photo shows as not transparent.
    Otherwise (cameras that look outwards): along random pixel rays of random cameras.
    """
    centre = looked_at(capture)
    if centre is None:
        points = _along_rays(capture, count, generator)
        return (
            points,
            torch.full((count, 3), 0.5),
            f"starts from {count} random points in front of the cameras",
        )
    distance = torch.stack([v.camera.position for v in capture.views]).sub(centre).norm(dim=1).mean()
    half = BOX * distance
    candidates = centre + half * (2 * torch.rand(8 * count, 3, generator=generator) - 1)
    kept, colors = carve(candidates, capture, count)
    share = "" if kept.shape[0] == 8 * count else ", where no photo is transparent"
    kept, colors = kept[:count], colors[:count]
    return kept, colors, f"starts from {kept.shape[0]} random points around what the cameras look at{share}"


def looked_at(capture: Capture) -> Tensor | None:
    """[3] point nearest to all optical axes (least squares), or None if most cameras do not look at it.

    Minimises sum_i |(I - a_i a_i^T)(x - c_i)|^2 over x, with centres c_i and unit axes a_i.
    """
    cameras = [view.camera for view in capture.views]
    centres = torch.stack([camera.position for camera in cameras]).double()
    axes = torch.stack([camera.world_to_camera[2, :3] for camera in cameras]).double()
    across = torch.eye(3, dtype=torch.float64) - axes[:, :, None] * axes[:, None, :]
    system = across.sum(0)
    if torch.linalg.cond(system) > 1e6:
        return None
    point = torch.linalg.solve(system, (across @ centres[:, :, None]).sum(0)).squeeze(1)
    towards = point - centres
    along = (towards * axes).sum(1) / towards.norm(dim=1).clamp_min(1e-12)
    return point.float() if (along > 0.7).double().mean() >= 0.9 else None


def _along_rays(capture: Capture, count: int, generator: torch.Generator) -> Tensor:
    """[count, 3] points at log-uniform depths, 0.2 to 4 extents, on random pixel rays."""
    chosen = torch.randint(len(capture.views), (count,), generator=generator).tolist()
    draws = torch.rand(count, 3, generator=generator)
    depth = 0.2 * capture.extent * 20.0 ** draws[:, 2]
    points = torch.empty(count, 3)
    for row, index in enumerate(chosen):
        camera = capture.views[index].camera
        (fx, fy), (cx, cy) = camera.focal, camera.principal_point
        x = (draws[row, 0] * camera.width - cx) / fx
        y = (draws[row, 1] * camera.height - cy) / fy
        local = depth[row] * torch.stack([x, y, torch.ones(())])
        pose = camera.world_to_camera
        points[row] = pose[:3, :3].T @ (local - pose[:3, 3])
    return points
