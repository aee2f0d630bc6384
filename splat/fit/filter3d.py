"""The 3D filter of Mip-Splatting (Yu et al. 2024): no splat finer than what the photos can show.

A splat at depth z of a camera with focal length f covers details of z/f world units a pixel; the photo
that sees it finest decides. Each splat is convolved with a Gaussian of standard deviation
sqrt(0.2) min(z/f): variances add, and opacity falls so that the mass stays. Training optimises the
splats before the filter and renders those after it; what is written down is after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from splat.cameras import Camera
from splat.gaussians import Gaussians
from splat.rasterize import RenderSettings
from splat.rasterize.settings import FRUSTUM_MARGIN

VARIANCE = 0.2
"""Variance of the filter in squared pixels of the finest photo."""
UPDATE_EVERY = 100
"""Iterations between updates; also updated whenever Gaussians come, go or jump."""


class Filter3D:
    """The filter's size for each Gaussian of a scene under training.

    Args:
        cameras: of the training photos, full size, normalised world.
        device: of the scene.

    Attributes:
        sigma: [N] standard deviation, normalised units; empty before the first update.
    """

    def __init__(self, cameras: Sequence[Camera], device: torch.device | None = None) -> None:
        self._cameras = list(cameras)
        self._device = device or torch.device("cpu")
        self.sigma = torch.zeros(0, device=self._device)

    def apply(self, scene: Gaussians) -> Gaussians:
        """The scene after the filter, differentiable in its parameters."""
        if self.sigma.shape[0] != len(scene):
            self.update(scene)
        return filtered(scene, self.sigma)

    def update(self, scene: Gaussians) -> None:
        """Look again where the Gaussians are."""
        self.sigma = sampling_sigma(scene.means.detach(), self._cameras)

    def state_dict(self) -> dict[str, Any]:
        """The sizes: they are older than the scene."""
        return {"sigma": self.sigma}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that ``state_dict`` gave."""
        self.sigma = state["sigma"].to(self._device, copy=True)


def sampling_sigma(means: Tensor, cameras: Sequence[Camera]) -> Tensor:
    """[N] sqrt(0.2) times the least z/f over the cameras that see each of [N, 3] ``means``.

    A camera sees what lies beyond the near limit and in its image grown by 15 % of its size each way.
    f is the larger focal length of the camera. What no camera sees gets the largest size of the rest, or
    zero if there is no rest.
    """
    spacing = torch.full((means.shape[0],), torch.inf, dtype=means.dtype, device=means.device)
    poses = torch.stack([camera.world_to_camera.detach() for camera in cameras]).to(means)
    for camera, pose in zip(cameras, poses, strict=True):
        x, y, z = (means @ pose[:3, :3].T + pose[:3, 3]).unbind(1)
        (fx, fy), (cx, cy) = camera.focal, camera.principal_point
        wide, high = FRUSTUM_MARGIN * camera.width, FRUSTUM_MARGIN * camera.height
        # In front, so x/z between two limits is x between them times z: nothing is divided.
        seen = z > RenderSettings.near
        seen &= (fx * x >= (-wide - cx) * z) & (fx * x <= (camera.width + wide - cx) * z)
        seen &= (fy * y >= (-high - cy) * z) & (fy * y <= (camera.height + high - cy) * z)
        spacing = torch.where(seen, torch.minimum(spacing, z / max(fx, fy)), spacing)
    known = spacing.isfinite()
    largest = spacing[known].max() if bool(known.any()) else spacing.new_zeros(())
    return VARIANCE**0.5 * torch.where(known, spacing, largest)


def filtered(scene: Gaussians, sigma: Tensor) -> Gaussians:
    """The scene convolved with isotropic Gaussians of standard deviation ``sigma`` [N].

    s'^2 = s^2 + sigma^2 for each axis, o' = o prod(s/s'). Scales are standard deviations for every
    kernel, so mass and variance are right for all of them.
    """
    log_sigma = sigma.to(scene.log_scales).clamp_min(1e-30).log()[:, None]
    log_scales = 0.5 * torch.logaddexp(2 * scene.log_scales, 2 * log_sigma)
    loss = (scene.log_scales - log_scales).sum(1)
    # logit(o e^loss), with 1 - o e^loss = (1 + e^logit (1 - e^loss)) / (1 + e^logit)
    logit = scene.logit_opacities
    lowered = logit + loss - torch.log1p(logit.clamp_max(60).exp() * -torch.expm1(loss))
    return replace(scene, log_scales=log_scales, logit_opacities=lowered)
