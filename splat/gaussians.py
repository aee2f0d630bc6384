"""The scene: a set of anisotropic 3D Gaussians as plain tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from splat.errors import SplatError

Kernel = Literal["gaussian", "gef"]
Antialias = Literal["none", "mip", "analytic", "moment", "exact"]

PARAMETERS = ("means", "quats", "log_scales", "logit_opacities", "sh")
"""The trained tensors of a plain Gaussian scene, in the order used everywhere; the generalised
exponential adds ``shape`` at the end."""
BETA_MIN, BETA_MAX = 1.2, 8.0
"""Range of a splat's exponent: below, tails reach too far; above, nothing is gained."""


def betas_from_shape(shape: Tensor) -> Tensor:
    """Exponents in [1.2, 8] from raw ``shape``."""
    return BETA_MIN + (BETA_MAX - BETA_MIN) * shape.sigmoid()


def shape_from_betas(betas: Tensor) -> Tensor:
    """Raw ``shape`` of exponents in (1.2, 8); the limits themselves give finite values near them."""
    return torch.logit((betas - BETA_MIN) / (BETA_MAX - BETA_MIN), eps=1e-6)


@dataclass
class Gaussians:
    """N Gaussians in the world frame, with raw (pre-activation) parameters.

    A splat's alpha at a distance d from its projected mean is o exp(-(m2 d^T S^-1 d)^(beta/2) / 2),
    S its projected covariance. m2(beta) is the variance of the bare profile, so that scales are
    standard deviations whatever beta; beta = 2 is the Gaussian, m2(2) = 1.

    Attributes:
        means: [N, 3] centres, world units.
        quats: [N, 4] rotations as (w, x, y, z); need not be normalised.
        log_scales: [N, 3] natural logarithm of the standard deviation per local axis.
        logit_opacities: [N] inverse sigmoid of the peak opacity.
        sh: [N, K, 3] spherical-harmonics coefficients, K = (degree + 1)^2; colour is
            max(0, 0.5 + sum_k basis_k(direction) sh_k).
        shape: [N] raw exponents, beta = 1.2 + 6.8 sigmoid(shape), for kernel "gef"; else None.
        kernel: radial profile: "gaussian", or "gef" (generalised exponential, a beta per splat).
        antialias: pixel filter the scene was trained with (see ``RenderSettings``).
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

    @property
    def betas(self) -> Tensor:
        """[N] exponents; 2 is the Gaussian."""
        if self.kernel == "gaussian":
            return torch.full_like(self.logit_opacities, 2.0, requires_grad=False)
        return betas_from_shape(self._shape())

    def parameters(self) -> dict[str, Tensor]:
        """The trained tensors by name: ``PARAMETERS``, and last "shape" if the kernel is "gef".

        Raises:
            SplatError: the kernel is "gef" and there is no shape.
        """
        tensors = {name: getattr(self, name) for name in PARAMETERS}
        if self.kernel == "gef":
            tensors["shape"] = self._shape()
        return tensors

    def _shape(self) -> Tensor:
        if self.shape is None:
            raise SplatError(
                'gaussians.shape is None and gaussians.kernel is "gef"',
                expected="[N] raw exponents",
                advice='start from shape_from_betas(...), or set kernel="gaussian"',
            )
        return self.shape

    def detached(self) -> Gaussians:
        """The same scene, cut from any autograd graph; no copy."""
        changes: dict[str, Any] = {name: value.detach() for name, value in self.parameters().items()}
        return replace(self, **changes)

    def to(self, device: torch.device | str) -> Gaussians:
        """The same scene on ``device``; tensors that are there already are not copied."""
        changes: dict[str, Any] = {name: value.to(device) for name, value in self.parameters().items()}
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
