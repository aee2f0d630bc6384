"""The kernel exponent of each splat in a PLY file: the property ``beta``, as it acts.

A file whose comment says ``splat kernel gef`` has one more float property after those of 3D Gaussian
Splatting: beta, the exponent in alpha = opacity exp(-(m2(beta) q)^(beta / 2) / 2), with q the squared
Mahalanobis distance in the image and m2(beta) the variance of exp(-r^beta / 2), so that scale_0..2 are
standard deviations for every beta. 2 is the Gaussian. In memory the exponent is ``Gaussians.shape``,
before its sigmoid.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splat.errors import SplatError
from splat.gaussians import BETA_MAX, BETA_MIN, Kernel, betas_from_shape

PROPERTY = "beta"
COMMENT = "splat beta alpha = opacity exp(-(m2(beta) q)^(beta/2) / 2), scales are standard deviations"
_TOLERANCE = 1e-5
"""How far outside its range a beta may lie, for rounding (files in text, float32)."""
_MARGIN = 1e-7
"""Smallest distance to 0 and 1 of the sigmoid's value, so that the limits stay finite before it."""


def has_beta(path: object, kernel: Kernel | None, properties: dict[str, str]) -> bool:
    """Whether the file's splats have an exponent of their own.

    Args:
        path: of the file, for the message.
        kernel: what its comments say, or None where they say nothing.
        properties: of its vertices.

    Raises:
        SplatError: comment and property do not fit together.
    """
    if kernel == "gef" and PROPERTY not in properties:
        raise SplatError(
            f"{path} says that its kernel is gef, but has no property {PROPERTY}",
            expected=f"one exponent a splat, {BETA_MIN:g} to {BETA_MAX:g}",
            advice="Another program may have left it out; convert the original file with --fold first",
        )
    if kernel is None and PROPERTY in properties:
        raise SplatError(
            f"{path} has a property {PROPERTY}, but no comment that says which kernel it belongs to",
            expected='the comment "splat kernel gef" (ours), or no such property',
            advice="Programs that rewrite a PLY drop comments; Deformable Beta Splatting is not read",
        )
    return kernel == "gef"


def out_of_range(beta: NDArray[np.float32]) -> NDArray[np.bool_]:
    """[N] True where an exponent is none that this version draws (NaN too)."""
    return ~((beta >= BETA_MIN - _TOLERANCE) & (beta <= BETA_MAX + _TOLERANCE))


def beta_of(shape: Tensor) -> Tensor:
    """[N] float32 exponents of raw ``Gaussians.shape``, rounded once."""
    return betas_from_shape(shape.detach().double()).float()


def shape_of(beta: Tensor) -> Tensor:
    """[N] float32 raw shapes that give the exponents back to 1e-6, the limits of the range too."""
    part = (beta.double() - BETA_MIN) / (BETA_MAX - BETA_MIN)
    return torch.logit(part, eps=_MARGIN).float()
