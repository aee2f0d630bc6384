"""--device on the command line: said before anything slow, and the note about an idle GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from splat import devices
from splat.cli.main import main
from splat.devices import CudaFacts

NOTHING = CudaFacts(False, "", "built without CUDA", "2.9.0+cpu", None, 0, seen=False)
IDLE = CudaFacts(False, "", "built without CUDA", "2.9.0+cpu", None, 0, seen=True)


@pytest.mark.parametrize(
    "command", [["fit"], ["fit", "--preset", "preview"], ["render"], ["eval"], ["view"]], ids="-".join
)
def test_gpu_that_is_not_there_is_said_at_once(
    command: list[str],
    run_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(devices, "look", lambda: NOTHING)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main([command[0], str(run_folder), *command[1:], "--device", "cuda"]) == 1
    said = capsys.readouterr().err
    assert "--device is cuda, but no NVIDIA GPU was found" in said and "What to do" in said
    assert sorted(tmp_path.rglob("*")) == before


def test_device_with_a_typo(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", str(run_folder), "--device", "gpu"]) == 1
    assert "--device is 'gpu'" in capsys.readouterr().err


def test_idle_gpu_is_mentioned_and_the_processor_taken(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(devices, "look", lambda: IDLE)
    command = ["render", str(run_folder), "--frames", "1", "--size", "16", "12", "--out", str(tmp_path / "x")]
    assert main(command) == 0
    assert "Note: the NVIDIA GPU of this machine is not used: torch" in capsys.readouterr().err
    assert main([*command, "--overwrite", "--device", "cpu"]) == 0
    assert "Note" not in capsys.readouterr().err


def test_gsplat_on_the_processor_is_refused(
    run_folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    command = ["render", str(run_folder), "--frames", "1", "--out", str(tmp_path / "x")]
    assert main([*command, "--backend", "gsplat", "--device", "cpu"]) == 1
    assert "NVIDIA GPUs only" in capsys.readouterr().err


def test_gpu_without_memory_is_no_bug(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(asked: str) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(devices, "choose_device", full)
    monkeypatch.setattr("splat.cli.on_device.choose_device", full)
    assert main(["render", str(run_folder)]) == 1
    said = capsys.readouterr().err
    assert "The GPU ran out of memory" in said and "--device cpu" in said
