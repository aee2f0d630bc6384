"""The native Adam step: every instruction set against the PyTorch formulas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from splat import native_core
from tests.native.adam_steps import random, reference

native = native_core.load()
CONSTANTS = (0.9, 0.999, 1e-15)


def flat_step(*tensors: Tensor, rate: float = 0.01, number: int = 1, **options: bool) -> None:
    native.adam([(*tensors, [rate], number)], *CONSTANTS, **options)


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
        flat_step(value, grad, m, v, number=step)
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
        native.adam([(value, grad, m, v, rates.tolist(), step)], *CONSTANTS)
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)


def test_gradient_is_zeroed_in_the_same_pass(isa: str) -> None:
    arrays = [random(1003, seed=seed) for seed in range(2)] + [torch.zeros(1003), torch.zeros(1003)]
    plain = [array.clone() for array in arrays]
    flat_step(*plain)
    flat_step(*arrays, zero_grad=True)
    assert not arrays[1].any()
    for i in (0, 2, 3):
        assert torch.equal(arrays[i], plain[i])


def test_a_zero_gradient_moves_nothing(isa: str) -> None:
    value = random(100)
    before = value.clone()
    flat_step(value, torch.zeros(100), torch.zeros(100), torch.zeros(100))
    assert torch.equal(value, before)


def test_nan_stays_in_its_element(isa: str) -> None:
    value, grad = random(100), random(100, seed=1)
    grad[37] = float("nan")
    flat_step(value, grad, torch.zeros(100), torch.zeros(100))
    assert torch.isnan(value).nonzero().flatten().tolist() == [37]


def test_same_bits_for_any_number_of_threads(isa: str) -> None:
    before = native.build_info()["threads"]
    results = []
    for threads in (1, 2, 4):
        native.set_threads(threads)
        value, m, v = random(3001, 48), torch.zeros(3001, 48), torch.zeros(3001, 48)
        part = (value, random(3001, 48, seed=1), m, v, torch.linspace(0, 1, 48).tolist(), 3)
        native.adam([part], *CONSTANTS)
        results.append(value)
    native.set_threads(before)
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


def test_tensors_together_as_one_by_one(isa: str) -> None:
    """Of any shape, with rates and numbers of steps of their own; an empty one between them."""

    def parts() -> list[tuple[Any, ...]]:
        shapes: list[tuple[int, ...]] = [(9000,), (4001, 3), (0, 3), (300, 16, 3), (1,)]
        some = [
            tuple(random(*shape, seed=7 * k + i).abs() for i in range(4)) for k, shape in enumerate(shapes)
        ]
        rates = [[0.1], [0.1, 0.2, 0.3], [0.2], torch.linspace(0, 1, 48).tolist(), [0.4]]
        return [(*tensors, rate, 3 + k) for k, (tensors, rate) in enumerate(zip(some, rates, strict=True))]

    together, single, before = parts(), parts(), parts()
    native.adam(together, *CONSTANTS)
    for part in single:
        native.adam([part], *CONSTANTS)
    for a, b, old in zip(together, single, before, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a[:4], b[:4], strict=True))
        assert a[0].numel() == 0 or not torch.equal(a[0], old[0])


def test_bad_arguments_are_named() -> None:
    four = [torch.zeros(6) for _ in range(4)]
    with pytest.raises(ValueError, match=r"exp_avg has shape \[5\]"):
        flat_step(four[0], four[1], torch.zeros(5), four[3])
    with pytest.raises(ValueError, match=r"grad has shape \[6, 1\]"):
        flat_step(four[0], torch.zeros(6, 1), *four[2:])
    with pytest.raises(ValueError, match="step counts from 1"):
        flat_step(*four, number=0)
    with pytest.raises(ValueError, match="betas"):
        native.adam([(*four, [0.1], 1)], 1.0, 0.999, 1e-15)
    rows = [torch.zeros(6, 4) for _ in range(4)]
    for count in (0, 3, 1025):
        with pytest.raises(ValueError, match=rf"{count} rates for a parameter of shape \[6, 4\]"):
            native.adam([(*rows, [0.1] * count, 1)], *CONSTANTS)
    with pytest.raises(TypeError):
        flat_step(*(array.double() for array in four))
