"""The rasteriser of the gsplat package (Ye et al. 2024) behind ``rasterize``: on CUDA, for comparison.

It blends the same splats, with three differences that no setting removes: alpha is cut at 0.999 (here at
0.99), the splat that takes the transmittance below 1e-4 is left out (here it is blended), and sizes are
rounded up to whole pixels. Colours differ by about 0.01 at the most, where splats are nearly opaque.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from splat.cameras import Camera
from splat.errors import SplatError
from splat.gaussians import Gaussians
from splat.rasterize.rendered import Rendered
from splat.rasterize.settings import DILATION, RenderSettings

MODES = {"none": "classic", "mip": "antialiased"}
"""gsplat's name of a pixel filter. Both add ``eps2d`` to the covariance, which is our ``DILATION``."""
INSTALL = "run `pip install gsplat` where nvcc is installed, or take a gsplat wheel made for this torch"

Rasterization = Callable[..., tuple[Tensor, Tensor, dict[str, Any]]]
"""``gsplat.rasterization`` or what stands in for it."""


def rasterize_gsplat(gaussians: Gaussians, camera: Camera, settings: RenderSettings) -> Rendered:
    """Render with gsplat; see ``splat.rasterize.rasterize``.

    Raises:
        SplatError: gsplat is not installed or not compiled, the scene is not on a CUDA device, or
            something is asked for that gsplat does not have.
    """
    check_supported(gaussians, settings)
    device = gaussians.means.device
    if device.type != "cuda":
        raise SplatError(
            f"the scene is on {device}, and gsplat renders on NVIDIA GPUs only",
            expected="tensors on a CUDA device",
            advice='move the scene with .to("cuda"), or use backend="native"',
        )
    with torch.cuda.device(device):
        return render_with(library(), gaussians, camera, settings)


def check_supported(gaussians: Gaussians, settings: RenderSettings) -> None:
    """Raise SplatError for what gsplat does not have."""
    instead = 'use backend="native"'
    if gaussians.kernel != "gaussian":
        raise SplatError(
            f'gsplat renders Gaussians, and this scene\'s kernel is "{gaussians.kernel}"', advice=instead
        )
    if settings.antialias not in MODES:
        raise SplatError(
            f'gsplat has no pixel filter "{settings.antialias}"', expected="none or mip", advice=instead
        )
    if settings.subpixel != 1:
        raise SplatError("gsplat has no sub-pixels", expected="subpixel 1", advice=instead)
    if settings.geometry:
        raise SplatError(
            "gsplat has no normals, no median depth, and its depth is that of the splats' centres",
            expected="geometry False",
            advice=instead,
        )
    if gaussians.means.dtype != torch.float32:
        raise SplatError(f"the scene is {gaussians.means.dtype}", expected="torch.float32 for gsplat")


def library() -> Rasterization:
    """``gsplat.rasterization``.

    Raises:
        SplatError: the package is missing, or its CUDA code is.
    """
    try:
        import gsplat
        from gsplat.cuda import _backend
    except ImportError as error:
        raise SplatError(f"gsplat cannot be imported: {error}", advice=INSTALL) from error
    if _backend._C is None:
        raise SplatError("gsplat is installed, but its CUDA code is not compiled", advice=INSTALL)
    return gsplat.rasterization


def render_with(
    rasterization: Rasterization, gaussians: Gaussians, camera: Camera, settings: RenderSettings
) -> Rendered:
    """Call ``rasterization`` as ``gsplat.rasterization``, and turn what it gives into ``Rendered``."""
    wanted = torch.is_grad_enabled() and any(
        tensor.requires_grad for tensor in (*gaussians.parameters().values(), camera.world_to_camera)
    )
    screen = gaussians.means.new_zeros(len(gaussians), 4).requires_grad_() if wanted else None
    if len(gaussians) == 0:
        return _empty(gaussians, camera, settings, screen)
    colors, alphas, about = rasterization(**arguments(gaussians, camera, settings, absgrad=wanted))
    if screen is not None:
        _fill_screen(screen, about["means2d"])
    sides = about["radii"][0]
    visible = (sides > 0).all(-1)
    return Rendered(
        color=colors[0],
        alpha=alphas[0, ..., 0],
        depth=None,
        median_depth=None,
        normals=None,
        visible=visible,
        radii=torch.where(visible, sides.amax(-1).float(), 0.0),
        screen=screen,
    )


def arguments(
    gaussians: Gaussians, camera: Camera, settings: RenderSettings, absgrad: bool
) -> dict[str, Any]:
    """What ``gsplat.rasterization`` is called with: activated parameters, one camera."""
    means = gaussians.means
    degree = gaussians.sh_degree
    return {
        "means": means,
        "quats": gaussians.quats,
        "scales": gaussians.log_scales.exp(),
        "opacities": gaussians.logit_opacities.sigmoid(),
        "colors": gaussians.sh,
        "sh_degree": degree if settings.sh_degree is None else min(settings.sh_degree, degree),
        "viewmats": camera.world_to_camera.to(means)[None],
        "Ks": camera.intrinsics.detach().to(means)[None],
        "width": camera.width,
        "height": camera.height,
        "near_plane": settings.near,
        "far_plane": settings.far,
        "eps2d": DILATION[settings.antialias],
        "rasterize_mode": MODES[settings.antialias],
        "backgrounds": torch.tensor([settings.background]).to(means),
        "render_mode": "RGB",
        "packed": False,
        "absgrad": absgrad,
    }


def _fill_screen(screen: Tensor, means2d: Tensor) -> None:
    """Let a backward pass set ``screen.grad`` from the gradient of [1, N, 2] ``means2d`` and its absgrad."""
    held = [means2d]

    def fill(gradient: Tensor) -> None:
        absolute = held.pop().absgrad  # type: ignore[attr-defined]
        screen.grad = torch.cat([gradient[0], absolute[0]], -1)

    means2d.register_hook(fill)


def _empty(gaussians: Gaussians, camera: Camera, settings: RenderSettings, screen: Tensor | None) -> Rendered:
    """No splats: gsplat's kernels want at least one."""
    like, size = gaussians.means, (camera.height, camera.width)
    return Rendered(
        color=torch.tensor(settings.background).to(like).expand(*size, 3).clone(),
        alpha=like.new_zeros(size),
        depth=None,
        median_depth=None,
        normals=None,
        visible=torch.zeros(0, dtype=torch.bool, device=like.device),
        radii=like.new_zeros(0),
        screen=screen,
    )
