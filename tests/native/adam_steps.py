"""Numbers for the tests of Adam, and what several steps make of them."""

from __future__ import annotations

import torch
from torch import Tensor

from splat.fit.adam import Moments, adam_reference


def random(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers over several orders of magnitude."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator) * torch.exp(3 * torch.randn(shape, generator=generator))


def reference(value: Tensor, grads: list[Tensor], rates: float | Tensor) -> tuple[Tensor, Moments]:
    """The double-precision result of several steps."""
    value = value.double()
    state = Moments(torch.zeros_like(value), torch.zeros_like(value))
    for grad in grads:
        adam_reference(value, grad.double(), state, rates)
    return value, state
