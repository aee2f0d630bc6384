"""The compiled rasteriser behind autograd. Float32, on the CPU or on a CUDA device.

The core writes into buffers that this module allocates; a ``Frame`` keeps what the backward pass
needs (footprints, tile lists) and is reused, so that a training loop allocates almost nothing.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from splat.cameras import Camera
from splat.device_core import Core, core_for
from splat.errors import SplatError
from splat.gaussians import PARAMETERS, Gaussians
from splat.rasterize.gradient_target import GradientTarget
from splat.rasterize.rendered import Rendered
from splat.rasterize.settings import DILATION, RenderSettings
from splat.rasterize.subpixels import pooled


class Lease:
    """A core's ``Frame`` for the time between a render and its backward."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.frame = core.frame()

    def __del__(self) -> None:
        self.core.free(self.frame)


class View:
    """The camera and settings as the core takes them."""

    def __init__(self, camera: Camera, settings: RenderSettings, sh_stored: int) -> None:
        stored = {1: 0, 4: 1, 9: 2, 16: 3}[sh_stored]
        (fx, _, cx), (_, fy, cy), _ = camera.intrinsics.tolist()
        self.arguments = {
            "intrinsics": [fx, fy, cx, cy],
            "width": camera.width,
            "height": camera.height,
            "sh_degree": stored if settings.sh_degree is None else min(settings.sh_degree, stored),
            "antialias": settings.antialias,
            "dilation": _dilation(settings),
            "strips": settings.strips,
            "background": list(settings.background),
            "near": settings.near,
            "far": settings.far,
        }
        self.size = (camera.height, camera.width)
        self.geometry = settings.geometry


def _dilation(settings: RenderSettings) -> float:
    """Variance that "none" and "mip" add, in samples^2; "none" keeps the model's size in sub-pixels."""
    side = settings.subpixel if settings.antialias == "none" else 1
    return DILATION.get(settings.antialias, 0.0) * side**2


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        log_scales: Tensor,
        logit_opacities: Tensor,
        sh: Tensor,
        shape: Tensor | None,
        world_to_camera: Tensor,
        screen: Tensor | None,
        view: View,
        target: GradientTarget | None,
        core: Core,
    ) -> tuple[Tensor | None, ...]:
        lease = Lease(core)
        given = (means, quats, log_scales, logit_opacities, sh, shape)
        scene = [None if t is None else t.detach().contiguous() for t in given]
        device = core.device
        color = torch.empty(*view.size, 3, device=device)
        alpha = torch.empty(view.size, device=device)
        radii = torch.empty(means.shape[0], device=device)
        depth_sum = torch.empty(view.size, device=device) if view.geometry else None
        median = torch.empty(view.size, device=device) if view.geometry else None
        normals = torch.empty(*view.size, 3, device=device) if view.geometry else None
        outputs = {"color": color, "alpha": alpha, "radii": radii, "depth_sum": depth_sum}
        outputs |= {"median_depth": median, "normals": normals}
        lease.frame.render(
            *map(core.array, scene),
            world_to_camera.detach().float().cpu().contiguous().numpy(),
            **view.arguments,
            **{name: core.array(image) for name, image in outputs.items()},
            keep=any(ctx.needs_input_grad),
            stream=core.stream(),
        )
        ctx.lease, ctx.target, ctx.pose_device = lease, target, world_to_camera.device
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
        core = ctx.lease.core
        gradients, sh_step = _gradient_buffers(scene, ctx.target)
        screen = torch.empty(scene[0].shape[0], 4, device=core.device) if ctx.needs_input_grad[7] else None
        pose = torch.empty(3, 4, device=core.device) if ctx.needs_input_grad[6] else None
        incoming = (v_color, v_alpha, v_depth_sum, v_median, v_normals)
        tensors = (
            *scene, color, alpha, depth_sum, normals,
            *(None if v is None else v.contiguous() for v in incoming),
            *gradients, screen, pose,
        )  # fmt: skip
        ctx.lease.frame.backward(*map(core.array, tensors), sh_step, core.stream())
        if ctx.target is not None:
            gradients = [None] * len(gradients)
        full_pose = None if pose is None else F.pad(pose.to(ctx.pose_device), (0, 0, 0, 1))
        return (*gradients, full_pose, screen, None, None, None)


def _gradient_buffers(
    scene: list[Tensor | None], target: GradientTarget | None
) -> tuple[list[Tensor | None], Any]:
    """Where each tensor's gradient goes, and the step on sh that replaces one of them."""
    if target is None:
        return [None if t is None else torch.empty_like(t) for t in scene], None
    return [target.buffers.get(name) for name in (*PARAMETERS, "shape")], target.sh_step


def check_types(gaussians: Gaussians) -> None:
    """Raise SplatError unless all tensors are float32 on one device."""
    device = gaussians.means.device
    for name, tensor in gaussians.parameters().items():
        if tensor.dtype != torch.float32 or tensor.device != device:
            raise SplatError(
                f"gaussians.{name} is {tensor.dtype} on {tensor.device}",
                expected=f"float32 on {device}, where gaussians.means is, for the native backend",
                advice='convert it, or use backend="reference"',
            )


def rasterize_native(
    gaussians: Gaussians, camera: Camera, settings: RenderSettings, target: GradientTarget | None = None
) -> Rendered:
    """Render with the compiled core; see ``splat.rasterize.rasterize``.

    Raises:
        SplatError: the core is not built, or not for this device, or a tensor is not float32 on it.
    """
    check_types(gaussians)
    core = core_for(gaussians.means.device)
    scene = [getattr(gaussians, name) for name in PARAMETERS]
    shape = gaussians.shape if gaussians.kernel == "gef" else None
    pose = camera.world_to_camera
    inputs = (*scene, pose) if shape is None else (*scene, shape, pose)
    wanted = torch.is_grad_enabled() and any(t.requires_grad for t in inputs)
    seen = wanted and (target is None or target.screen)
    screen = torch.zeros(len(gaussians), 4, device=core.device, requires_grad=True) if seen else None
    side = settings.subpixel
    # A move by one pixel is one by ``side`` samples.
    probe = screen if screen is None or side == 1 else side * screen
    samples = camera if side == 1 else camera.resized(side * camera.width, side * camera.height)
    view = View(samples, settings, gaussians.sh.shape[1])
    color, alpha, radii, depth_sum, median, normals = _Rasterize.apply(
        *scene, shape, pose, probe, view, target, core
    )
    depth = None
    if depth_sum is not None:
        covered = alpha > 0
        depth = torch.where(covered, depth_sum / torch.where(covered, alpha, 1.0), 0.0)
        normals = normals @ pose[:3, :3].to(normals)
    images = {"color": color, "alpha": alpha, "depth": depth, "median_depth": median, "normals": normals}
    if side > 1:
        images = pooled(images, side)
    return Rendered(**images, visible=radii > 0, radii=radii / side, screen=screen)
