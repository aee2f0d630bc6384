from __future__ import annotations

import pytest
import torch

from splat.gaussians import Gaussians


def make_ball(color: tuple[float, float, float] = (1.0, 0.0, 0.0), z: float = 5.0) -> Gaussians:
    """One round, nearly opaque Gaussian of this colour on the optical axis."""
    sh = (torch.tensor([[color]]) - 0.5) / 0.28209479177387814
    return Gaussians(
        means=torch.tensor([[0.0, 0.0, z]]),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        log_scales=torch.full((1, 3), -0.7),
        logit_opacities=torch.tensor([6.0]),
        sh=sh,
    )


@pytest.fixture
def ball() -> Gaussians:
    return make_ball()
