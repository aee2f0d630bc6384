"""Whether the CUDA driver can run here."""

from __future__ import annotations

import pytest
import torch

from splat import native_core


def problem() -> str:
    """Why it cannot, or nothing."""
    if not native_core.available():
        return "the native core is not built"
    info = native_core.build_info()
    if not info["cuda_compiled"]:
        return "the native core is built without CUDA"
    if not info["cuda_device"]:
        return f"no CUDA device: {info['cuda_reason']}"
    return "" if torch.cuda.is_available() else f"torch {torch.__version__} sees no CUDA device"


def require_device() -> None:
    """Skip the file that calls this, where there is no device."""
    reason = problem()
    if reason:
        pytest.skip(reason, allow_module_level=True)
