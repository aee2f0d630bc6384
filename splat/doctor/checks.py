"""All checks, in the order a person reads them."""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from splat.doctor.check import Check
from splat.doctor.machine import check_cores, check_disk, check_memory, memory_bytes, usable_cores
from splat.doctor.native import check_native
from splat.doctor.packages import OPTIONAL, REQUIRED, check_optional, check_required, first_line

OLDEST_PYTHON = (3, 10)
OLDEST_TORCH = (2, 4)


def run_checks() -> list[Check]:
    """Look at everything; nothing is changed and nothing raises."""
    return [
        check_python(sys.version_info[:3]),
        check_torch(),
        *check_native(),
        *(check_required(package) for package in REQUIRED),
        check_video(),
        *(check_optional(package) for package in OPTIONAL),
        check_cores(usable_cores()),
        check_memory(memory_bytes()),
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
    """Whether OpenCV can write a video (mp4), tried on two tiny frames; frames as PNG always work."""
    try:
        import cv2
        import numpy as np

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "try.mp4"
            fourcc = cv2.VideoWriter.fourcc(*"mp4v")
            writer = cv2.VideoWriter(str(path), fourcc, 24.0, (64, 64))
            for _ in range(2):
                writer.write(np.zeros((64, 64, 3), np.uint8))
            writer.release()
            works = path.is_file() and path.stat().st_size > 0
    except Exception as error:  # cv2 missing or broken has its own check; here the answer is just "no"
        advice = "Mend opencv-python-headless first (see above)."
        return Check("video", "warn", f"not tried: {first_line(error)}", advice)
    if works:
        return Check("video", "ok", "mp4 can be written")
    advice = "`splat render` cannot write mp4: run `pip install --force-reinstall opencv-python-headless`."
    return Check("video", "warn", "OpenCV cannot write mp4", advice)
