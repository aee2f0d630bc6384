"""The pixel filter of the settings, applied to projected splats."""

from __future__ import annotations

from splat.rasterize.filter_analytic import analytic
from splat.rasterize.filter_exact import exact
from splat.rasterize.filter_moment import matched
from splat.rasterize.filter_point import dilated, spread
from splat.rasterize.footprint import Ellipses, Footprint
from splat.rasterize.settings import DILATION, RenderSettings


def filtered(ellipses: Ellipses, settings: RenderSettings) -> Footprint:
    """How these splats look through ``settings.antialias``.

    Lengths are those of the samples: with ``subpixel`` 2 they are sub-pixels, and every filter is
    that of the sub-pixel, but "none" dilates by the same 0.3 pixel^2 (it belongs to the model).
    """
    if settings.antialias == "none":
        return dilated(ellipses, DILATION["none"] * settings.subpixel**2)
    if settings.antialias == "mip":
        return spread(ellipses, DILATION["mip"])
    if settings.antialias == "analytic":
        return analytic(ellipses)
    if settings.antialias == "moment":
        return matched(ellipses)
    return exact(ellipses, settings.strips)
