"""What rendering gives back."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Rendered:
    """One rendered view.

    Attributes:
        color: [H, W, 3] colour over the background.
        alpha: [H, W] accumulated opacity, 0 to 1.
        depth: [H, W] expected z depth, sum_i w_i t_i / sum_i w_i with w_i the blending weights and
            t_i the depth of the largest density along the pixel's ray; 0 where alpha is 0.
            None unless ``RenderSettings.geometry``.
        median_depth: [H, W] t_i of the first splat after which transmittance is below 0.5; 0 where
            it never is. None unless geometry.
        normals: [H, W, 3] sum_i w_i n_i in the world frame, n_i the unit normal that faces the
            camera; shorter than 1 where alpha is. None unless geometry.
        visible: [N] bool, splats that reach the image (in depth range, bound on the image).
        radii: [N] float, the larger half extent of the splat's bound in pixels; 0 if not visible.
        screen: [N, 4] zeros whose ``.grad`` after backward holds dL/d(projected mean) in pixels:
            columns 0-1 the signed sum over pixels, 2-3 the sum of absolute per-pixel values
            (AbsGS). None when no gradient was asked for.
    """

    color: Tensor
    alpha: Tensor
    depth: Tensor | None
    median_depth: Tensor | None
    normals: Tensor | None
    visible: Tensor
    radii: Tensor
    screen: Tensor | None
