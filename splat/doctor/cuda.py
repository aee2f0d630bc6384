"""Whether fits can run on an NVIDIA GPU, and what is in the way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from splat.devices import CudaFacts, look, obstacle
from splat.doctor.check import Check
from splat.fit.machine import GIB

ENOUGH_GIB = 3.0
"""A preview of large photos needs about this much."""


@dataclass(frozen=True)
class Gpu:
    """A GPU as torch sees it.

    Attributes:
        name: of the model.
        capability: compute capability, as (9, 0).
        free_gib: memory that can be had now.
        total_gib: all of it.
    """

    name: str
    capability: tuple[int, int]
    free_gib: float
    total_gib: float


def check_gpus() -> list[Check]:
    """Look at the native core, torch, the driver and every GPU; nothing raises."""
    try:
        facts = look()
        usable = obstacle(facts) is None
        gpus = [_look_at(number) for number in range(facts.torch_devices)] if usable else []
    except Exception as error:  # a broken driver can fail with anything
        found = f"the GPU cannot be asked: {type(error).__name__}: {error}".splitlines()[0]
        return [
            Check("CUDA", "warn", found, "Fits run with `--device cpu`; mend or update the NVIDIA driver.")
        ]
    return [
        check_cuda(facts, driver_version()),
        *(check_gpu(number, gpu, built_for()) for number, gpu in enumerate(gpus)),
    ]


def check_cuda(facts: CudaFacts, driver: str = "") -> Check:
    """Whether `--device auto` means a GPU; warns only where there is one and it lies idle.

    Args:
        facts: what is there.
        driver: version of the NVIDIA driver; "" if that is not known.
    """
    driver = f"driver {driver}; " if driver else ""
    problem = obstacle(facts)
    if problem is None:
        found = (
            f"{facts.device}; {driver}torch {facts.torch} is built for CUDA {facts.torch_cuda}; fits use it"
        )
        return Check("CUDA", "ok", found)
    core = "the native core has CUDA" if facts.compiled else f"native core: {facts.reason}"
    if not facts.seen:
        return Check("CUDA", "ok", f"{problem.what}; fits run on the processor; {core}")
    found = f"there is an NVIDIA GPU, but {problem.what}; {driver}fits run on the processor"
    return Check("CUDA", "warn", found, f"{problem.advice}.")


def check_gpu(number: int, gpu: Gpu, architectures: str) -> Check:
    """One GPU: is the code made for it, and has it memory left?

    Args:
        number: that of ``cuda:N``.
        gpu: what it is.
        architectures: what the native core is compiled for, as CMake lists it; "" if that is not known.
    """
    name, capability = f"cuda:{number}", f"{gpu.capability[0]}.{gpu.capability[1]}"
    found = f"{gpu.name}, compute capability {capability}, {gpu.free_gib:.1f} of {gpu.total_gib:.1f} GiB free"
    if architectures and not covers(architectures, gpu.capability):
        advice = (
            f"The native core has no code for it (built for {architectures}): rebuild with "
            f"`SPLAT_CUDA_ARCHS={gpu.capability[0]}{gpu.capability[1]} pip install .`, or use `--device cpu`."
        )
        return Check(name, "warn", found, advice)
    if gpu.free_gib < ENOUGH_GIB:
        advice = "This is little: close other programs that use the GPU, or use `--preset preview`."
        return Check(name, "warn", found, advice)
    return Check(name, "ok", found)


def covers(architectures: str, capability: tuple[int, int]) -> bool:
    """Whether code for a list such as "80-real;90-real;120" runs on a GPU.

    Machine code runs on GPUs of its major version from its minor one on; PTX (all that is not "-real") on
    every later GPU.
    """
    for entry in architectures.split(";"):
        match = re.fullmatch(r"(\d+)(\d)[af]?(-real|-virtual)?", entry.strip())
        if match is None:
            continue
        built = (int(match[1]), int(match[2]))
        same_major = built[0] == capability[0] and built[1] <= capability[1]
        if (same_major and match[3] != "-virtual") or (built <= capability and match[3] != "-real"):
            return True
    return False


def built_for() -> str:
    """Architectures that the native core is compiled for; "" if it does not say."""
    from splat import native_core

    found = native_core.build_info().get("cuda_architectures", "")
    return ";".join(map(str, found)) if isinstance(found, Sequence) and not isinstance(found, str) else found


def driver_version(file: Path = Path("/proc/driver/nvidia/version")) -> str:
    """Of the NVIDIA driver, as Linux says it; "" where it does not."""
    try:
        match = re.search(r"\b\d{3,}\.\d+(\.\d+)?\b", file.read_text(encoding="utf-8"))
    except OSError:
        return ""
    return match[0] if match else ""


def _look_at(number: int) -> Gpu:
    import torch

    free, total = torch.cuda.mem_get_info(number)
    capability = torch.cuda.get_device_capability(number)
    return Gpu(torch.cuda.get_device_name(number), capability, free / GIB, total / GIB)
