"""Which GPUs ``setup.py`` compiles the core for."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("nanobind")
pytest.importorskip("setuptools")


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name in ("CUDAARCHS", "SPLAT_CUDA_ARCHS"):
        monkeypatch.delenv(name, raising=False)
    spec = importlib.util.spec_from_file_location("build_of_splat", Path(__file__).parents[2] / "setup.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def program(folder: Path, name: str, prints: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\nprintf '{prints}'\n")
    path.chmod(0o755)
    return str(path)


def test_released_for_every_architecture_with_ptx_of_the_last(build: ModuleType, tmp_path: Path) -> None:
    nvcc = program(tmp_path, "nvcc", "".join(f"compute_{one}\\n" for one in (*build.ARCHITECTURES, 121)))
    expected = "75-real;80-real;86-real;89-real;90-real;100-real;120"
    assert build.architectures(nvcc) == expected


def test_architectures_that_nvcc_does_not_know_are_named(
    build: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    nvcc = program(tmp_path, "nvcc", "compute_50\\ncompute_75\\ncompute_80\\ncompute_90\\n")
    assert build.architectures(nvcc) == "75-real;80-real;90"
    assert "does not know the architectures 86, 89, 100, 120" in capsys.readouterr().out


def test_what_the_environment_asks_for(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("SPLAT_CUDA_ARCHS", "80,90a")
    assert build.architectures("nvcc") == "80-real;90a"
    monkeypatch.setenv("SPLAT_CUDA_ARCHS", "native")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    program(tmp_path, "nvidia-smi", "9.0\\n8.9\\n9.0\\n")
    assert build.architectures("nvcc") == "89-real;90"
    program(tmp_path, "nvidia-smi", "No devices were found\\n")
    assert build.architectures("nvcc") == build.ONE_ARCHITECTURE
    assert "no CUDA device" in capsys.readouterr().out
    monkeypatch.setenv("SPLAT_CUDA_ARCHS", "all of them")
    with pytest.raises(SystemExit, match="all of them"):
        build.architectures("nvcc")
    monkeypatch.setenv("CUDAARCHS", "75")
    assert build.architectures("nvcc") == "75"


def test_without_cuda_there_is_nothing_to_say(build: ModuleType) -> None:
    assert build.cuda_options("OFF") == []
