"""The cases of tests/cuda/test_blend_backward.py on a device."""

from tests.gpu.present import require_device

require_device()

from tests.cuda.test_blend_backward import *  # noqa: E402, F403
