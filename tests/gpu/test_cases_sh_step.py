"""The cases of tests/cuda/test_sh_step.py on a device."""

from tests.gpu.present import require_device

require_device()

from tests.cuda.test_sh_step import *  # noqa: E402, F403
