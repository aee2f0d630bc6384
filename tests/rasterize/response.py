"""Pixel responses of random splats: the pixel filters against brute-force supersampling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log, pi

import torch
from torch import Tensor

from splat.rasterize import RenderSettings, profile
from splat.rasterize.filters import filtered
from splat.rasterize.footprint import Ellipses

BETAS = (1.2, 1.5, 2.0, 3.0, 5.0, 8.0)
FILTERS = {
    "none": RenderSettings(antialias="none"),
    "mip": RenderSettings(antialias="mip"),
    "analytic": RenderSettings(antialias="analytic"),
    "moment": RenderSettings(antialias="moment"),
    "exact": RenderSettings(antialias="exact"),
    "exact, 2 strips": RenderSettings(antialias="exact", strips=2),
}


@dataclass(frozen=True)
class Sample:
    """Splats of one beta and opacity 1, and offsets [P, M, 2] of P pixels from each."""

    beta: float
    ellipses: Ellipses
    offsets: Tensor


@dataclass(frozen=True)
class Response:
    """Errors of one filter at one beta: [P, M] response minus truth."""

    beta: float
    name: str
    error: Tensor

    @property
    def rms(self) -> float:
        """Over all splats and pixels."""
        return self.error.square().mean().sqrt().item()

    @property
    def largest(self) -> float:
        """Largest absolute error."""
        return self.error.abs().max().item()


def draw(
    beta: float, splats: int, seed: int = 0, smallest: float = 0.1, bare: bool = False
) -> tuple[Ellipses, Tensor]:
    """Standard deviations log-uniform from ``smallest`` to 4 px, any rotation; and axes A, S = A A^T.

    ``bare``: the sizes are those of the profile exp(-r^beta / 2) before its variance is made 1.
    """
    random = torch.Generator().manual_seed(seed)
    uniform = torch.rand(3, splats, generator=random, dtype=torch.float64)
    t = torch.full((splats,), 2 / beta, dtype=torch.float64)
    sizes = torch.exp(log(smallest) + log(4 / smallest) * uniform[:2])
    sizes = sizes * profile.variance(t).sqrt() if bare else sizes
    x, y = (pi * uniform[2]).cos(), (pi * uniform[2]).sin()
    axes = torch.stack([torch.stack([x, -y], -1), torch.stack([y, x], -1)], -2) * sizes.T[:, None]
    s = axes @ axes.mT
    covariance = torch.stack([s[:, 0, 0], s[:, 0, 1], s[:, 1, 1]], -1)
    determinant = sizes.square().prod(0)
    ellipses = Ellipses(covariance, determinant, torch.ones_like(t), None if beta == 2 else t)
    return ellipses, axes


def near_pixels(beta: float, splats: int, pixels: int, seed: int = 0) -> Sample:
    """Pixels at up to 2.5 standard deviations, and up to 0.7 px more."""
    ellipses, axes = draw(beta, splats, seed)
    random = torch.Generator().manual_seed(seed + 1)
    radius, angle = torch.rand(2, pixels, splats, generator=random, dtype=torch.float64)
    radius, angle = 2.5 * radius.sqrt(), 2 * pi * angle
    disc = torch.stack([radius * angle.cos(), radius * angle.sin()], -1)
    shift = torch.rand(pixels, splats, 2, generator=random, dtype=torch.float64)
    return Sample(beta, ellipses, torch.einsum("mij,pmj->pmi", axes, disc) + 1.4 * (shift - 0.5))


def truth(sample: Sample, side: int = 64) -> Tensor:
    """[P, M] mean of exp(-(m2 d^T S^-1 d)^(beta/2) / 2) over side x side points of each pixel."""
    a, b, c = sample.ellipses.covariance.unbind(-1)
    m2 = profile.variance(torch.tensor(2 / sample.beta, dtype=torch.float64))
    steps = (torch.arange(side, dtype=torch.float64) + 0.5) / side - 0.5
    x, y = (sample.offsets[..., axis, None] + steps for axis in (0, 1))
    conic = (m2 * torch.stack([c, -b, a]) / sample.ellipses.determinant)[..., None]
    total = torch.zeros(sample.offsets.shape[:2], dtype=torch.float64)
    for row in y.unbind(-1):
        v = row[..., None]
        q = conic[0] * x * x + 2 * conic[1] * x * v + conic[2] * v * v
        total += torch.exp(-0.5 * (q if sample.beta == 2 else q.clamp(min=0).pow(sample.beta / 2))).sum(-1)
    return total / side**2


def responses(splats: int, pixels: int, progress: Callable[[str], None] = lambda _: None) -> list[Response]:
    """Every filter at every beta that it is for."""
    result = []
    for beta in BETAS:
        progress(f"beta {beta:g}")
        sample = near_pixels(beta, splats, pixels)
        wanted = truth(sample)
        for name, settings in FILTERS.items():
            if name == "analytic" and beta != 2:
                continue
            got = filtered(sample.ellipses, settings).alphas(sample.offsets)
            result.append(Response(beta, name, got - wanted))
    return result


def markdown(table: list[Response]) -> str:
    """One row per filter, one column per beta: RMS error (largest error)."""
    cells = {(r.name, r.beta): f"{r.rms:.4f} ({r.largest:.4f})" for r in table}
    lines = [
        "| filter | " + " | ".join(f"beta {beta:g}" for beta in BETAS) + " |",
        "|---" * (len(BETAS) + 1) + "|",
    ]
    for name in FILTERS:
        lines.append(f"| {name} | " + " | ".join(cells.get((name, beta), "-") for beta in BETAS) + " |")
    return "\n".join(lines)
