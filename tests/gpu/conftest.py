"""Tests that need a CUDA device. Without one their files are skipped and say why (``present``)."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from splat import native_core
from tests.cuda.conftest import emulated, emulated_backend  # noqa: F401
from tests.gpu.bridge import bridge


@pytest.fixture
def device() -> torch.device:
    """The first CUDA device."""
    return torch.device("cuda", 0)


@pytest.fixture(scope="session")
def emulated_module() -> Any:
    """In place of the emulated module: the real driver, given arrays of the processor."""
    return bridge(native_core.load().cuda)
