"""The CUDA driver, emulated: gradients put where a training loop wants them."""

from __future__ import annotations

import pytest

from splat.gaussians import Antialias
from splat.rasterize import RenderSettings
from tests.rasterize.gradient_targets import assert_target_is_right


@pytest.mark.usefixtures("emulated_backend")
@pytest.mark.parametrize(
    ("kernel", "antialias"), [("gaussian", "mip"), ("gef", "moment"), ("gaussian", "exact")]
)
def test_same_bits(kernel: str, antialias: Antialias) -> None:
    assert_target_is_right(RenderSettings(antialias=antialias), kernel)
