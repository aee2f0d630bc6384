"""Two Gaussians in place of one: drawn from it as 3DGS does, or its two halves."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from splat.fit.scene import TrainedScene
from splat.fit.strategies.covariance import draws, rotated

HALF_OFFSET = math.sqrt(1 - 0.5**2)
"""Distance of a half's centre from the whole's, in standard deviations along the axis that is halved."""


def split_in_two(scene: TrainedScene, rows: Tensor, generator: torch.Generator) -> list[dict[str, Tensor]]:
    """Two children for each of ``rows``: centres drawn from the parent, scales divided by 1.6."""
    children = []
    for _ in range(2):
        child = scene.rows(rows)
        child["means"] = child["means"] + draws(scene.gaussians, rows, generator)
        child["log_scales"] = child["log_scales"] - math.log(1.6)
        children.append(child)
    return children


def halves(scene: TrainedScene, rows: Tensor) -> list[dict[str, Tensor]]:
    """Two children for each of ``rows``, side by side along its longest axis; all else is the parent's.

    With half the parent's length each, and centres ``HALF_OFFSET`` of its standard deviation s to either
    side, the pair has the parent's variance along the axis, (s / 2)^2 + (1 - 1/4) s^2 = s^2; two half
    areas of the parent's opacity have its mass. Scales are standard deviations and mass goes with area
    whatever the exponent, so this holds for every profile, up to what the two hide of each other: a flat
    top becomes two that fill its place. (Improved-GS splits along the longest axis with other constants.)
    """
    log_scales = scene.gaussians.log_scales.detach()[rows]
    axis = log_scales.argmax(1, keepdim=True)
    longest = log_scales.gather(1, axis)
    offset = torch.zeros_like(log_scales).scatter_(1, axis, HALF_OFFSET * longest.exp())
    offset = rotated(scene.gaussians.quats.detach()[rows], offset)
    halved = log_scales.scatter(1, axis, longest - math.log(2))
    children = []
    for sign in (-1, 1):
        child = scene.rows(rows)
        child["means"] = child["means"] + sign * offset
        child["log_scales"] = halved.clone()
        children.append(child)
    return children
