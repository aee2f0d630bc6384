"""Depth and normals of surfaces made of flat splats, against the surface itself."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from splat.cameras import Camera
from splat.gaussians import Gaussians
from splat.rasterize import RenderSettings
from splat.rasterize.reference import rasterize_reference
from tests.rasterize.scenes import cast, posed

SETTINGS = RenderSettings(geometry=True)


def flat_splats(means: Tensor, normals: Tensor, size: float, thickness: float, opacity: float) -> Gaussians:
    """Discs at ``means`` whose thin axis is ``normals``."""
    z = torch.tensor([0.0, 0.0, 1.0], dtype=means.dtype).expand_as(normals)
    half = F.normalize(z + normals, dim=-1)  # the shortest turn from z to n is half x z
    quats = torch.cat([(z * half).sum(-1, keepdim=True), torch.linalg.cross(z, half)], -1)
    scales = means.new_tensor([size, size, thickness]).expand(len(means), 3)
    return Gaussians(
        means=means,
        quats=quats,
        log_scales=scales.log(),
        logit_opacities=torch.logit(means.new_full((len(means),), opacity)),
        sh=means.new_zeros(len(means), 1, 3),
    )


def rays(camera: Camera) -> Tensor:
    """[H, W, 3] camera-frame rays with z = 1 through the pixel centres."""
    (fx, fy), (cx, cy) = camera.focal, camera.principal_point
    rows = torch.arange(camera.height, dtype=torch.float64) + 0.5
    columns = torch.arange(camera.width, dtype=torch.float64) + 0.5
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([(x - cx) / fx, (y - cy) / fy, torch.ones_like(x)], -1)


@pytest.mark.parametrize("thickness", [1e-4, 1e-6, 1e-30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tilted_plane(dtype: torch.dtype, thickness: float) -> None:
    normal = F.normalize(torch.tensor([0.3, -0.4, -1.0], dtype=torch.float64), dim=0)
    across = F.normalize(torch.linalg.cross(normal, torch.tensor([0.0, 1, 0], dtype=torch.float64)), dim=0)
    grid = torch.linspace(-3, 3, 25, dtype=torch.float64)
    u, v = torch.meshgrid(grid, grid, indexing="ij")
    center = torch.tensor([0.0, 0, 4], dtype=torch.float64)
    means = center + u.reshape(-1, 1) * across + v.reshape(-1, 1) * torch.linalg.cross(normal, across)
    scene = flat_splats(means, normal.expand_as(means), 0.2, thickness, 0.6)
    scene = cast(scene, dtype)
    camera = posed(33, 27, dtype)
    image = rasterize_reference(scene, camera, SETTINGS)

    pose = camera.world_to_camera.double()
    direction, offset = pose[:3, :3] @ normal, pose[:3, :3] @ center + pose[:3, 3]
    expected = (direction @ offset) / (rays(camera) @ direction)
    assert image.depth is not None and image.median_depth is not None and image.normals is not None
    assert image.alpha.min() > 0.9
    tolerance = 1e-4 if dtype == torch.float32 else max(1e-12, 40 * thickness**2)
    assert (image.depth - expected).abs().max() < tolerance
    assert (image.median_depth - expected).abs().max() < tolerance
    assert (image.normals - image.alpha[..., None] * normal).abs().max() < tolerance


def test_sphere() -> None:
    """Unit sphere at (0, 0, 4); discs with a standard deviation of 0.03 sag by less than 0.001."""
    count = 4000
    i = torch.arange(count, dtype=torch.float64) + 0.5
    z, turn = 1 - 2 * i / count, i * torch.pi * (5**0.5 - 1)
    r = (1 - z * z).sqrt()
    normals = torch.stack([r * turn.cos(), r * turn.sin(), z], -1)
    normals[normals[:, 2].argmax()] += 1e-9
    center = torch.tensor([0.0, 0, 4], dtype=torch.float64)
    scene = flat_splats(center + normals, normals, 0.03, 1e-4, 0.9)
    camera = posed(41, 33)
    image = rasterize_reference(scene, camera, SETTINGS)

    pose, ray = camera.world_to_camera, rays(camera)
    mu = pose[:3, :3] @ center + pose[:3, 3]
    a, b, c = (ray * ray).sum(-1), ray @ mu, mu @ mu - 1
    inside = b * b - a * c > 0.3 * a  # away from the silhouette
    depth = (b - (b * b - a * c).clamp(min=0).sqrt()) / a
    normal = (depth[..., None] * ray - mu) @ pose[:3, :3]
    assert image.depth is not None and image.median_depth is not None and image.normals is not None
    assert inside.sum() > 50
    assert (image.median_depth - depth)[inside].abs().max() < 0.02
    assert (image.depth - depth)[inside].abs().max() < 0.05
    cosines = (F.normalize(image.normals, dim=-1) * normal).sum(-1)[inside]
    assert cosines.min() > 0.99


def test_normals_face_the_camera() -> None:
    """A disc gives the same normal whichever way its thin axis points."""
    mean = torch.tensor([[0.0, 0, 4]], dtype=torch.float64)
    normal = F.normalize(torch.tensor([[0.2, 0.1, -1.0]], dtype=torch.float64), dim=-1)
    for sign in (1, -1):
        image = rasterize_reference(flat_splats(mean, sign * normal, 0.5, 1e-5, 0.8), posed(9, 9), SETTINGS)
        assert image.normals is not None
        assert torch.allclose(image.normals[4, 4], image.alpha[4, 4] * normal[0], atol=1e-8)
