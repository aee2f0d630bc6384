"""One function, several backends: ``rasterize(gaussians, camera, settings) -> Rendered``."""

from __future__ import annotations

from typing import Literal

from splat.cameras import Camera
from splat.errors import SplatError
from splat.gaussians import Gaussians
from splat.rasterize.check import check_inputs
from splat.rasterize.gradient_target import GradientTarget
from splat.rasterize.rendered import Rendered
from splat.rasterize.settings import RenderSettings

Backend = Literal["auto", "native", "reference", "gsplat"]

__all__ = ["Backend", "GradientTarget", "RenderSettings", "Rendered", "rasterize"]


def rasterize(
    gaussians: Gaussians,
    camera: Camera,
    settings: RenderSettings,
    backend: Backend = "auto",
    check: bool = True,
    target: GradientTarget | None = None,
) -> Rendered:
    """Render one view, differentiably in every Gaussian parameter and in ``world_to_camera``.

    Args:
        gaussians: the scene; float32 (or float64 with the reference). Where its tensors are, on the
            processor or a CUDA device, is where it is rendered and what comes back is.
        camera: the view; its tensors are best on the processor.
        settings: kernel, pixel filter, background and outputs.
        backend: "native" (compiled core, float32), "reference" (plain PyTorch, defines what is
            right, slow), "gsplat" (that package, on CUDA), or "auto": native for float32, reference
            for float64.
        check: look for malformed inputs first (one pass over the scene); a loop that made its
            own tensors may leave it out.
        target: where a training loop wants the gradients of the scene's tensors (native only).

    Raises:
        SplatError: an input is malformed, or the backend is not there or not for such a scene.
    """
    if check:
        check_inputs(gaussians, camera, settings)
    if backend == "auto":
        backend = "reference" if gaussians.means.dtype.itemsize == 8 else "native"
    if backend != "native" and target is not None:
        raise SplatError(f'backend "{backend}" hands gradients to autograd', expected="target=None")
    if backend == "gsplat":
        from splat.rasterize.gsplat import rasterize_gsplat

        return rasterize_gsplat(gaussians, camera, settings)
    if backend == "reference":
        from splat.rasterize.reference import rasterize_reference

        return rasterize_reference(gaussians, camera, settings)
    from splat.rasterize.native import rasterize_native

    return rasterize_native(gaussians, camera, settings, target)
