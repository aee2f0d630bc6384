"""Visual hull: drop points that a transparent photo shows to be empty (Laurentini 1994)."""

from __future__ import annotations

import torch
from torch import Tensor

from splat.cameras import Camera
from splat.capture.types import Capture, Pixels

MOST_VIEWS = 60
FEWEST_KEPT = 500


def carve(points: Tensor, capture: Capture, wanted: int) -> tuple[Tensor, Tensor]:
    """The points that lie on something in every training photo that sees them, with their mean colour.

    Args:
        points: [N, 3], in random order.
        capture: photos; without transparency nothing is dropped.
        wanted: colours are looked up for no more than this many points.

    Returns:
        [M, 3] points and [M, 3] RGB 0 to 1; all N points, grey, if fewer than 500 are left.
    """
    step = max(1, len(capture.train) // MOST_VIEWS)
    kept, sums, seen = points, torch.zeros_like(points), torch.zeros(points.shape[0])
    opaque = True
    for index in capture.train[::step]:
        view = capture.views[index]
        pixels = view.load()
        if pixels.alpha is None:
            break
        opaque = False
        inside, cell = project(kept, view.camera)
        empty = inside & (torch.from_numpy(pixels.alpha).flatten()[cell] == 0)
        sums[inside] += _colors(pixels, cell[inside])
        seen[inside] += 1
        kept, sums, seen = kept[~empty], sums[~empty], seen[~empty]
        if kept.shape[0] < FEWEST_KEPT:
            opaque = True
            break
    if opaque:
        return points, torch.full_like(points, 0.5)
    return kept[:wanted], (sums / seen.clamp_min(1)[:, None])[:wanted]


def project(points: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """[N] bool, whether each point is in the picture, and [N] flat index of its pixel (0 if not)."""
    local = points @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
    (fx, fy), (cx, cy) = camera.focal, camera.principal_point
    depth = local[:, 2].clamp_min(1e-6)
    x = (fx * local[:, 0] / depth + cx).floor()
    y = (fy * local[:, 1] / depth + cy).floor()
    inside = (local[:, 2] > 1e-6) & (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
    cell = (y * camera.width + x).nan_to_num(0).clamp(0, camera.width * camera.height - 1).long()
    return inside, torch.where(inside, cell, torch.zeros_like(cell))


def _colors(pixels: Pixels, cell: Tensor) -> Tensor:
    return torch.from_numpy(pixels.rgb).reshape(-1, 3)[cell].float() / 255
