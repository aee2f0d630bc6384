"""The nearest plain Gaussian scene, for files and viewers that know only Gaussians."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from splat.gaussians import Antialias, Gaussians

MOST_OPACITY = 0.9999
"""Opacity that a folded splat has at most, unless it had more before."""
PLAIN_FILTER: dict[Antialias, Antialias] = {
    "none": "none",
    "mip": "mip",
    "analytic": "mip",
    "moment": "mip",
    "exact": "mip",
}
"""The filter, of those that every program means the same by, that is nearest to each of ours.

The last three are integrals over the pixel. "mip" adds 0.1 px^2 and keeps a splat's mass, as they do
(their pixel has a variance of 1/12 px^2); "none" adds 0.3 px^2 and makes small splats too bright.
"""


def fold(scene: Gaussians) -> Gaussians:
    """The Gaussian scene whose splats have the same mass and covariance, seen from anywhere.

    Scales are standard deviations whatever the exponent, so they stay. A splat's mass in the image is
    2 pi o rho(beta) sqrt(det S), so the opacity becomes o rho(beta), with t = 2 / beta and
    rho = Gamma(1 + t) Gamma(t) / Gamma(2 t): 1 at beta = 2, more for edges (beta > 2), less for peaks.
    Where that passes ``MOST_OPACITY`` the splat loses mass: no Gaussian of that covariance is as opaque.

    Args:
        scene: any kernel and pixel filter.

    Returns:
        The scene with kernel "gaussian" and the filter of ``PLAIN_FILTER``; a Gaussian scene keeps
        every bit of its parameters.
    """
    plain = PLAIN_FILTER[scene.antialias]
    if scene.kernel == "gaussian":
        return replace(scene.detached(), antialias=plain)
    return replace(
        scene.detached(),
        logit_opacities=_folded(scene.logit_opacities.detach(), scene.betas.detach()),
        shape=None,
        kernel="gaussian",
        antialias=plain,
    )


def mass_ratio(betas: Tensor) -> Tensor:
    """rho: mass of the kernel of unit variance over that of the unit Gaussian, float64."""
    t = 2.0 / betas.double()
    return (torch.lgamma(1 + t) + torch.lgamma(t) - torch.lgamma(2 * t)).exp()


def _folded(logits: Tensor, betas: Tensor) -> Tensor:
    """Logits of min(o rho, ``MOST_OPACITY``); a splat that is more opaque already keeps its opacity."""
    before = logits.double().sigmoid()
    most = before.clamp_min(MOST_OPACITY)
    folded = torch.minimum(before * mass_ratio(betas), most)
    return torch.where(folded == before, logits.double(), torch.logit(folded)).to(logits.dtype)
