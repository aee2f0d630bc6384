"""The scene: a set of anisotropic 3D Gaussians as plain tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

Kernel = Literal["gaussian", "gef"]
Antialias = Literal["none", "mip"]

PARAMETERS = ("means", "quats", "log_scales", "logit_opacities", "sh")
"""The trained tensors of a plain Gaussian scene, in the order used everywhere."""


@dataclass
class Gaussians:
    """N Gaussians in the world frame, with raw (pre-activation) parameters.

    Attributes:
        means: [N, 3] centres, world units.
        quats: [N, 4] rotations as (w, x, y, z); need not be normalised.
        log_scales: [N, 3] natural logarithm of the standard deviation per local axis.
        logit_opacities: [N] inverse sigmoid of the peak opacity.
        sh: [N, K, 3] spherical-harmonics coefficients, K = (degree + 1)^2; colour is
            max(0, 0.5 + sum_k basis_k(direction) sh_k).
        shape: [N] kernel exponent parameter, or None for the plain Gaussian.
        kernel: radial profile the scene was trained with.
        antialias: pixel filter the scene was trained with.
    """

    means: Tensor
    quats: Tensor
    log_scales: Tensor
    logit_opacities: Tensor
    sh: Tensor
    shape: Tensor | None = None
    kernel: Kernel = "gaussian"
    antialias: Antialias = "none"

    def __len__(self) -> int:
        return self.means.shape[0]

    @property
    def sh_degree(self) -> int:
        """Spherical-harmonics degree, 0 to 3."""
        return {1: 0, 4: 1, 9: 2, 16: 3}[self.sh.shape[1]]

    def parameters(self) -> dict[str, Tensor]:
        """The trained tensors by name (see ``PARAMETERS``)."""
        return {name: getattr(self, name) for name in PARAMETERS}

    def detached(self) -> Gaussians:
        """The same scene, cut from any autograd graph; no copy."""
        changes: dict[str, Any] = {name: value.detach() for name, value in self.parameters().items()}
        return replace(self, **changes)

    def scaled(self, scale: float, translation: Tensor) -> Gaussians:
        """The scene under x -> scale * x + translation (no rotation, so SH are unchanged).

        Args:
            scale: positive factor.
            translation: [3], in the new world's units.
        """
        return replace(
            self,
            means=self.means * scale + translation.to(self.means),
            log_scales=self.log_scales + float(torch.log(torch.tensor(scale, dtype=torch.float64))),
        )
