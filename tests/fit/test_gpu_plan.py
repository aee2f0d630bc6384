"""Plans for a GPU: presets, memory, and where a resumed run goes on."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from splat import devices
from splat.devices import CudaFacts
from splat.errors import SplatError
from splat.fit.machine import GIB, Machine
from splat.fit.memory import GPU, bytes_per_gaussian, gpu_bytes_per_gaussian, plan_memory
from splat.fit.options import FitOptions, Preset
from splat.fit.presets import Plan, long_side, plan_fit
from splat.fit.resume import resumed_device
from tests.fit.synthetic import synthetic_capture

CAPTURE = synthetic_capture(views=4, size=400)
GPU_MACHINE = Machine(cores=16, memory_gib=100.0, device="cuda:0", gpu_memory_gib=80.0)
SMALL_GPU = Machine(cores=4, memory_gib=16.0, device="cuda:1", gpu_memory_gib=3.0)
PRESETS: tuple[Preset, ...] = ("preview", "default", "quality")
BOTH = CudaFacts(True, "NVIDIA H100", "", "2.9.0+cu128", "12.8", 2, seen=True)
NEITHER = CudaFacts(False, "", "built without CUDA", "2.9.0+cpu", None, 0, seen=False)


def plan(machine: Machine = GPU_MACHINE, **options: Any) -> Plan:
    return plan_fit(FitOptions(**options), CAPTURE, machine, resident_gib=0.5)[0]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_gpu_does_more_of_everything(preset: Preset) -> None:
    cpu, gpu = plan(Machine(2, 100.0), preset=preset), plan(preset=preset)
    assert gpu.iterations >= cpu.iterations and gpu.budget >= cpu.budget
    assert long_side(preset, GPU_MACHINE) >= long_side(preset, Machine(2, 100.0))
    assert (cpu.device, gpu.device) == ("cpu", "cuda:0")


def test_presets_rise_on_a_gpu() -> None:
    plans = [plan(preset=preset) for preset in PRESETS]
    assert [p.iterations for p in plans] == sorted({p.iterations for p in plans})
    assert [p.budget for p in plans] == sorted({p.budget for p in plans})


def test_photos_are_planned_for_both_memories() -> None:
    made = plan()
    pixels = 4 * 400 * 400
    assert made.device_photo_bytes >= 3 * pixels and made.photo_bytes >= 3 * pixels
    assert plan(Machine(2, 8.0)).device_photo_bytes == 0


def test_a_million_gaussians_fit_into_a_small_gpu_and_three_do_not() -> None:
    assert plan(SMALL_GPU, budget=500_000).budget == 500_000
    made, notes = plan_fit(FitOptions(budget=3_000_000), CAPTURE, SMALL_GPU, 0.5)
    assert 300_000 < made.budget < 3_000_000 and made.budget * gpu_bytes_per_gaussian(3) < 0.85 * 3 * GIB
    assert len(notes) == 1 and "GiB of GPU memory" in notes[0]


def test_max_memory_means_the_gpu() -> None:
    made = plan(budget=3_000_000, max_memory=2.0)
    assert made.budget < 1_000_000


def test_state_and_pairs_are_counted() -> None:
    """Parameters, moments and their copies while growing are 12 bytes a float twice over at the least."""
    assert gpu_bytes_per_gaussian(3) > 2 * 12 * 59 + 64 + 5 * (20 + 48 + 64)
    assert gpu_bytes_per_gaussian(0) < gpu_bytes_per_gaussian(3) < 3 * bytes_per_gaussian(3)


def test_words_are_those_of_the_gpu() -> None:
    with pytest.raises(SplatError, match="0.01 GiB of GPU memory.*85% of what is free.*--device cpu"):
        plan_memory(1000, 3000, 10**6, 0, 0.01, 0.0, GPU)
    many = plan_memory(1000, 3000, 1000, 2 * int(GIB), 1.0, 0.0, GPU)
    assert many.note is not None and "uploaded many times" in many.note


@pytest.mark.parametrize(
    ("asked", "begun", "facts", "device", "noted"),
    [
        ("auto", "cpu", BOTH, "cpu", False),
        ("auto", "cuda:1", BOTH, "cuda:1", False),
        ("cuda", "cuda:1", BOTH, "cuda:0", False),
        ("cuda", "cpu", BOTH, "cuda:0", True),
        ("cpu", "cuda:0", NEITHER, "cpu", True),
    ],
)
def test_resumed_run_stays_on_its_device_unless_told(
    asked: str, begun: str, facts: CudaFacts, device: str, noted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "look", lambda: facts)
    begun_plan = plan(Machine(2, 8.0, begun, 8.0 if begun != "cpu" else 0.0))
    choice = resumed_device(FitOptions(device=asked), begun_plan)
    assert choice.device == torch.device(device) and (choice.note is not None) == noted


def test_run_of_a_gpu_is_not_quietly_gone_on_with_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "look", lambda: NEITHER)
    with pytest.raises(SplatError, match="begun on cuda:0.*no NVIDIA GPU.*--device cpu"):
        resumed_device(FitOptions(), plan())


def test_device_option_is_checked_at_once() -> None:
    with pytest.raises(SplatError, match="--device is 'gpu'"):
        FitOptions(device="gpu")
