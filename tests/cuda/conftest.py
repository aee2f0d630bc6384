"""The CUDA driver without a GPU: its sources compiled for the processor (``make emulated``)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch

from splat import device_core
from tests.cuda.emulated import EmulatedCore, load, module_path, reset_schedule


@pytest.fixture(scope="session")
def emulated_module() -> ModuleType:
    """The emulated module; skips where it is not built (fails under ``make test``, which builds it)."""
    path = module_path()
    if path is not None:
        return load(path)
    problem = "the emulated CUDA driver is not built for this Python; run `make emulated`"
    if os.environ.get("SPLAT_REQUIRE_EMULATED"):
        pytest.fail(problem)
    pytest.skip(problem)


@pytest.fixture
def emulated(emulated_module: ModuleType) -> ModuleType:
    """The emulated module, with the order of threads that every test starts from."""
    reset_schedule(emulated_module)
    return emulated_module


@pytest.fixture
def emulated_backend(emulated: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatedCore]:
    """Everything that the native core does for tensors on the processor is done by the CUDA driver.

    What torch.empty gives is full of NaNs meanwhile, so that an output that is not written shows.
    """
    core = EmulatedCore(emulated)
    monkeypatch.setitem(device_core.cores, torch.device("cpu"), core)
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield core
    torch.use_deterministic_algorithms(False)
    core.check_memory()
    core.close()
