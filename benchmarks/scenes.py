"""Scenes for benchmarks: procedural, or a trained run."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from splat import native_core
from splat.cameras import Camera
from splat.gaussians import Gaussians, shape_from_betas
from splat.morton import morton_order


@dataclass(frozen=True)
class Workload:
    """A scene, a view of it and the photo to compare with.

    Attributes:
        name: where it comes from.
        gaussians: float32 scene.
        camera: the view.
        photo: [H, W, 3] float32 target.
    """

    name: str
    gaussians: Gaussians
    camera: Camera
    photo: Tensor


def procedural(
    count: int, height: int, width: int, sh_degree: int, seed: int = 0, size: float = 1.0
) -> Workload:
    """Splats on bumpy surfaces at several depths, a quarter of them outside the view.

    The spread of sizes, the overlap (about 80 useful evaluations per pixel at 50,000 splats and
    270x480) and the share of visible splats follow a scene trained from 50 photos of a statuette. ``size``
    makes every splat that many times as wide.
    """
    make = torch.Generator().manual_seed(seed)
    uniform = torch.rand(count, 5, generator=make)
    layer = (uniform[:, 4] * 4).floor()
    x, y = uniform[:, 0] * 2 - 1, uniform[:, 1] * 2 - 1
    spread = torch.tensor([0.6, 1.0, 1.2, 1.3])[layer.long()]
    z = torch.tensor([2.0, 2.8, 3.6, 5.0])[layer.long()] + 0.15 * torch.sin(5 * x) * torch.cos(4 * y)
    focal = 0.8 * max(width, height)
    reach = 0.58 * spread * z / focal
    means = torch.stack([x * reach * width, y * reach * height, z], 1)
    spacing = z * (width * height / count) ** 0.5 / focal
    log_scales = torch.log(spacing)[:, None] + 0.7 * torch.randn(count, 3, generator=make) + 0.42
    log_scales += math.log(size)
    opacities = 0.05 + 0.85 * uniform[:, 2] ** 1.5
    sh = 0.15 * torch.randn(count, (sh_degree + 1) ** 2, 3, generator=make)
    quats = torch.randn(count, 4, generator=make)
    gaussians = in_order(Gaussians(means, quats, log_scales, torch.logit(opacities), sh))
    intrinsics = torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
    rows = torch.linspace(0, 12, height)[:, None, None]
    columns = torch.linspace(0, 9, width)[None, :, None]
    channels = torch.tensor([0.0, 1.0, 2.0])
    photo = 0.5 + 0.25 * torch.sin(rows + channels) + 0.25 * torch.cos(columns * 3 + rows)
    camera = Camera(torch.eye(4), intrinsics, width, height)
    return Workload("procedural", gaussians, camera, photo.contiguous())


def in_order(gaussians: Gaussians) -> Gaussians:
    """In Morton order, as training keeps its scene."""
    order = morton_order(gaussians.means)
    changes: dict[str, Any] = {name: value[order] for name, value in gaussians.parameters().items()}
    return replace(gaussians, **changes)


def generalised(gaussians: Gaussians, seed: int = 0) -> Gaussians:
    """The same splats with exponents about 2, as training makes them (5 % to 95 %: 1.6 to 3.4)."""
    make = torch.Generator().manual_seed(seed)
    betas = 2 * torch.exp(0.25 * torch.randn(len(gaussians), generator=make))
    return replace(gaussians, kernel="gef", shape=shape_from_betas(betas.clamp(1.3, 7.9)))


def trained(run: Path, view: int, height: int, width: int) -> Workload:
    """A finished run's splat, seen from one of its cameras; its own render, blurred, is the photo."""
    import json

    from splat.io.ply import read_ply
    from splat.rasterize import RenderSettings, rasterize

    gaussians = in_order(read_ply(run / "splat.ply"))
    entry = json.loads((run / "cameras.json").read_text())["views"][view]
    camera = Camera(
        torch.tensor(entry["world_to_camera"], dtype=torch.float32),
        torch.tensor(entry["intrinsics"], dtype=torch.float32),
        entry["width"],
        entry["height"],
    ).resized(width, height)
    with torch.no_grad():
        photo = rasterize(gaussians, camera, RenderSettings(antialias=gaussians.antialias)).color
    return Workload(str(run), gaussians, camera, (photo * 0.9 + 0.05).contiguous())


def add_options(parser: argparse.ArgumentParser) -> None:
    """What to measure and on what, the same options in every benchmark."""
    parser.add_argument("--gaussians", type=int, default=50_000)
    parser.add_argument("--size", default="270x480", help="WIDTHxHEIGHT")
    parser.add_argument("--sh-degree", type=int, default=3)
    parser.add_argument("--run", type=Path, help="a run folder to measure instead of the procedural scene")
    parser.add_argument("--view", type=int, default=0, help="with --run: which camera")
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--isa", default="", help="avx512, avx2 or portable; default: the best")
    parser.add_argument("--json", type=Path)


def workload(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Workload:
    """Set threads and instruction set; make the scene asked for."""
    if options.isa and not native_core.load().set_isa(options.isa):
        parser.error(f"--isa {options.isa}: not built, or not on this processor")
    if options.threads:
        native_core.set_threads(options.threads)
    torch.set_num_threads(1)
    width, height = map(int, options.size.split("x"))
    if options.run:
        return trained(options.run, options.view, height, width)
    return procedural(options.gaussians, height, width, options.sh_degree)
