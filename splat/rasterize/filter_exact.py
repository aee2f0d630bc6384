"""The hybrid "exact": small splats by the strip rule, large ones by one sample of a grown splat."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from splat.rasterize import profile
from splat.rasterize.filter_moment import matched
from splat.rasterize.filter_point import PointFootprint, spread
from splat.rasterize.filter_strip import StripFootprint
from splat.rasterize.footprint import Ellipses, Footprint
from splat.rasterize.settings import BOX_VARIANCE, EXACT_GEF_BETA, EXACT_GEF_SWITCH, EXACT_SLOPE, EXACT_SWITCH


@dataclass(frozen=True)
class ExactFootprint(Footprint):
    """Both forms of every splat, and which of them counts.

    Attributes:
        point: the splat grown by the pixel, to be sampled.
        strip: the Gaussian to be integrated.
        size: [M] smaller variance of S over that of the switch (2 where that is never reached, and for a
            flat profile); below 1, ``strip`` counts.
    """

    point: PointFootprint
    strip: StripFootprint
    size: Tensor

    @property
    def small(self) -> Tensor:
        """[M] bool: ``strip`` counts."""
        return self.size < 1

    def alphas(self, offsets: Tensor) -> Tensor:
        """Each splat by its own form; the other one is not evaluated."""
        small, large = self.small.nonzero()[:, 0], (~self.small).nonzero()[:, 0]
        parts = [self.strip[small].alphas(offsets[:, small]), self.point[large].alphas(offsets[:, large])]
        return torch.cat(parts, -1)[:, torch.argsort(torch.cat([small, large]))]

    @property
    def peak(self) -> Tensor:
        """Of the form that counts."""
        return torch.where(self.small, self.strip.peak, self.point.peak)

    @property
    def half_extent(self) -> Tensor:
        """Of the form that counts."""
        return torch.where(self.small[:, None], self.strip.half_extent, self.point.half_extent)

    @property
    def proper(self) -> Tensor:
        """Of the form that counts."""
        return torch.where(self.small, self.strip.proper, self.point.proper)


def exact(ellipses: Ellipses, strips: int) -> ExactFootprint:
    """Choose by the smaller variance of S, by opacity, and by beta.

    A Gaussian is exact to 0.012 as a sample of S + I/12 from 0.3 px^2 on, to 0.0017 from 1 px^2 on; the
    error of a smaller one is larger, but at most 0.085, and counts times the opacity: so a faint one may
    be sampled too, up to the same error. A
    generalised exponential much smaller than a pixel is known to it by mass and covariance only, so it
    is integrated as the Gaussian that has both; a larger one, or one less like a Gaussian, is sampled
    from the moment closure.
    """
    if ellipses.t is None:
        point, opacity = spread(ellipses, BOX_VARIANCE), ellipses.opacity
        limit = EXACT_SWITCH[strips] + EXACT_SLOPE[strips] * ellipses.opacity.detach().log2()
        size = torch.where(limit > 0, ellipses.smaller_variance / limit, 2.0)
    else:
        point, opacity = matched(ellipses), ellipses.opacity * profile.relative_mass(ellipses.t)
        flat = ellipses.t.detach() < 2 / EXACT_GEF_BETA
        size = torch.where(flat, 2.0, ellipses.smaller_variance / EXACT_GEF_SWITCH)
    strip = StripFootprint(ellipses.covariance, ellipses.determinant, opacity, strips)
    return ExactFootprint(point, strip, size)
