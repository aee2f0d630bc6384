"""Small scenes and cameras that the rasteriser's tests share."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from splat.cameras import Camera
from splat.gaussians import Antialias, Gaussians
from splat.rasterize.reference_project import rotations
from splat.sh import rgb_to_sh


def pinhole(width: int, height: int, focal: float = 0.0, dtype: torch.dtype = torch.float64) -> Camera:
    """At the origin, looking along +z; principal point in the middle, focal length = width."""
    focal = focal or float(width)
    intrinsics = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], dtype=dtype)
    return Camera(torch.eye(4, dtype=dtype), intrinsics, width, height)


def posed(width: int, height: int, dtype: torch.dtype = torch.float64) -> Camera:
    """Rotated and moved a little, fx != fy, principal point off the middle; sees (0, 0, 4)."""
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = rotations(torch.tensor([[1.0, 0.05, -0.08, 0.1]], dtype=torch.float64))[0]
    pose[:3, 3] = torch.tensor([0.5, -0.3, 0.2], dtype=torch.float64)
    fx, fy = 1.1 * width, 1.2 * width
    intrinsics = torch.tensor([[fx, 0, 0.53 * width], [0, fy, 0.46 * height], [0, 0, 1]])
    return Camera(pose.to(dtype), intrinsics.to(dtype), width, height)


def one_splat(
    mean: tuple[float, float, float],
    scale: float | tuple[float, float, float] = 0.1,
    opacity: float = 0.5,
    rgb: tuple[float, float, float] = (1.0, 1.0, 1.0),
    quat: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0),
    dtype: torch.dtype = torch.float64,
) -> Gaussians:
    """One splat of one colour."""
    scales = (scale,) * 3 if isinstance(scale, float) else scale
    return Gaussians(
        means=torch.tensor([mean], dtype=dtype),
        quats=torch.tensor([quat], dtype=dtype),
        log_scales=torch.tensor([scales], dtype=dtype).log(),
        logit_opacities=torch.logit(torch.tensor([opacity], dtype=dtype)),
        sh=rgb_to_sh(torch.tensor([[rgb]], dtype=dtype)),
    )


def joined(*scenes: Gaussians) -> Gaussians:
    """All the splats in one scene."""
    names = scenes[0].parameters()
    return replace(scenes[0], **{n: torch.cat([getattr(s, n) for s in scenes]) for n in names})


def random_scene(
    count: int,
    degree: int = 3,
    seed: int = 0,
    size: float = 0.08,
    spread: float = 1.2,
    dtype: torch.dtype = torch.float64,
) -> Gaussians:
    """Splats about (0, 0, 4), some outside the view of ``posed``; sizes about ``size``."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    means = normal(count, 3) * torch.tensor([spread, spread, 0.7 * spread]) + torch.tensor([0, 0, 4.0])
    scene = Gaussians(
        means=means.float(),
        quats=normal(count, 4).float(),
        log_scales=(torch.log(torch.tensor(size)) + 0.5 * normal(count, 3)).float(),
        logit_opacities=(1.5 * normal(count)).float(),
        sh=(0.25 * normal(count, (degree + 1) ** 2, 3)).float(),
    )
    return cast(scene, dtype)


def cast(scene: Gaussians, dtype: torch.dtype) -> Gaussians:
    """The same numbers in another precision, as new leaves."""
    return replace(scene, **{n: t.detach().to(dtype) for n, t in scene.parameters().items()})


def trainable(scene: Gaussians) -> Gaussians:
    """A copy whose parameters ask for gradients."""
    return replace(scene, **{n: t.detach().clone().requires_grad_() for n, t in scene.parameters().items()})


def extreme_scene(kind: str, count: int = 300, seed: int = 0) -> Gaussians:
    """A float32 random scene in which every third splat is pathological in one way."""
    scene = random_scene(count, 1, seed=seed, dtype=torch.float32)
    rows = torch.arange(0, count, 3)
    random = torch.Generator().manual_seed(seed)
    if kind == "tiny":
        scene.log_scales[rows] = -200.0
    elif kind == "flat":
        scene.log_scales[rows, rows % 3] = -40.0
    elif kind == "needle":
        scene.log_scales[rows, 0] = 2.0
        scene.log_scales[rows, 1:] = -30.0
    elif kind == "large":
        scene.log_scales[rows] = 12.0
    elif kind == "huge":
        scene.log_scales[rows] = 20 + 80 * torch.rand(len(rows), 3, generator=random)
    elif kind == "opaque":
        scene.logit_opacities[rows] = 200.0
    elif kind == "transparent":
        scene.logit_opacities[rows] = -200.0
    elif kind == "near":
        scene.means[rows, 2] = 0.0101 + 0.001 * torch.rand(len(rows), generator=random)
        scene.means[rows, :2] *= 0.01
    elif kind == "far away":
        scene.means[rows] *= 1e12
    elif kind == "behind":
        scene.means[rows, 2] *= -1
    elif kind == "edge on":
        scene.quats[rows] = torch.tensor([1.0, 0, 0, 0])
        scene.means[rows, 0] = 0.0
        scene.log_scales[rows, 0] = -16.0
    elif kind == "bright":
        scene.sh[rows] = 1e6 * scene.sh[rows]
    else:
        raise ValueError(kind)
    return scene


EXTREMES = (
    "tiny",
    "flat",
    "needle",
    "large",
    "huge",
    "opaque",
    "transparent",
    "near",
    "far away",
    "behind",
    "edge on",
    "bright",
)


def generalised(scene: Gaussians, seed: int = 0) -> Gaussians:
    """The same splats with exponents over the whole range."""
    make = torch.Generator().manual_seed(seed)
    shape = 2.5 * torch.randn(len(scene), generator=make, dtype=scene.means.dtype) - 1.5
    return replace(scene, kernel="gef", shape=shape)


FILTERS: tuple[Antialias, ...] = ("none", "mip", "analytic", "moment", "exact")
PAIRS = [(kernel, filter_) for kernel in ("gaussian", "gef") for filter_ in FILTERS]
PAIRS.remove(("gef", "analytic"))  # refused


def scene_of(kernel: str, count: int, seed: int, size: float = 0.1) -> Gaussians:
    """Random splats of a kernel, exponents over the whole range."""
    scene = random_scene(count, 1, seed=seed, size=size)
    return generalised(scene) if kernel == "gef" else scene
