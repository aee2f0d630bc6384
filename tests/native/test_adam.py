"""The native Adam step: every instruction set against the PyTorch formulas."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from splat import native_core
from tests.native.adam_steps import random, reference

native = native_core.load()
CONSTANTS = (0.9, 0.999, 1e-15)


@pytest.fixture(params=native.build_info()["supported_isas"])
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set this machine runs, in use during the test."""
    before = native.build_info()["isa"]
    assert native.set_isa(request.param)
    yield request.param
    native.set_isa(before)


@pytest.mark.parametrize("size", [0, 1, 3, 16, 1001, 70001])
def test_flat(isa: str, size: int) -> None:
    value, m, v = random(size), torch.zeros(size), torch.zeros(size)
    grads = [random(size, seed=seed) for seed in range(1, 6)]
    expected, state = reference(value, grads, 0.01)
    for step, grad in enumerate(grads, 1):
        before = grad.clone()
        native.adam(value, grad, m, v, 0.01, *CONSTANTS, step)
        assert torch.equal(grad, before)
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(m.double(), state.exp_avg, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(v.double(), state.exp_avg_sq, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("shape", [(7, 1), (13, 3), (50, 12), (701, 48), (5, 1024), (900, 75)])
def test_a_rate_per_column(isa: str, shape: tuple[int, int]) -> None:
    value, m, v = random(*shape), torch.zeros(shape), torch.zeros(shape)
    rates = torch.linspace(0.0, 0.05, shape[1])
    grads = [random(*shape, seed=seed) for seed in range(1, 4)]
    expected, _ = reference(value, grads, rates.double())
    for step, grad in enumerate(grads, 1):
        native.adam_rows(value, grad, m, v, rates, *CONSTANTS, step)
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)


def test_gradient_is_zeroed_in_the_same_pass(isa: str) -> None:
    arrays = [random(1003, seed=seed) for seed in range(2)] + [torch.zeros(1003), torch.zeros(1003)]
    plain = [array.clone() for array in arrays]
    native.adam(*plain, 0.01, *CONSTANTS, 1)
    native.adam(*arrays, 0.01, *CONSTANTS, 1, zero_grad=True)
    assert not arrays[1].any()
    for i in (0, 2, 3):
        assert torch.equal(arrays[i], plain[i])


def test_a_zero_gradient_moves_nothing(isa: str) -> None:
    value = random(100)
    before = value.clone()
    native.adam(value, torch.zeros(100), torch.zeros(100), torch.zeros(100), 0.01, *CONSTANTS, 1)
    assert torch.equal(value, before)


def test_nan_stays_in_its_element(isa: str) -> None:
    value, grad = random(100), random(100, seed=1)
    grad[37] = float("nan")
    native.adam(value, grad, torch.zeros(100), torch.zeros(100), 0.01, *CONSTANTS, 1)
    assert torch.isnan(value).nonzero().flatten().tolist() == [37]


def test_same_bits_for_any_number_of_threads(isa: str) -> None:
    before = native.build_info()["threads"]
    results = []
    for threads in (1, 2, 4):
        native.set_threads(threads)
        value, m, v = random(3001, 48), torch.zeros(3001, 48), torch.zeros(3001, 48)
        native.adam_rows(value, random(3001, 48, seed=1), m, v, torch.linspace(0, 1, 48), *CONSTANTS, 3)
        results.append(value)
    native.set_threads(before)
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


def test_bad_arguments_are_named() -> None:
    four = [torch.zeros(6) for _ in range(4)]
    with pytest.raises(ValueError, match=r"exp_avg has shape \[5\]"):
        native.adam(four[0], four[1], torch.zeros(5), four[3], 0.1, *CONSTANTS, 1)
    with pytest.raises(ValueError, match="step counts from 1"):
        native.adam(*four, 0.1, *CONSTANTS, 0)
    with pytest.raises(ValueError, match="betas"):
        native.adam(*four, 0.1, 1.0, 0.999, 1e-15, 1)
    rows = [torch.zeros(6, 4) for _ in range(4)]
    with pytest.raises(ValueError, match=r"lrs has shape \[3\]"):
        native.adam_rows(*rows, torch.zeros(3), *CONSTANTS, 1)
    with pytest.raises(TypeError):
        native.adam(*(array.double() for array in four), 0.1, *CONSTANTS, 1)
