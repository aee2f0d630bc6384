"""gsplat's plain-torch projection, covariance and harmonics against ours."""

from __future__ import annotations

import pytest
import torch

from splat.gaussians import Antialias
from splat.rasterize import RenderSettings
from splat.rasterize.filter_point import PointFootprint
from splat.rasterize.reference_project import project, rotations
from splat.rasterize.settings import DILATION
from splat.sh import eval_sh, sh_basis
from tests.rasterize.scenes import posed, random_scene

gsplat = pytest.importorskip("gsplat.cuda._torch_impl", reason="gsplat is not installed")


def test_covariance() -> None:
    scene = random_scene(50)
    axes = rotations(scene.quats) * scene.log_scales.exp()[:, None]
    covariance, precision = gsplat._quat_scale_to_covar_preci(scene.quats, scene.log_scales.exp())
    assert torch.allclose(axes @ axes.mT, covariance, atol=1e-12)
    assert torch.allclose(torch.linalg.inv(axes @ axes.mT) @ covariance @ precision, precision, rtol=1e-8)


@pytest.mark.parametrize("antialias", ["none", "mip"])
def test_projection(antialias: Antialias) -> None:
    """Includes splats beyond the grown image, whose Jacobian is clamped."""
    scene, camera = random_scene(400, spread=2.5, size=0.3), posed(83, 57)
    splats = project(scene, camera, RenderSettings(antialias=antialias))
    covariance, _ = gsplat._quat_scale_to_covar_preci(scene.quats, scene.log_scales.exp())
    arguments = covariance, camera.world_to_camera[None], camera.intrinsics[None], camera.width, camera.height
    radii, means, depths, conics, mip = gsplat._fully_fused_projection(
        scene.means, *arguments, eps2d=DILATION[antialias], calc_compensations=True
    )
    rows = splats.index
    point = splats.footprint
    assert isinstance(point, PointFootprint)
    a, b, c = point.covariance.unbind(-1)
    ours = torch.stack([c, -b, a], -1) / point.determinant[:, None]
    assert len(rows) > 100
    assert ((splats.mean < -0.15 * 83) | (splats.mean > 1.15 * 83)).any()
    assert torch.allclose(splats.mean, means[0, rows], atol=1e-10)
    assert torch.allclose(splats.z, depths[0, rows], atol=1e-12)
    assert torch.allclose(ours, conics[0, rows], atol=1e-9)
    opacity = scene.logit_opacities[rows].sigmoid()
    factor = mip[0, rows] if antialias == "mip" else 1.0
    assert torch.allclose(point.opacity, opacity * factor, atol=1e-8)
    # Our bound uses the opacity and is tighter; gsplat rounds 3.33 standard deviations up.
    assert (point.half_extent.ceil() <= radii[0, rows] + 1).all()


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_harmonics(degree: int) -> None:
    directions = torch.nn.functional.normalize(torch.randn(50, 3, dtype=torch.float64), dim=-1)
    sh = torch.randn(50, 16, 3, dtype=torch.float64)
    basis = gsplat._eval_sh_bases_fast((degree + 1) ** 2, directions)
    assert torch.allclose(sh_basis(degree, directions), basis, atol=1e-12)
    assert torch.allclose(
        eval_sh(degree, sh, directions), gsplat._spherical_harmonics(degree, directions, sh)
    )
