"""Which device the heavy work runs on: the processor, or an NVIDIA GPU through CUDA."""

from __future__ import annotations

import re
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from splat.errors import SplatError

if TYPE_CHECKING:
    import torch

EXPECTED = "auto, cpu, cuda, or cuda:N for GPU number N"


@dataclass(frozen=True)
class CudaFacts:
    """What stands between this program and a GPU.

    Attributes:
        compiled: the native core holds the CUDA driver.
        device: the first device as the native core sees it, or "".
        reason: why the native core sees none, or "".
        torch: version of torch.
        torch_cuda: CUDA version that torch was built for, or None for a CPU (or ROCm) build.
        torch_devices: GPUs that torch can use.
        seen: the system shows signs of an NVIDIA GPU.
    """

    compiled: bool
    device: str
    reason: str
    torch: str
    torch_cuda: str | None
    torch_devices: int
    seen: bool


@dataclass(frozen=True)
class Obstacle:
    """Why CUDA cannot be used, and what to do about it; neither ends with a full stop."""

    what: str
    advice: str


@dataclass(frozen=True)
class Choice:
    """A device, and a sentence for a person where another might have been expected.

    Attributes:
        device: "cpu", or "cuda" with its number.
        note: why a GPU that seems to be there is not used, or None.
    """

    device: torch.device
    note: str | None = None


def check_name(asked: str) -> None:
    """Raise SplatError unless ``asked`` is something that ``--device`` knows."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", asked):
        raise SplatError(f"--device is {asked!r}", expected=EXPECTED)


def choose_device(asked: str, facts: CudaFacts | None = None) -> Choice:
    """The device that ``--device`` means on this machine.

    Args:
        asked: "auto" (a GPU where CUDA can be used, else the processor), "cpu", "cuda" or "cuda:N".
        facts: what ``look`` found; None: look now.

    Raises:
        SplatError: CUDA was asked for and cannot be used, or there is no device of that number.
    """
    import torch

    check_name(asked)
    processor = torch.device("cpu")
    if asked == "cpu":
        return Choice(processor)
    facts = facts or look()
    problem = obstacle(facts)
    if asked == "auto":
        if problem is None:
            return Choice(torch.device("cuda", 0))
        note = f"the NVIDIA GPU of this machine is not used: {problem.what}. {problem.advice}"
        return Choice(processor, note if facts.seen else None)
    if problem is not None:
        raise SplatError(
            f"--device is {asked}, but {problem.what}",
            expected="a GPU that both torch and the native core can use, or --device cpu",
            advice=problem.advice,
        )
    number = int(asked.partition(":")[2] or 0)
    if number >= facts.torch_devices:
        raise SplatError(
            f"--device is {asked}, but torch can use {facts.torch_devices} GPU(s), counted from 0",
            expected=f"cuda:0 to cuda:{facts.torch_devices - 1}" if facts.torch_devices > 1 else "cuda:0",
        )
    return Choice(torch.device("cuda", number))


def look() -> CudaFacts:
    """Ask the native core, torch and the system; nothing raises."""
    import torch

    from splat import native_core

    compiled, device, reason = False, "", "the native core is not built"
    if native_core.available():
        build = native_core.build_info()
        compiled, device = bool(build["cuda_compiled"]), str(build["cuda_device"])
        reason = str(build["cuda_reason"])
    devices = 0
    if torch.version.cuda is not None:
        with warnings.catch_warnings():  # an old driver makes torch warn; we say it in our own words
            warnings.simplefilter("ignore")
            devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return CudaFacts(
        compiled, device, reason, torch.__version__, torch.version.cuda, devices, has_nvidia_gpu()
    )


def obstacle(facts: CudaFacts) -> Obstacle | None:
    """The first thing that keeps CUDA from being used, or None."""
    if not (facts.seen or facts.device or facts.torch_devices):
        return Obstacle(
            "no NVIDIA GPU was found", "Leave --device out to use the processor, or install the NVIDIA driver"
        )
    if facts.torch_cuda is None:
        return Obstacle(
            f"torch {facts.torch} is built without CUDA",
            "Install a CUDA build of torch: choose CUDA at pytorch.org/get-started and give pip the command "
            "shown there, with --force-reinstall",
        )
    if not facts.compiled:
        return Obstacle(
            f"the native core has no CUDA in it ({facts.reason})",
            "Install nvcc (the CUDA toolkit) and run `SPLAT_CUDA=1 pip install .` in the source folder",
        )
    if not facts.device:
        return Obstacle(
            f"the native core finds no CUDA device ({facts.reason})",
            "Install or update the NVIDIA driver; is CUDA_VISIBLE_DEVICES set to nothing?",
        )
    if facts.torch_devices == 0:
        return Obstacle(
            f"torch {facts.torch} is built for CUDA {facts.torch_cuda} and cannot use the GPU",
            "Update the NVIDIA driver, or install a torch built for the CUDA that nvidia-smi names",
        )
    return None


def has_nvidia_gpu() -> bool:
    """Whether the operating system shows signs of an NVIDIA GPU (driver tool or device files)."""
    files = ("/proc/driver/nvidia/version", "/dev/nvidia0")
    return shutil.which("nvidia-smi") is not None or any(Path(file).exists() for file in files)
