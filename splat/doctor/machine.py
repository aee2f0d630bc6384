"""Cores, memory and disk space, as far as a fit may use them."""

from __future__ import annotations

import shutil
from pathlib import Path

from splat.doctor.check import Check
from splat.fit.machine import GIB, Machine


def check_machine(machine: Machine) -> list[Check]:
    """Cores and memory of what ``splat.fit.machine.detect`` found."""
    return [check_cores(machine.cores), check_memory(machine.memory_gib)]


def check_cores(cores: int) -> Check:
    """One core works; it is slow."""
    if cores > 1:
        return Check("cores", "ok", str(cores))
    return Check("cores", "warn", "1", "Fits are slow on one core: use `--preset preview`.")


def check_memory(gib: float) -> Check:
    """A preview fit needs about 2 GiB with everything that is loaded."""
    found = f"{gib:.1f} GiB free"
    if gib >= 3:
        return Check("memory", "ok", found)
    return Check("memory", "warn", found, "This is little: close other programs, or use `--preset preview`.")


def check_disk(folder: Path) -> Check:
    """Room for a run folder in ``folder``."""
    free = shutil.disk_usage(folder).free / GIB
    found = f"{free:.1f} GiB free in the current folder"
    if free >= 1:
        return Check("disk", "ok", found)
    advice = "A run can need 1 GiB: free some space, or let `--out` name a folder on another disk."
    return Check("disk", "warn", found, advice)
