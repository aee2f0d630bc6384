"""Gradients put where a training loop wants them, without those that it does not want."""

from __future__ import annotations

import pytest

from splat import native_core
from splat.gaussians import Antialias
from splat.rasterize import RenderSettings
from tests.rasterize.gradient_targets import assert_target_is_right
from tests.rasterize.scenes import PAIRS

if not native_core.available():
    pytest.skip("the native core is not built", allow_module_level=True)

ISAS = native_core.build_info()["supported_isas"]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("kernel", "antialias"), PAIRS)
def test_same_bits(kernel: str, antialias: Antialias, isa: str) -> None:
    native = native_core.load()
    before = native_core.build_info()["isa"]
    native.set_isa(isa)
    try:
        assert_target_is_right(RenderSettings(antialias=antialias), kernel)
    finally:
        native.set_isa(before)
