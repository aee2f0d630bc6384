"""All checks, in the order a person reads them."""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from splat.doctor.check import Check
from splat.doctor.cuda import check_gpus
from splat.doctor.machine import check_disk, check_machine
from splat.doctor.native import check_native
from splat.doctor.packages import OPTIONAL, REQUIRED, check_optional, check_required, first_line
from splat.fit.machine import detect

OLDEST_PYTHON = (3, 10)
OLDEST_TORCH = (2, 4)


def run_checks() -> list[Check]:
    """Look at everything; nothing is changed and nothing raises.

    What packages print while they are imported (OpenCV without numpy does) goes to stderr.
    """
    with redirect_stdout(sys.stderr):
        return _run_checks()


def _run_checks() -> list[Check]:
    return [
        check_python(sys.version_info[:3]),
        check_torch(),
        *check_native(),
        *check_gpus(),
        *(check_required(package) for package in REQUIRED),
        check_video(),
        *(check_optional(package) for package in OPTIONAL),
        *check_machine(detect()),
        check_disk(Path.cwd()),
    ]


def can_fit(checks: Sequence[Check]) -> bool:
    """Whether `splat fit` can run: no check failed."""
    return all(check.status != "fail" for check in checks)


def check_python(version: tuple[int, ...]) -> Check:
    """The interpreter's version."""
    found = f"{'.'.join(map(str, version))} on {platform.system()} {platform.machine()}"
    if version >= OLDEST_PYTHON:
        return Check("Python", "ok", found)
    advice = "Python 3.10 or newer is needed: install it and make a new environment."
    return Check("Python", "fail", found, advice)


def check_torch() -> Check:
    """The version of torch and what it was built for."""
    try:
        import torch
    except Exception as error:  # a torch that does not fit the system fails with OSError, not ImportError
        missing = isinstance(error, ModuleNotFoundError) and error.name == "torch"
        found = "not installed" if missing else f"does not load: {first_line(error)}"
        advice = 'torch is needed to fit scenes: run `pip install --force-reinstall "torch>=2.4"`.'
        return Check("torch", "fail", found, advice)
    built_for = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "CPU build"
    found = f"{torch.__version__} ({built_for})"
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < OLDEST_TORCH:
        advice = "torch 2.4 or newer is needed: run `pip install --upgrade torch`."
        return Check("torch", "fail", found, advice)
    return Check("torch", "ok", found)


def check_video() -> Check:
    """Whether `splat render` can write a video, tried on two tiny frames."""
    try:
        import numpy as np

        from splat.io.video import VideoWriter

        with tempfile.TemporaryDirectory() as folder:
            with VideoWriter(Path(folder) / "try.mp4", 64, 64, fps=24.0) as video:
                for _ in range(2):
                    video.add(np.zeros((64, 64, 3), np.uint8))
    except ImportError as error:
        advice = "Mend what could not be imported first (see the other lines)."
        return Check("video", "warn", f"not tried: {first_line(error)}", advice)
    except Exception as error:  # whatever goes wrong in the encoder, the answer is "no"
        advice = "`splat render` can write pictures but no mp4: reinstall opencv-python-headless."
        return Check("video", "warn", f"mp4 cannot be written: {first_line(error)}", advice)
    return Check("video", "ok", "mp4 can be written")
