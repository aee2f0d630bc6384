"""What a pixel filter makes of a splat: its alpha at pixels, and where that can matter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import torch
from torch import Tensor

from splat.rasterize.settings import ALPHA_MIN, RATIO_MIN

Rows = TypeVar("Rows", bound="SplatRows")


@dataclass(frozen=True)
class SplatRows:
    """Tensors with one row per splat; indexing picks rows of all of them."""

    def __getitem__(self: Rows, rows: Tensor) -> Rows:
        return type(self)(**{f.name: _pick(getattr(self, f.name), rows) for f in fields(self)})


def _pick(value: Any, rows: Tensor) -> Any:
    return value[rows] if isinstance(value, (Tensor, SplatRows)) else value


@dataclass(frozen=True)
class Ellipses(SplatRows):
    """M projected splats before any pixel filter.

    Attributes:
        covariance: [M, 3] (a, b, c) of S = [[a, b], [b, c]], px^2, the variance whatever beta.
        determinant: [M] a c - b^2, computed without cancellation.
        opacity: [M] peak opacity after the sigmoid.
        t: [M] 2 / beta, or None for Gaussians.
    """

    covariance: Tensor
    determinant: Tensor
    opacity: Tensor
    t: Tensor | None

    def grown(self, variance: float) -> tuple[Tensor, Tensor, Tensor]:
        """S + variance I [M, 3], its determinant, and sqrt(det S / det of that).

        det (S + e I) = det S + e tr S + e^2: sums of non-negative terms, where a c - b^2 would
        cancel for long thin splats.
        """
        a, b, c = self.covariance.unbind(-1)
        determinant = self.determinant + variance * (a + c) + variance**2
        ratio = (self.determinant / determinant).clamp(min=RATIO_MIN).sqrt()
        return torch.stack([a + variance, b, c + variance], -1), determinant, ratio

    @property
    def smaller_variance(self) -> Tensor:
        """[M] the smaller eigenvalue of S, px^2; without gradient."""
        a, b, c = self.covariance.detach().unbind(-1)
        larger = 0.5 * (a + c) + torch.hypot(0.5 * (a - c), b)
        return self.determinant.detach() / larger


@dataclass(frozen=True)
class Footprint(SplatRows, ABC):
    """M splats as one pixel filter shows them."""

    @abstractmethod
    def alphas(self, offsets: Tensor) -> Tensor:
        """[P, M] alpha from offsets [P, M, 2] (pixel centre minus projected mean), before any cut."""

    @property
    @abstractmethod
    def peak(self) -> Tensor:
        """[M] no alpha exceeds this (before the cut at 0.99); without gradient."""

    @property
    @abstractmethod
    def half_extent(self) -> Tensor:
        """[M, 2] half size in pixels of the box outside which alpha < 1/255; without gradient."""

    @property
    @abstractmethod
    def proper(self) -> Tensor:
        """[M] bool: the numbers are finite, and can be rendered."""


def gaussian_extent(opacity: Tensor, covariance: Tensor) -> Tensor:
    """[M, 2] half size of the box where a point-sampled Gaussian is at least 1/255 (StopThePop, B.2)."""
    tau = 2 * torch.log(opacity.detach() / ALPHA_MIN)
    return (tau.clamp(min=0)[:, None] * covariance.detach()[:, [0, 2]]).sqrt()
