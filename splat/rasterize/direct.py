"""Rendering and going back without autograd: for loops that make thousands of steps.

The same calls into the core as ``rasterize`` and ``backward``, so the same bits; but images and gradients lie
in buffers that are used again, and nothing is recorded. At 50,000 Gaussians and 270 x 480 pixels on two cores
autograd and fresh buffers cost a tenth of a step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from splat.cameras import Camera
from splat.device_core import core_for
from splat.errors import SplatError
from splat.gaussians import PARAMETERS, Gaussians
from splat.rasterize.gradient_target import GradientTarget
from splat.rasterize.native import Lease, View, check_types
from splat.rasterize.rendered import Rendered
from splat.rasterize.settings import RenderSettings


class DirectPass:
    """Renders a scene and takes the gradient of the image back to its tensors.

    What a ``render`` gives holds until the next one.

    Args:
        device: where the scenes are.
    """

    def __init__(self, device: torch.device) -> None:
        self.core = core_for(device)
        self._kept: dict[str, Tensor] = {}
        self._lease: Lease | None = None
        self._scene: list[Tensor | None] = []

    def render(
        self, gaussians: Gaussians, camera: Camera, settings: RenderSettings, screen: bool = True
    ) -> Rendered:
        """One view.

        Args:
            gaussians: float32 on the device, contiguous.
            camera: the view.
            settings: without geometry and sub-pixels.
            screen: whether ``Rendered.screen`` is wanted; its sums of absolute values cost time.

        Raises:
            SplatError: a tensor or a setting is not of that kind.
        """
        check_types(gaussians)
        for name, value in gaussians.parameters().items():
            if value.device != self.core.device or not value.is_contiguous():
                layout = "" if value.is_contiguous() else ", not contiguous"
                raise SplatError(
                    f"gaussians.{name} is on {value.device}{layout}",
                    expected=f"contiguous, on {self.core.device}",
                )
        if settings.geometry or settings.subpixel != 1:
            raise SplatError("a direct pass renders colour only", expected="geometry off, subpixel 1")
        view = View(camera, settings, gaussians.sh.shape[1])
        color, alpha = self._room("color", (*view.size, 3)), self._room("alpha", view.size)
        radii = self._room("radii", (len(gaussians),))
        scene: list[Tensor | None] = list(gaussians.parameters().values())
        if gaussians.kernel == "gaussian":
            scene.append(None)  # no shape
        self._lease, self._scene = None, []  # of a render that nobody went back from
        lease, array = Lease(self.core), self.core.array
        lease.frame.render(
            *map(array, scene),
            camera.world_to_camera.detach().float().cpu().contiguous().numpy(),
            **view.arguments,
            **{"color": array(color), "alpha": array(alpha), "radii": array(radii)},
            **dict.fromkeys(("depth_sum", "median_depth", "normals")),
            keep=True,
            stream=self.core.stream(),
        )
        self._lease, self._scene = lease, scene
        return Rendered(color, alpha, None, None, None, radii > 0, radii, self._probe(radii, screen))

    def backward(self, v_color: Tensor, target: GradientTarget) -> None:
        """The gradients of the last render into ``target``, and into ``Rendered.screen.grad``; once.

        Args:
            v_color: [H, W, 3] dL/d(color).
            target: where the gradients of the scene's tensors go.
        """
        if self._lease is None:
            raise SplatError("there is no render to go back from", expected="one backward after each render")
        array, kept = self.core.array, self._kept
        gradients = (target.buffers.get(name) for name in (*PARAMETERS, "shape"))
        self._lease.frame.backward(
            *map(array, self._scene), array(kept["color"]), array(kept["alpha"]), None, None,
            array(v_color.contiguous()), None, None, None, None,
            *map(array, gradients), array(kept.get("screen")), None, target.sh_step, self.core.stream(),
        )  # fmt: skip
        self._lease, self._scene = None, []

    def release(self) -> None:
        """Give back the memory that is kept; the next ``render`` takes new."""
        self._kept, self._scene, self._lease = {}, [], None

    def _probe(self, radii: Tensor, wanted: bool) -> Tensor | None:
        """``Rendered.screen``: zeros of no size, with room for their gradient."""
        if not wanted:
            self._kept.pop("screen", None)
            return None
        probe = torch.zeros((), device=radii.device).expand(radii.shape[0], 4)
        probe.grad = self._room("screen", (radii.shape[0], 4))
        return probe

    def _room(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Room for ``name``, not cleared."""
        if (kept := self._kept.get(name)) is not None and kept.shape == shape:
            return kept
        self._kept.pop(name, None)
        self._kept[name] = torch.empty(shape, device=self.core.device)
        return self._kept[name]
