"""The compiled rasteriser behind autograd. Float32 on the CPU.

The core writes into buffers that this module allocates; a ``Frame`` keeps what the backward pass
needs (footprints, tile lists) and is reused, so that a training loop allocates almost nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from splat import native_core
from splat.cameras import Camera
from splat.errors import SplatError
from splat.gaussians import Gaussians
from splat.rasterize.rendered import Rendered
from splat.rasterize.settings import RenderSettings

idle_frames: list[Any] = []
"""Frames nobody uses; the last one is the last to have been used (benchmarks read its timings)."""


class _Lease:
    """A ``Frame`` for the time between a render and its backward."""

    def __init__(self) -> None:
        self.frame = idle_frames.pop() if idle_frames else native_core.load().Frame()

    def __del__(self) -> None:
        idle_frames.append(self.frame)


class _View:
    """The camera and settings as the core takes them."""

    def __init__(self, camera: Camera, settings: RenderSettings, sh_stored: int) -> None:
        stored = {1: 0, 4: 1, 9: 2, 16: 3}[sh_stored]
        k = camera.intrinsics.detach()
        self.arguments = {
            "intrinsics": [float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2])],
            "width": camera.width,
            "height": camera.height,
            "sh_degree": stored if settings.sh_degree is None else min(settings.sh_degree, stored),
            "mip": settings.antialias == "mip",
            "background": list(settings.background),
            "near": settings.near,
            "far": settings.far,
        }
        self.size = (camera.height, camera.width)
        self.geometry = settings.geometry


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        log_scales: Tensor,
        logit_opacities: Tensor,
        sh: Tensor,
        world_to_camera: Tensor,
        screen: Tensor | None,
        view: _View,
    ) -> tuple[Tensor | None, ...]:
        lease = _Lease()
        scene = [t.detach().contiguous() for t in (means, quats, log_scales, logit_opacities, sh)]
        color = torch.empty(*view.size, 3)
        alpha = torch.empty(view.size)
        radii = torch.empty(means.shape[0])
        depth_sum = torch.empty(view.size) if view.geometry else None
        median = torch.empty(view.size) if view.geometry else None
        normals = torch.empty(*view.size, 3) if view.geometry else None
        lease.frame.render(
            *scene,
            world_to_camera.detach().float().contiguous(),
            **view.arguments,
            color=color,
            alpha=alpha,
            radii=radii,
            depth_sum=depth_sum,
            median_depth=median,
            normals=normals,
        )
        ctx.lease, ctx.geometry = lease, view.geometry
        ctx.save_for_backward(*scene, color, alpha, depth_sum, normals)
        ctx.mark_non_differentiable(radii)
        ctx.set_materialize_grads(False)
        return color, alpha, radii, depth_sum, median, normals

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # type: ignore[override]
        ctx: Any,
        v_color: Tensor | None,
        v_alpha: Tensor | None,
        _v_radii: Tensor | None,
        v_depth_sum: Tensor | None = None,
        v_median: Tensor | None = None,
        v_normals: Tensor | None = None,
    ) -> tuple[Tensor | None, ...]:
        *scene, color, alpha, depth_sum, normals = ctx.saved_tensors
        gradients = [torch.empty_like(t) for t in scene]
        screen = torch.empty(scene[0].shape[0], 4)
        pose = torch.empty(3, 4) if ctx.needs_input_grad[5] else None
        incoming = (v_color, v_alpha, v_depth_sum, v_median, v_normals)
        ctx.lease.frame.backward(
            *scene,
            color,
            alpha,
            depth_sum,
            normals,
            *(None if v is None else v.contiguous() for v in incoming),
            *gradients,
            screen,
            pose,
        )
        full_pose = None if pose is None else torch.cat([pose, torch.zeros(1, 4)])
        return (*gradients, full_pose, screen if ctx.needs_input_grad[6] else None, None)


def _check(gaussians: Gaussians, settings: RenderSettings) -> None:
    for name, tensor in gaussians.parameters().items():
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            raise SplatError(
                f"gaussians.{name} is {tensor.dtype} on {tensor.device}",
                expected="float32 on the CPU for the native backend",
                advice='convert it, or use backend="reference"',
            )
    if gaussians.kernel != "gaussian":
        raise SplatError(
            f"kernel {gaussians.kernel!r} is not in the native core", expected='kernel "gaussian"'
        )
    if settings.antialias not in ("none", "mip") or settings.subpixel != 1:
        raise SplatError(
            f"antialias {settings.antialias!r} with subpixel {settings.subpixel} is not in the native core",
            expected='"none" or "mip", subpixel 1',
            advice='use backend="reference"',
        )


def rasterize_native(gaussians: Gaussians, camera: Camera, settings: RenderSettings) -> Rendered:
    """Render with the compiled core; see ``splat.rasterize.rasterize``.

    Raises:
        SplatError: the core is not built, or a tensor is not float32 on the CPU.
    """
    _check(gaussians, settings)
    scene = tuple(gaussians.parameters().values())
    pose = camera.world_to_camera
    wanted = torch.is_grad_enabled() and any(t.requires_grad for t in (*scene, pose))
    screen = torch.zeros(len(gaussians), 4, requires_grad=True) if wanted else None
    view = _View(camera, settings, gaussians.sh.shape[1])
    color, alpha, radii, depth_sum, median, normals = _Rasterize.apply(*scene, pose, screen, view)
    depth = None
    if depth_sum is not None:
        covered = alpha > 0
        depth = torch.where(covered, depth_sum / torch.where(covered, alpha, 1.0), 0.0)
        normals = normals @ pose[:3, :3].to(normals)
    return Rendered(color, alpha, depth, median, normals, radii > 0, radii, screen)
