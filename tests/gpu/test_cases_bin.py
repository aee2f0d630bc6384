"""The cases of tests/cuda/test_bin.py on a device."""

from tests.gpu.present import require_device

require_device()

from tests.cuda.test_bin import *  # noqa: E402, F403
