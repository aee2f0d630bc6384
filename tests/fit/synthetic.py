"""A tiny capture with known answer: random Gaussians, photographed by the reference rasteriser."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch

from splat.cameras import Camera
from splat.capture.types import Capture, CaptureSummary, Pixels, View
from splat.gaussians import Gaussians
from splat.rasterize import RenderSettings
from splat.rasterize.reference import rasterize_reference

SIZE = 32


def true_scene(count: int = 40, seed: int = 7, spread: float = 0.7) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)
    sh = torch.zeros(count, 1, 3)
    sh[:, 0] = 2.5 * (torch.rand(count, 3, generator=generator) - 0.5)
    return Gaussians(
        means=spread * (torch.rand(count, 3, generator=generator) - 0.5),
        quats=torch.randn(count, 4, generator=generator),
        log_scales=torch.log(0.04 + 0.08 * torch.rand(count, 3, generator=generator)),
        logit_opacities=1.0 + torch.rand(count, generator=generator),
        sh=sh,
    )


def ring_camera(angle: float, size: int = SIZE, height: float = 0.3) -> Camera:
    """Looks at the origin from distance 1 (y points down)."""
    position = torch.tensor([math.cos(angle), -height, math.sin(angle)], dtype=torch.float64)
    position /= position.norm()
    forward = -position
    right = torch.linalg.cross(torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64), forward)
    right /= right.norm()
    down = torch.linalg.cross(forward, right)
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = torch.stack([right, down, forward])
    pose[:3, 3] = -pose[:3, :3] @ position
    focal = 1.1 * size
    matrix = torch.tensor([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1.0]])
    return Camera(pose.float(), matrix, size, size)


def photograph(scene: Gaussians, camera: Camera, transparent: bool) -> Pixels:
    with torch.no_grad():
        rendered = rasterize_reference(scene, camera, RenderSettings())
    rgb = rendered.color.clamp(0, 1)
    if not transparent:
        return Pixels((rgb * 255).round().to(torch.uint8).numpy())
    alpha = rendered.alpha.clamp(0, 1)
    straight = (rgb / alpha[..., None].clamp_min(1e-3)).clamp(0, 1)
    straight[alpha < 0.02] = 0
    alpha[alpha < 0.02] = 0
    return Pixels(
        (straight * 255).round().to(torch.uint8).numpy(), (alpha * 255).round().to(torch.uint8).numpy()
    )


def synthetic_capture(
    views: int = 12, transparent: bool = False, points: bool = True, size: int = SIZE, spread: float = 0.7
) -> Capture:
    """Every 4th view is held out; sparse points are the true centres, moved a little."""
    scene = true_scene(spread=spread)
    made: list[View] = []
    for index in range(views):
        camera = ring_camera(2 * math.pi * index / views, size, height=0.3 + 0.2 * (index % 3))
        pixels = photograph(scene, camera, transparent)
        made.append(View(f"view {index:02d}.png", camera, partial(_same, pixels)))
    generator = torch.Generator().manual_seed(3)
    noisy = scene.means + 0.02 * torch.randn(scene.means.shape, generator=generator)
    transform = np.eye(4)
    transform[:3, :3] *= 0.5
    transform[:3, 3] = (0.1, -0.2, 0.3)
    return Capture(
        views=made,
        points=noisy if points else torch.zeros(0, 3),
        point_colors=torch.full((len(scene) if points else 0, 3), 128, dtype=torch.uint8),
        train=[i for i in range(views) if i % 4],
        test=[i for i in range(views) if i % 4 == 0],
        transform=transform,
        extent=1.1,
        background=(1.0, 1.0, 1.0) if transparent else None,
        summary=CaptureSummary("photos", views, views, len(scene) if points else 0, 0.5, 1.0),
    )


def _same(pixels: Pixels) -> Pixels:
    return pixels
