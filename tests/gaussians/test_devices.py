"""What --device means in every state that a machine can be in."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from splat import devices
from splat.devices import CudaFacts, choose_device, look, obstacle
from splat.errors import SplatError
from tests.rasterize.scenes import random_scene

GOOD = CudaFacts(True, "NVIDIA H100 (compute 9.0, 79.1 GiB)", "", "2.9.0+cu128", "12.8", 2, seen=True)
NOTHING = CudaFacts(False, "", "built without CUDA", "2.9.0+cpu", None, 0, seen=False)
CPU_TORCH = replace(GOOD, torch="2.9.0+cpu", torch_cuda=None, torch_devices=0)


@pytest.mark.parametrize(
    ("asked", "facts", "device"),
    [
        ("auto", GOOD, "cuda:0"),
        ("cuda", GOOD, "cuda:0"),
        ("cuda:1", GOOD, "cuda:1"),
        ("cpu", GOOD, "cpu"),
        ("auto", NOTHING, "cpu"),
        ("auto", CPU_TORCH, "cpu"),
        ("cpu", CPU_TORCH, "cpu"),
    ],
)
def test_choice(asked: str, facts: CudaFacts, device: str) -> None:
    choice = choose_device(asked, facts)
    assert choice.device == torch.device(device)
    assert (choice.note is not None) == (asked == "auto" and facts is CPU_TORCH)


def test_idle_gpu_is_not_passed_over_in_silence() -> None:
    note = choose_device("auto", CPU_TORCH).note
    assert note is not None and "2.9.0+cpu is built without CUDA" in note and "pytorch.org" in note


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (NOTHING, "no NVIDIA GPU was found"),
        (CPU_TORCH, "torch 2.9.0.cpu is built without CUDA.*Install a CUDA build of torch"),
        (replace(GOOD, compiled=False, device="", reason="no nvcc"), "no CUDA in it.*no nvcc.*SPLAT_CUDA=1"),
        (replace(GOOD, device="", reason="driver too old"), "finds no CUDA device.*driver too old"),
        (replace(GOOD, torch_devices=0), "cannot use the GPU.*Update the NVIDIA driver"),
    ],
)
def test_cuda_that_cannot_be_used_says_what_is_missing(facts: CudaFacts, message: str) -> None:
    with pytest.raises(SplatError, match=f"--device is cuda.*{message}"):
        choose_device("cuda", facts)


def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(SplatError, match="--device is cuda:2.*2 GPU.*cuda:0 to cuda:1"):
        choose_device("cuda:2", GOOD)


@pytest.mark.parametrize("asked", ["gpu", "cuda:", "cuda:-1", "CUDA", "", "cuda:0 ", "mps"])
def test_other_names_are_refused(asked: str) -> None:
    with pytest.raises(SplatError, match="--device is.*auto, cpu, cuda"):
        choose_device(asked, GOOD)


def test_rocm_build_of_torch_is_no_cuda() -> None:
    facts = replace(GOOD, torch="2.9.0+rocm6.4", torch_cuda=None, torch_devices=1)
    problem = obstacle(facts)
    assert problem is not None and "rocm" in problem.what


def test_looking_works_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = look()
    assert facts.torch == torch.__version__ and facts.torch_cuda == torch.version.cuda
    monkeypatch.setattr(devices, "look", lambda: NOTHING)
    assert choose_device("auto").device.type == "cpu"


def test_scene_moves_whole() -> None:
    scene = random_scene(5, 1)
    moved = scene.to("meta")
    assert {t.device.type for t in moved.parameters().values()} == {"meta"} and len(moved) == 5
    assert scene.to("cpu").means is scene.means
