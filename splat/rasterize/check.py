"""Say what is wrong with a scene or a camera before it is rendered."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor

from splat.cameras import Camera
from splat.errors import SplatError
from splat.gaussians import Antialias, Gaussians, Kernel
from splat.rasterize.settings import RenderSettings

_SHAPES = {"means": "[N, 3]", "quats": "[N, 4]", "log_scales": "[N, 3]", "logit_opacities": "[N]"}


def check_inputs(gaussians: Gaussians, camera: Camera, settings: RenderSettings) -> None:
    """Shapes, dtypes, devices and values of what ``rasterize`` is given.

    One pass over the tensors; callers that checked once may skip it.

    Raises:
        SplatError: naming the tensor, what was found and what to do.
    """
    _check_shapes(gaussians)
    _check_shape(gaussians)
    _check_types(gaussians)
    for name, tensor in gaussians.parameters().items():
        _check_finite(f"gaussians.{name}", tensor, "remove these splats, or lower the learning rate")
    _check_quats(gaussians.quats)
    _check_camera(camera)
    _check_settings(settings)
    _check_filter(gaussians, settings)


def _check_shapes(gaussians: Gaussians) -> None:
    count = gaussians.means.shape[0] if gaussians.means.ndim else 0
    wanted = {"means": (count, 3), "quats": (count, 4), "log_scales": (count, 3), "logit_opacities": (count,)}
    for name, shape in wanted.items():
        found = tuple(getattr(gaussians, name).shape)
        if found != shape:
            raise SplatError(
                f"gaussians.{name} has shape {list(found)}",
                expected=f"{_SHAPES[name]} with N = {count} (the rows of gaussians.means)",
            )
    found = tuple(gaussians.sh.shape)
    if len(found) != 3 or found[0] != count or found[1] not in (1, 4, 9, 16) or found[2] != 3:
        raise SplatError(
            f"gaussians.sh has shape {list(found)}",
            expected=f"[{count}, K, 3] with K = 1, 4, 9 or 16 (degree 0 to 3)",
        )


def _check_types(gaussians: Gaussians) -> None:
    means = gaussians.means
    for name, tensor in gaussians.parameters().items():
        if tensor.dtype not in (torch.float32, torch.float64) or tensor.dtype != means.dtype:
            raise SplatError(
                f"gaussians.{name} is {tensor.dtype} and gaussians.means is {means.dtype}",
                expected="all float32, or all float64 (reference backend)",
                advice="convert it with .float()",
            )
        if tensor.device != means.device:
            raise SplatError(
                f"gaussians.{name} is on {tensor.device} and gaussians.means on {means.device}",
                expected="all on one device",
                advice=f'move it with .to("{means.device}")',
            )


def _check_finite(name: str, tensor: Tensor, advice: str) -> None:
    # A sum is finite only if every term is; it needs no memory. It may overflow, so look again.
    if bool(torch.isfinite(tensor.detach().sum())):
        return
    bad = ~torch.isfinite(tensor.detach())
    if bool(bad.any()):
        first = bad.nonzero()[0].tolist()
        raise SplatError(
            f"{name} has {int(bad.sum())} values that are NaN or infinite, the first at {first}",
            expected="finite numbers",
            advice=advice,
        )


def _check_quats(quats: Tensor) -> None:
    zero = (quats.detach() == 0).all(-1)
    if bool(zero.any()):
        raise SplatError(
            f"gaussians.quats has {int(zero.sum())} zero rows, the first at {int(zero.nonzero()[0])}",
            expected="quaternions (w, x, y, z) of any length but 0",
            advice="set them to (1, 0, 0, 0)",
        )


def _check_camera(camera: Camera) -> None:
    for name, size in (("world_to_camera", 4), ("intrinsics", 3)):
        matrix = getattr(camera, name)
        if tuple(matrix.shape) != (size, size):
            raise SplatError(f"camera.{name} has shape {list(matrix.shape)}", expected=f"[{size}, {size}]")
        if not matrix.dtype.is_floating_point:
            raise SplatError(f"camera.{name} is {matrix.dtype}", expected="float32 or float64")
        _check_finite(f"camera.{name}", matrix, "leave this view out, or correct its pose file")
    if camera.width < 1 or camera.height < 1:
        raise SplatError(
            f"The camera's image is {camera.width} x {camera.height} pixels",
            expected="at least 1 x 1",
        )
    if min(camera.focal) <= 0:
        raise SplatError(f"camera.intrinsics has focal lengths {camera.focal}", expected="positive pixels")


def _check_settings(settings: RenderSettings) -> None:
    if settings.sh_degree is not None and settings.sh_degree not in (0, 1, 2, 3):
        raise SplatError(f"sh_degree is {settings.sh_degree}", expected="0, 1, 2, 3 or None")
    if not 0 <= settings.near < settings.far:
        raise SplatError(
            f"near is {settings.near} and far is {settings.far}", expected="0 <= near < far, world units"
        )
    if len(settings.background) != 3 or not all(abs(c) < float("inf") for c in settings.background):
        raise SplatError(f"background is {settings.background}", expected="three finite numbers, 0 to 1")


def _check_shape(gaussians: Gaussians) -> None:
    """The kernel, and that ``shape`` is there exactly when it is needed."""
    if gaussians.kernel not in get_args(Kernel):
        raise SplatError(f"gaussians.kernel is {gaussians.kernel!r}", expected=_one_of(Kernel))
    shape, count = gaussians.shape, len(gaussians)
    if gaussians.kernel == "gaussian" and shape is not None:
        raise SplatError(
            'gaussians.kernel is "gaussian" and gaussians.shape is given',
            expected="shape None for a Gaussian scene",
            advice='set kernel="gef" to use the exponents, or shape=None to drop them',
        )
    if gaussians.kernel == "gef" and tuple(gaussians.parameters()["shape"].shape) != (count,):
        found = list(gaussians.parameters()["shape"].shape)
        raise SplatError(
            f"gaussians.shape has shape {found}",
            expected=f"[N] with N = {count} (the rows of gaussians.means)",
        )


def _check_filter(gaussians: Gaussians, settings: RenderSettings) -> None:
    if settings.antialias not in get_args(Antialias):
        raise SplatError(f"antialias is {settings.antialias!r}", expected=_one_of(Antialias))
    for name, value in (("strips", settings.strips), ("subpixel", settings.subpixel)):
        if value not in (1, 2):
            raise SplatError(f"{name} is {value!r}", expected="1 or 2")
    if settings.antialias == "analytic" and gaussians.kernel == "gef":
        raise SplatError(
            'antialias "analytic" is for Gaussians, and this scene\'s kernel is "gef"',
            expected="none, mip, moment or exact",
            advice='use antialias "moment", which filters every exponent',
        )


def _one_of(choices: object) -> str:
    return ", ".join(f'"{choice}"' for choice in get_args(choices))
