"""What a browser is shown: one view of the scene as 8-bit colours."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from splat.cameras import Camera
from splat.gaussians import Antialias, Gaussians
from splat.rasterize import Backend, RenderSettings, rasterize

Mode = Literal["colour", "alpha", "depth", "normals"]
MODES: tuple[Mode, ...] = get_args(Mode)

Image = NDArray[np.uint8]
"""[H, W, 3] RGB."""


def render_frame(
    gaussians: Gaussians,
    camera: Camera,
    mode: Mode = "colour",
    background: tuple[float, float, float] = (0.0, 0.0, 0.0),
    backend: Backend = "auto",
    near: float = 0.01,
    antialias: Antialias | None = None,
) -> Image:
    """Render one view with the scene's kernel and, unless told otherwise, its pixel filter.

    Args:
        gaussians: the scene.
        camera: the view, same world.
        mode: "colour"; "alpha" (white is opaque); "depth" (expected depth, near is bright, from the
            2nd to the 98th percentile of the view); "normals" (world frame, (n + 1) / 2 as RGB).
        background: RGB 0 to 1 behind the scene.
        backend: as ``splat.rasterize.rasterize``.
        near: splats closer than this are not drawn, world units.
        antialias: another pixel filter than the one the scene was trained with.

    Raises:
        SplatError: as ``splat.rasterize.rasterize``.
    """
    settings = RenderSettings(
        antialias=antialias or gaussians.antialias,
        background=background,
        near=near,
        geometry=mode in ("depth", "normals"),
    )
    with torch.no_grad():
        rendered = rasterize(gaussians, camera, settings, backend)
    alpha = rendered.alpha[..., None]
    behind = torch.tensor(background).to(alpha)
    if mode == "alpha":
        return to_bytes(alpha.expand(-1, -1, 3))
    if mode == "depth" and rendered.depth is not None:
        return to_bytes(alpha * _depth_colors(rendered.depth, rendered.alpha) + (1 - alpha) * behind)
    if mode == "normals" and rendered.normals is not None:
        return to_bytes(0.5 * (rendered.normals + alpha) + (1 - alpha) * behind)
    return to_bytes(rendered.color)


def to_bytes(color: torch.Tensor) -> Image:
    """[H, W, 3] colour 0 to 1, clamped and rounded to 8 bits."""
    return (color.clamp(0, 1) * 255).round().to(torch.uint8).contiguous().cpu().numpy()


def heat(values: torch.Tensor) -> torch.Tensor:
    """[..., 3] colours of values 0 to 1: black, violet, orange, pale yellow; brighter is more."""
    stops = torch.tensor(
        [[0.0, 0.0, 0.02], [0.34, 0.06, 0.43], [0.73, 0.21, 0.33], [0.98, 0.55, 0.04], [0.99, 1.0, 0.64]]
    ).to(values)
    position = values.clamp(0, 1) * (len(stops) - 1)
    low = position.floor().clamp(max=len(stops) - 2).long()
    part = (position - low)[..., None]
    return stops[low] * (1 - part) + stops[low + 1] * part


def _depth_colors(depth: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """[H, W, 3] colours of a depth image; near is bright."""
    known = depth[alpha > 0.5]
    if known.numel() == 0:
        return torch.zeros(*depth.shape, 3, device=depth.device)
    low, high = np.quantile(known.cpu().numpy(), [0.02, 0.98]).tolist()
    return heat(1 - (depth - low) / max(high - low, 1e-12))
