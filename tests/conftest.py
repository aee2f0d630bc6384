"""Fixtures for every test: fixed seeds, one thread, and the real captures where they are at hand."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[1]


def pytest_configure() -> None:
    """One thread for torch and OpenCV: tests must not depend on the number of cores.

    And Ctrl-C reaches the programs that tests start, also when a shell started pytest in the background.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    import cv2

    cv2.setNumThreads(1)


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    """Every test starts from the same random state, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real captures (env SPLAT_TEST_DATA, or ../shared/data); skips where there is none."""
    folder = Path(os.environ.get("SPLAT_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real captures in {folder} (set SPLAT_TEST_DATA to a folder that has them)")
    return folder
