"""Sub-pixels to pixels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def pooled(images: dict[str, Any], side: int) -> dict[str, Any]:
    """Images of pixels from those of their ``side`` x ``side`` sub-pixels, by name (see ``Blended``).

    Colour, alpha and normals are means. Depth is the mean weighted by alpha, and the median depth
    the same over the sub-pixels that have one; 0 where none has.
    """
    alpha = images["alpha"]
    result = {name: images[name] for name in images}
    for name in ("color", "alpha", "normals"):
        if images[name] is not None:
            result[name] = _blocks(images[name], side).mean((1, 3))
    if images["depth"] is not None:
        result["depth"] = _weighted(images["depth"], alpha, side)
        median = images["median_depth"]
        result["median_depth"] = _weighted(median, torch.where(median > 0, alpha, 0.0), side)
    return result


def _blocks(image: Tensor, side: int) -> Tensor:
    """[side H, side W, ...] -> [H, side, W, side, ...]."""
    height, width = image.shape[0] // side, image.shape[1] // side
    return image.unflatten(1, (width, side)).unflatten(0, (height, side))


def _weighted(image: Tensor, weight: Tensor, side: int) -> Tensor:
    total = _blocks(weight, side).sum((1, 3))
    return _blocks(weight * image, side).sum((1, 3)) / torch.where(total > 0, total, 1.0)
