"""The emulated CUDA driver: the module that ``make emulated`` builds, and a core that runs on it."""

from __future__ import annotations

import importlib.util
import os
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch.utils.dlpack import to_dlpack

from splat.device_core import CudaCore

FOLDER = Path(__file__).parents[2] / "build" / "emulated"
ALIGNMENT = 256
GUARD, POISON = 0xFD, 0xFF


def module_path() -> Path | None:
    """Where the module for this Python is, if it is built."""
    paths = (FOLDER / f"_emulated{suffix}" for suffix in EXTENSION_SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def load(path: Path) -> ModuleType:
    """The module in a file."""
    spec = importlib.util.spec_from_file_location("_emulated", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def reset_schedule(module: ModuleType) -> None:
    """Threads run from now on in the order that SPLAT_EMULATE_ORDER and SPLAT_EMULATE_SEED say."""
    order = os.environ.get("SPLAT_EMULATE_ORDER", "shuffled")
    module.emulator.set_schedule(order, int(os.environ.get("SPLAT_EMULATE_SEED", "0")))


class EmulatedCore(CudaCore):
    """The CUDA driver's core with the processor as its device.

    Memory is handed out full of NaNs, and between guards that ``check_memory`` looks at.
    """

    def __init__(self, module: ModuleType, deterministic: bool = True) -> None:
        self.blocks: list[tuple[torch.Tensor, int, int]] = []
        super().__init__(torch.device("cpu"), module.cuda, deterministic)

    def _allocate(self, size: int) -> Any:
        block = torch.full((size + 3 * ALIGNMENT,), GUARD, dtype=torch.uint8)
        begin = ALIGNMENT + -block.data_ptr() % ALIGNMENT
        block[begin : begin + size] = POISON
        self.blocks.append((block, begin, size))
        return to_dlpack(block[begin : begin + size])

    def check_memory(self) -> None:
        """Fails where a kernel wrote outside the memory that the driver asked for."""
        for block, begin, size in self.blocks:
            for side, guard in (("before", block[:begin]), ("after", block[begin + size :])):
                changed = (guard != GUARD).nonzero()
                assert len(changed) == 0, (
                    f"a kernel wrote {len(changed)} bytes {side} a buffer of {size} bytes"
                )

    def close(self) -> None:
        """Gives everything back: the driver holds this object, and this object the driver."""
        self.idle.clear()
        self.blocks.clear()
        self.works.clear()
