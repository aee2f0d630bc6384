"""What the doctor says of GPUs in every state that can be met."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from splat.devices import CudaFacts
from splat.doctor import cuda
from splat.doctor.cuda import Gpu, check_cuda, check_gpu, covers

GOOD = CudaFacts(
    compiled=True,
    device="NVIDIA H100 (compute 9.0, 79.1 GiB)",
    reason="",
    torch="2.9.0+cu128",
    torch_cuda="12.8",
    torch_devices=1,
    seen=True,
)
RELEASED = "75-real;80-real;86-real;89-real;90-real;100-real;120"


def test_gpu_that_can_be_used_is_named() -> None:
    check = check_cuda(GOOD)
    assert check.status == "ok" and "NVIDIA H100" in check.found and "CUDA 12.8" in check.found


@pytest.mark.parametrize(
    ("change", "found", "advice"),
    [
        ({"torch_cuda": None, "torch_devices": 0}, "built without CUDA", "pytorch.org"),
        ({"compiled": False, "reason": "no nvcc", "device": ""}, "no nvcc", "SPLAT_CUDA=1"),
        ({"device": "", "reason": "the CUDA driver is too old"}, "driver is too old", "NVIDIA driver"),
        ({"torch_devices": 0}, "cannot use the GPU", "driver"),
    ],
)
def test_idle_gpu_warns_with_the_true_reason(change: dict[str, object], found: str, advice: str) -> None:
    check = check_cuda(replace(GOOD, **change))  # type: ignore[arg-type]
    assert check.status == "warn" and found in check.found and advice in check.advice


def test_driver_is_named_where_the_system_tells(tmp_path: Path) -> None:
    file = tmp_path / "version"
    assert cuda.driver_version(file) == ""
    file.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 2024\n")
    assert cuda.driver_version(file) == "550.54.15"
    assert "driver 550.54.15" in check_cuda(GOOD, "550.54.15").found


def test_machine_without_a_gpu_is_in_order() -> None:
    check = check_cuda(CudaFacts(False, "", "built without CUDA", "2.9.0+cpu", None, 0, seen=False))
    assert check.status == "ok" and not check.advice and "processor" in check.found


@pytest.mark.parametrize(
    ("capability", "runs"),
    [((7, 0), False), ((7, 5), True), ((8, 7), True), ((9, 0), True), ((12, 1), True), ((13, 0), True)],
)
def test_released_architectures(capability: tuple[int, int], runs: bool) -> None:
    assert covers(RELEASED, capability) is runs


def test_machine_code_alone_runs_on_nothing_later() -> None:
    assert not covers("80-real", (9, 0)) and covers("80-virtual", (9, 0)) and not covers("80-virtual", (7, 5))
    assert covers("90a-real", (9, 0)) and not covers("86-real", (8, 0))


def test_gpu_without_code_for_it_warns_before_its_memory() -> None:
    old = Gpu("Tesla V100", (7, 0), 1.0, 16.0)
    check = check_gpu(1, old, RELEASED)
    assert check.name == "cuda:1" and check.status == "warn" and "SPLAT_CUDA_ARCHS=70" in check.advice
    assert "close other programs" in check_gpu(1, old, "").advice
    assert check_gpu(0, replace(old, free_gib=15.0), "").status == "ok"


def test_driver_that_fails_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> CudaFacts:
        raise RuntimeError("CUDA error: unknown error")

    monkeypatch.setattr(cuda, "look", fail)
    (check,) = cuda.check_gpus()
    assert check.status == "warn" and "unknown error" in check.found
