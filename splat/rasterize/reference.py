"""The rasteriser in plain PyTorch: slow, short, and the definition of what is right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from splat.cameras import Camera
from splat.gaussians import Gaussians
from splat.rasterize.reference_blend import Blended, blend
from splat.rasterize.reference_project import Projected, project
from splat.rasterize.rendered import Rendered
from splat.rasterize.settings import RenderSettings
from splat.rasterize.subpixels import pooled

BLOCK = 16
"""Pixels are taken in blocks of this side, only to bound memory; the result does not depend on it."""


def rasterize_reference(gaussians: Gaussians, camera: Camera, settings: RenderSettings) -> Rendered:
    """Render one view; float32 or float64, gradients to every parameter and ``world_to_camera``.

    EWA splatting as in 3D Gaussian Splatting (Kerbl et al. 2023), with the opacity-aware bound of
    StopThePop, the pixel filters of ``splat.rasterize.filters``, and depth and normals along the
    exact ray (Gaussian Opacity Fields). ``splat.rasterize.rasterize`` documents arguments and result.
    """
    side = settings.subpixel
    view = camera.resized(side * camera.width, side * camera.height)
    splats = project(gaussians, view, settings)
    screen = _screen_probe(gaussians, camera)
    # A move by one pixel is one by ``side`` samples.
    probe = None if screen is None else side * screen
    blocks = []
    for rows in _block_rows(view):
        blocks.append([_render_block(splats, probe, block, view, settings) for block in rows])

    images = {name: _assemble(blocks, name) for name in blocks[0][0]}
    if side > 1:
        images = pooled(images, side)
    if screen is not None:
        images = _attached(images, [*gaussians.parameters().values(), camera.world_to_camera, screen])
    visible = torch.zeros(len(gaussians), dtype=torch.bool, device=gaussians.means.device)
    radii = torch.zeros_like(gaussians.logit_opacities, requires_grad=False)
    visible[splats.index] = True
    radii[splats.index] = splats.footprint.half_extent.amax(-1) / side
    return Rendered(
        **images,
        visible=visible,
        radii=radii,
        screen=screen,
    )


def _screen_probe(gaussians: Gaussians, camera: Camera) -> Tensor | None:
    """[N, 4] zeros that collect screen-space gradients, or None when no gradient is asked for."""
    inputs = [*gaussians.parameters().values(), camera.world_to_camera]
    if not (torch.is_grad_enabled() and any(t.requires_grad for t in inputs)):
        return None
    return gaussians.means.new_zeros(len(gaussians), 4, requires_grad=True)


def _block_rows(camera: Camera) -> Iterator[list[tuple[int, int, int, int]]]:
    """Rows of blocks (x0, y0, x1, y1) that cover the image."""
    for y in range(0, camera.height, BLOCK):
        y1 = min(y + BLOCK, camera.height)
        columns = range(0, camera.width, BLOCK)
        yield [(x, y, min(x + BLOCK, camera.width), y1) for x in columns]


def _render_block(
    splats: Projected,
    screen: Tensor | None,
    block: tuple[int, int, int, int],
    camera: Camera,
    settings: RenderSettings,
) -> dict[str, Tensor | None]:
    """One block's images, [h, w, ...] by name; its graph is recomputed on the way back."""
    x0, y0, x1, y1 = block
    pixels = pixel_centers(splats.mean, block)
    extent = splats.footprint.half_extent
    low, high = splats.mean - extent, splats.mean + extent
    # One pixel of margin: rounding must not decide here which splats a pixel sees.
    near = ((high > high.new_tensor([x0, y0]) - 1) & (low < low.new_tensor([x1, y1]) + 1)).all(-1)
    if bool(near.any()):
        rows = near.nonzero()[:, 0]
        if screen is None:
            blended = blend(splats[rows], None, pixels, camera, settings)
        else:
            probe = screen[splats.index[rows]]
            args: tuple[Any, ...] = (splats[rows], probe, pixels, camera, settings)
            blended = checkpoint(blend, *args, use_reentrant=False, preserve_rng_state=False)
    else:
        blended = _empty(pixels, settings)
    shape = (y1 - y0, x1 - x0)
    return {name: None if t is None else t.unflatten(0, shape) for name, t in vars(blended).items()}


def pixel_centers(like: Tensor, block: tuple[int, int, int, int]) -> Tensor:
    """[h * w, 2] (x, y) of the pixel centres of a block, in the dtype and device of ``like``."""
    x0, y0, x1, y1 = block
    y, x = torch.meshgrid(
        torch.arange(y0, y1, dtype=like.dtype, device=like.device) + 0.5,
        torch.arange(x0, x1, dtype=like.dtype, device=like.device) + 0.5,
        indexing="ij",
    )
    return torch.stack([x, y], -1).flatten(0, 1)


def _empty(pixels: Tensor, settings: RenderSettings) -> Blended:
    """Pixels that no splat reaches."""
    zeros, count = torch.zeros_like(pixels[:, 0]), len(pixels)
    color = pixels.new_tensor(settings.background).expand(count, 3)
    if not settings.geometry:
        return Blended(color, zeros, None, None, None)
    return Blended(color, zeros, zeros, zeros, pixels.new_zeros(count, 3))


def _attached(images: dict[str, Any], inputs: list[Tensor]) -> dict[str, Any]:
    """The same images, in the graph of every input even where no splat is visible."""
    zero = torch.stack([tensor[:0].to(inputs[0]).sum() for tensor in inputs]).sum()
    return {name: None if image is None else image + zero for name, image in images.items()}


def _assemble(blocks: list[list[dict[str, Tensor | None]]], name: str) -> Any:
    """The image of that name from its blocks; None if they have none."""
    if blocks[0][0][name] is None:
        return None
    rows = [torch.cat([t for block in row if (t := block[name]) is not None], 1) for row in blocks]
    return torch.cat(rows, 0)
