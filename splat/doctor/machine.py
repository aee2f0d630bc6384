"""Cores, memory and disk space of this machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from splat.doctor.check import Check

GIB = 1024**3
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def usable_cores() -> int:
    """Cores this process may use (taskset and containers can make them fewer than the machine has)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int | None:
    """Physical memory, or the container's limit where that is less; None where it cannot be told."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return _windows_memory()
    for limit in CGROUP_LIMITS:
        try:
            total = min(total, int(Path(limit).read_text()))
        except (OSError, ValueError):  # no such container, or "max"
            continue
    return total


def _windows_memory() -> int | None:
    import ctypes

    class MemoryStatus(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong), ("total", ctypes.c_ulonglong)] + [
            (f"unused{i}", ctypes.c_ulonglong) for i in range(6)
        ]

    windll = getattr(ctypes, "windll", None)
    if windll is None:
        return None
    status = MemoryStatus(length=ctypes.sizeof(MemoryStatus))
    return int(status.total) if windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)) else None


def check_cores(cores: int) -> Check:
    """One core works; it is slow."""
    if cores > 1:
        return Check("cores", "ok", str(cores))
    return Check("cores", "warn", "1", "Fits are slow on one core: use `--preset preview`.")


def check_memory(total: int | None) -> Check:
    """A preview fit needs about 2 GiB with everything that is loaded."""
    if total is None:
        return Check("memory", "ok", "cannot be told on this system")
    found = f"{total / GIB:.1f} GiB"
    if total >= 4 * GIB:
        return Check("memory", "ok", found)
    return Check("memory", "warn", found, "This is little: use `--preset preview`, or set `--max-memory`.")


def check_disk(folder: Path) -> Check:
    """Room for a run folder in the current folder."""
    free = shutil.disk_usage(folder).free
    found = f"{free / GIB:.1f} GiB free in the current folder"
    if free >= GIB:
        return Check("disk", "ok", found)
    advice = "A run can need 1 GiB: free some space, or let `--out` name a folder on another disk."
    return Check("disk", "warn", found, advice)
