"""The CUDA driver's Adam on SH inside the backward pass, emulated: the bits of gradient, then step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.cuda.test_gradients import USED, frame, misaligned
from tests.native.poisoned import NAN, Case, plain, render

__all__ = ["frame"]  # the fixture
BETAS, EPS = (0.9, 0.999), 1e-15


def case_of(stored: int, used: int) -> Case:
    case = plain(140, 40, 33, degree=stored, seed=3)
    case.degree, case.geometry = used, False
    case.scene.means[::7, 2] -= 9  # not seen
    case.scene.means[32:64, 2] -= 9
    return case


def state_of(case: Case) -> list[Tensor]:
    """sh and moments, some rows at rest."""
    sh = case.scene.sh
    state = [sh.clone(), 1e-3 * torch.rand_like(sh), 1e-5 * torch.rand_like(sh)]
    for t in state[1:]:
        t[:20] = 0
    return state


def rates_of(sh: Tensor) -> list[float]:
    return [2.5e-3] * 3 + [1.25e-4] * (sh.shape[1] * 3 - 3)


def backward(case: Case, frame: Any, sh: Tensor, step: Any, seed: int = 1) -> dict[str, Tensor]:
    """The gradients of a random loss; of sh only where no step is taken."""
    case.scene.sh = sh
    result = render(case, NAN, frame)
    image = result.images["color"]
    incoming = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    into = {name: torch.full_like(t, NAN) for name, t in case.scene.parameters().items()}
    result.frame.backward(
        *case.arrays(), image, result.images["alpha"], None, None, incoming, None, None, None, None,
        into["means"], into["quats"], into["log_scales"], into["logit_opacities"],
        None if step else into["sh"], None, torch.zeros(len(case.scene), 4), None, step,
    )  # fmt: skip
    return into


def step_apart(module: Any, state: list[Tensor], gradient: Tensor) -> None:
    work = module.cuda.Work(lambda size: torch.empty(size, dtype=torch.uint8))
    rows = [t.flatten(1) for t in (state[0], gradient, state[1], state[2])]
    work.adam(0, [(*rows, list(rates_of(state[0])), 7)], *BETAS, EPS)


def step_on_shown(module: Any, state: list[Tensor], gradient: Tensor, degree: int) -> None:
    """As ``step_apart``, on rows with a gradient and columns of the degree; the others stay."""
    stepped = [t.clone() for t in state]
    step_apart(module, stepped, gradient)
    shown, used = (gradient != 0).any((1, 2)), (degree + 1) ** 2
    assert 0 < shown.sum() < len(gradient)
    for t, new in zip(state, stepped, strict=True):
        t[shown, :used] = new[shown, :used]


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize(("stored", "used"), USED)
def test_same_bits(emulated: Any, frame: Any, stored: int, used: int, aligned: bool) -> None:
    case = case_of(stored, used)
    before = state_of(case)
    apart, fused = [t.clone() for t in before], [t.clone() if aligned else misaligned(t) for t in before]
    separate = backward(case, frame, apart[0], None)
    step_on_shown(emulated, apart, separate["sh"], used)
    step = emulated.cuda.ShStep(*fused, rates_of(fused[0]), *BETAS, EPS, 7)
    together = backward(case, frame, fused[0], step)
    assert torch.equal(separate["means"], together["means"])
    for a, b, old in zip(apart, fused, before, strict=True):
        assert torch.equal(a, b) and not torch.equal(b, old)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize(("stored", "used"), [(3, 3), (3, 1), (2, 2), (0, 0)])
def test_gradients_that_add_up(emulated: Any, frame: Any, stored: int, used: int, aligned: bool) -> None:
    """Three renders, one step: as the step with the sum of their gradients; then the sum is 0 again."""
    case = case_of(stored, used)
    before = state_of(case)
    apart, fused = [t.clone() for t in before], [t.clone() if aligned else misaligned(t) for t in before]
    total = torch.zeros_like(before[0])
    for seed in range(3):
        total = total + backward(case, frame, apart[0], None, seed)["sh"]
    step_apart(emulated, apart, total)
    sums = torch.zeros_like(total) if aligned else misaligned(torch.zeros_like(total))
    for seed in range(3):
        due = seed == 2
        step = emulated.cuda.ShStep(*fused, rates_of(fused[0]), *BETAS, EPS, 7, sums, due)
        backward(case, frame, fused[0], step, seed)
        if not due:
            assert sums.any() and all(torch.equal(a, b) for a, b in zip(fused, before, strict=True))
    assert not sums.any()
    for a, b in zip(apart, fused, strict=True):
        assert torch.equal(a, b)


def test_a_sum_of_another_shape_is_refused(emulated: Any) -> None:
    sh = torch.zeros(5, 4, 3)
    with pytest.raises(ValueError, match="same columns"):
        emulated.cuda.ShStep(
            sh, sh.clone(), sh.clone(), [1e-3] * 12, *BETAS, EPS, 1, torch.zeros(4, 4, 3), True
        )
