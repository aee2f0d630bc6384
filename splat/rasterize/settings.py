"""How to render: the constants and the choices."""

from __future__ import annotations

from dataclasses import dataclass

from splat.gaussians import Antialias

ALPHA_MIN = 1.0 / 255.0
"""A splat below this alpha at a pixel is skipped there."""
ALPHA_MAX = 0.99
"""Alpha is clamped to this; no gradient flows through the clamp."""
TRANSMITTANCE_MIN = 1e-4
"""A pixel is finished once its transmittance is below this; the splat that takes it there is blended."""
FRUSTUM_MARGIN = 0.15
"""x/z and y/z are clamped to the image grown by this fraction of its size before the Jacobian."""
DILATION = {"none": 0.3, "mip": 0.1}
"""Variance (px^2) added to the projected covariance; "mip" also scales opacity by sqrt(det/det')."""
BOX_VARIANCE = 1.0 / 12.0
"""Variance (px^2) per axis of the pixel's box."""
EXACT_SWITCH = {1: 0.3, 2: 1.0}
"""px^2, by strips: "exact" takes a Gaussian whose smaller variance is below this by the strip rule. From
there on the sampled splat's largest error is no larger than that of the strips (docs/filters.md)."""
EXACT_SLOPE = {1: 0.1074, 2: 0.2}
"""px^2, by strips: what that limit loses for each halving of the opacity, from 1. The sampled splat's error
counts times the opacity; this keeps the product where it is at the limit for opacity 1 (docs/filters.md)."""
EXACT_GEF_SWITCH = 0.07
"""px^2: the same for a generalised exponential of beta up to ``EXACT_GEF_BETA``, taken as the Gaussian of
equal variance and mass; the moment closure measures better for all others (docs/filters.md)."""
EXACT_GEF_BETA = 2.5
"""Largest beta that "exact" takes by the strip rule."""
Q_MIN = 1e-12
"""Lower bound of m2 d^T S^-1 d for the generalised exponential; no gradient flows below it."""
RATIO_MIN = 1e-12
"""Lower bound of det S / det S' before its square root; no gradient flows below it."""


@dataclass(frozen=True)
class RenderSettings:
    """What to render and how.

    Attributes:
        antialias: pixel filter. "none" adds 0.3 px^2 to the covariance (3DGS); "mip" adds 0.1 px^2
            and keeps the splat's mass (Mip-Splatting); "analytic" integrates over the pixel turned
            into the splat's axes (Analytic-Splatting, kernel "gaussian" only); "moment" samples the
            splat that has the moments of splat and pixel together; "exact" integrates over the
            pixel in strips, or samples where that is as good.
        strips: strips per pixel, 1 or 2, of "exact"; the other filters do not read it.
        subpixel: 2 composites each pixel as 2 x 2 sub-pixels, each with its own transmittance, and
            takes their mean; 1 is one sample a pixel.
        sh_degree: highest spherical-harmonics degree used, or None for all that the scene has.
        background: linear RGB behind the scene, 0 to 1.
        near: splats with camera depth z <= near are skipped, world units.
        far: splats with camera depth z >= far are skipped, world units.
        geometry: also produce depth, median depth and normals.
    """

    antialias: Antialias = "none"
    strips: int = 1
    subpixel: int = 1
    sh_degree: int | None = None
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    near: float = 0.01
    far: float = 1e10
    geometry: bool = False
