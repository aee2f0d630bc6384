"""The cases of tests/cuda/test_blend.py on a device."""

from tests.gpu.present import require_device

require_device()

from tests.cuda.test_blend import *  # noqa: E402, F403
