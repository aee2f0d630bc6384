"""Whatever is tested on the emulated CUDA driver is tested on a device too."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parents[1]
OF_THE_EMULATOR = {"emulator"}


def test_every_file_of_cases_runs_on_a_device() -> None:
    emulated = {path.stem.removeprefix("test_") for path in (TESTS / "cuda").glob("test_*.py")}
    on_device = {path.stem.removeprefix("test_cases_") for path in (TESTS / "gpu").glob("test_cases_*.py")}
    assert on_device == emulated - OF_THE_EMULATOR
    for name in on_device:
        text = (TESTS / "gpu" / f"test_cases_{name}.py").read_text()
        assert f"from tests.cuda.test_{name} import *" in text and "\nrequire_device()\n" in text
