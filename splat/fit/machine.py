"""What this machine offers: cores and memory, as far as this process may use them."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

GIB = 1024.0**3


@dataclass(frozen=True)
class Machine:
    """The resources that presets are chosen from.

    Attributes:
        cores: processor cores this process may use (affinity and container limits counted).
        memory_gib: memory that can be had now without swapping, GiB.
        device: where training runs, "cpu" or "cuda:N".
        gpu_memory_gib: memory of that device that is free now, GiB; 0 for the processor.
    """

    cores: int
    memory_gib: float
    device: str = "cpu"
    gpu_memory_gib: float = 0.0

    @property
    def has_gpu(self) -> bool:
        """Whether training runs on a GPU."""
        return self.device != "cpu"


def detect(device: torch.device | None = None) -> Machine:
    """Look at the machine this process runs on; training will run on ``device``, by default the processor."""
    if device is None or device.type == "cpu":
        return Machine(cores=available_cores(), memory_gib=available_memory_gib())
    return Machine(available_cores(), available_memory_gib(), str(device), free_gpu_memory_gib(device))


def free_gpu_memory_gib(device: torch.device) -> float:
    """Memory of a CUDA device that this process can have now, GiB: free, or kept by torch for reuse."""
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return (free + kept) / GIB


def used_memory_gib(device: str) -> float:
    """Memory of this process now, GiB: resident, or on the CUDA device ``device`` what torch has taken."""
    if device == "cpu":
        return resident_memory_gib()
    import torch

    return torch.cuda.memory_reserved(device) / GIB


def peak_gpu_memory_gib(device: str) -> float | None:
    """Most memory that tensors and work space have had on a CUDA device, GiB; None for the processor."""
    if device == "cpu":
        return None
    import torch

    return torch.cuda.max_memory_allocated(device) / GIB


def available_cores() -> int:
    """Cores this process may use: affinity mask, cut by a container's CPU quota."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = _cgroup_cores(Path("/sys/fs/cgroup"))
    return max(1, cores if quota is None else min(cores, int(quota + 0.5)))


def available_memory_gib() -> float:
    """Memory available to this process in GiB: the kernel's estimate, cut by a container's limit."""
    candidates = [_kernel_available(), _cgroup_available(Path("/sys/fs/cgroup"))]
    known = [value for value in candidates if value is not None]
    return min(known) / GIB if known else 4.0


def peak_memory_gib() -> float:
    """Largest resident size of this process so far, GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / GIB if sys.platform == "darwin" else peak * 1024.0 / GIB


def resident_memory_gib() -> float:
    """Resident size of this process now, GiB (the peak, where the system does not say)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return peak_memory_gib()
    return pages * os.sysconf("SC_PAGE_SIZE") / GIB


def _cgroup_cores(root: Path) -> float | None:
    """CPU quota in cores, control groups version 2 or 1; None when there is no limit."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
        return None if quota == "max" else float(quota) / float(period)
    except (OSError, ValueError):
        pass
    try:
        quota_us = float((root / "cpu/cpu.cfs_quota_us").read_text())
        period_us = float((root / "cpu/cpu.cfs_period_us").read_text())
        return quota_us / period_us if quota_us > 0 else None
    except (OSError, ValueError):
        return None


def _cgroup_available(root: Path) -> float | None:
    """Bytes left under a container's memory limit; None when there is no limit."""
    pairs = (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    )
    for limit_name, usage_name in pairs:
        try:
            limit = float((root / limit_name).read_text())
            usage = float((root / usage_name).read_text())
        except (OSError, ValueError):
            continue
        return max(limit - usage, 0.0) if limit < 1e15 else None
    return None


def _kernel_available() -> float | None:
    """Bytes the kernel says can be had without swapping."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024.0
    except OSError:
        pass
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * float(os.sysconf("SC_PHYS_PAGES")) * 0.7
    except (OSError, ValueError, AttributeError):
        return None
