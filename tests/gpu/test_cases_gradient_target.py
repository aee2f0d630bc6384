"""The cases of tests/cuda/test_gradient_target.py on a device."""

from tests.gpu.present import require_device

require_device()

from tests.cuda.test_gradient_target import *  # noqa: E402, F403
