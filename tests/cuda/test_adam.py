"""Adam of the CUDA driver, emulated, against the PyTorch formulas."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from splat.fit.adam import Adam
from tests.cuda.emulated import EmulatedCore
from tests.native.adam_steps import random, reference

CONSTANTS = (0.9, 0.999, 1e-15)


@pytest.fixture
def work(emulated: Any) -> Any:
    return emulated.cuda.Work(lambda size: torch.empty(size, dtype=torch.uint8))


def step(work: Any, tensors: list[Tensor], rates: list[float], number: int, zero_grad: bool = False) -> None:
    """One step on (value, gradient, moments)."""
    rows = [tensor[:, None] if tensor.ndim == 1 else tensor for tensor in tensors]
    work.adam(0, [(*rows, rates, number)], *CONSTANTS, zero_grad)


def zeros_like(value: Tensor) -> tuple[Tensor, Tensor]:
    return torch.zeros_like(value), torch.zeros_like(value)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 1001, 2048, 2049, 6150])
def test_flat(work: Any, size: int) -> None:
    """About the sizes at which a float4 or a block is full."""
    value = random(size)
    m, v = zeros_like(value)
    grads = [random(size, seed=seed) for seed in range(1, 6)]
    expected, state = reference(value, grads, 0.01)
    for number, grad in enumerate(grads, 1):
        before = grad.clone()
        step(work, [value, grad, m, v], [0.01], number)
        assert torch.equal(grad, before)
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(m.double(), state.exp_avg, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(v.double(), state.exp_avg_sq, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize(
    "shape",
    [(7, 1), (1100, 3), (600, 4), (50, 12), (90, 27), (101, 48), (70, 64), (9, 65), (40, 75), (3, 1024)],
)
def test_a_rate_per_column(work: Any, shape: tuple[int, int]) -> None:
    value = random(*shape)
    m, v = zeros_like(value)
    rates = torch.linspace(0.0, 0.05, shape[1])
    grads = [random(*shape, seed=seed) for seed in range(1, 4)]
    expected, _ = reference(value, grads, rates.double())
    for number, grad in enumerate(grads, 1):
        step(work, [value, grad, m, v], rates.tolist(), number)
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(2503, 1), (40, 75)])
def test_gradient_is_zeroed_in_the_same_pass(work: Any, shape: tuple[int, int]) -> None:
    arrays = [random(*shape, seed=seed) for seed in range(2)] + [torch.zeros(shape), torch.zeros(shape)]
    plain, rates = [array.clone() for array in arrays], [0.01] * shape[1]
    step(work, plain, rates, 1)
    step(work, arrays, rates, 1, zero_grad=True)
    assert not arrays[1].any()
    for i in (0, 2, 3):
        assert torch.equal(arrays[i], plain[i])


@pytest.mark.parametrize("which", range(4))
def test_arrays_that_are_not_aligned(work: Any, which: int) -> None:
    """A slice that begins in the middle of 16 bytes gives the same bits."""
    arrays = [random(3000), random(3000, seed=1), torch.zeros(3000), torch.zeros(3000)]
    moved = [array.clone() for array in arrays]
    room = torch.full((3002,), 5.0)
    room[1:3001] = moved[which]
    moved[which] = room[1:3001]
    assert moved[which].data_ptr() % 16
    for given in (arrays, moved):
        step(work, given, [0.01], 1)
    for a, b in zip(arrays, moved, strict=True):
        assert torch.equal(a, b)
    assert room[0] == 5.0 and room[3001] == 5.0


def test_a_zero_gradient_moves_nothing(work: Any) -> None:
    value = random(100)
    before = value.clone()
    step(work, [value, torch.zeros(100), torch.zeros(100), torch.zeros(100)], [0.01], 1)
    assert torch.equal(value, before)


def test_nan_stays_in_its_element(work: Any) -> None:
    value, grad = random(100), random(100, seed=1)
    grad[37] = float("nan")
    step(work, [value, grad, torch.zeros(100), torch.zeros(100)], [0.01], 1)
    assert torch.isnan(value).nonzero().flatten().tolist() == [37]


def test_many_tensors_at_once_are_those_one_by_one(work: Any) -> None:
    """More than one launch takes, of all sizes, each with its own rates and number of the step."""
    shapes = [(37, 3), (37, 4), (0, 3), (2503, 1), (11, 65), (40, 75), *[(5 + k, 2) for k in range(7)]]
    parts = []
    for k, shape in enumerate(shapes):
        arrays = [random(*shape, seed=3 * k), random(*shape, seed=3 * k + 1), *zeros_like(torch.zeros(shape))]
        rates = torch.linspace(0.001, 0.02, shape[1]).tolist() if k % 2 else [0.01]
        parts.append((*arrays, rates, k + 1))
    alone = [(*(array.clone() for array in part[:4]), *part[4:]) for part in parts]
    work.adam(0, parts, *CONSTANTS)
    for part, one in zip(parts, alone, strict=True):
        work.adam(0, [one], *CONSTANTS)
        for a, b in zip(part[:4], one[:4], strict=True):
            assert torch.equal(a, b)


def test_the_trainers_optimiser(emulated_backend: EmulatedCore) -> None:
    """A whole scene's tensors, as the trainer steps them."""
    shapes = {"means": (37, 3), "logit_opacities": (37,), "sh": (37, 16, 3)}
    values = {name: random(*shape, seed=k) for k, (name, shape) in enumerate(shapes.items())}
    grads = {name: random(*shape, seed=9 + k) for k, (name, shape) in enumerate(shapes.items())}
    rates = {"means": 1e-2, "logit_opacities": 0.05, "sh0": 2.5e-3, "sh_rest": 1e-4}
    columns = torch.full((16, 3), 1e-4, dtype=torch.float64)
    columns[0] = 2.5e-3
    want = {n: reference(v, [grads[n]], columns if n == "sh" else rates[n])[0] for n, v in values.items()}
    Adam(values, rates).step(dict(grads))
    for name, value in values.items():
        torch.testing.assert_close(value.double(), want[name], rtol=1e-6, atol=1e-7)
