"""How to render: the constants and the choices."""

from __future__ import annotations

from dataclasses import dataclass

from splat.gaussians import Antialias, Kernel

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


@dataclass(frozen=True)
class RenderSettings:
    """What to render and how.

    Attributes:
        kernel: radial profile of a splat.
        antialias: pixel filter. "none" adds 0.3 px^2 to the covariance (3DGS); "mip" adds 0.1 px^2
            and keeps the splat's mass (Mip-Splatting).
        sh_degree: highest spherical-harmonics degree used, or None for all that the scene has.
        background: linear RGB behind the scene, 0 to 1.
        near: splats with camera depth z <= near are skipped, world units.
        far: splats with camera depth z >= far are skipped, world units.
        geometry: also produce depth, median depth and normals.
    """

    kernel: Kernel = "gaussian"
    antialias: Antialias = "none"
    sh_degree: int | None = None
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    near: float = 0.01
    far: float = 1e10
    geometry: bool = False
