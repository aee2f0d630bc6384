"""The cases of tests/cuda/test_fit.py on a device."""

from tests.gpu.present import require_device

require_device()

from tests.cuda.test_fit import *  # noqa: E402, F403
