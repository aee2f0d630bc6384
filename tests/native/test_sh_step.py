"""Adam on the SH coefficients inside the backward pass: the bits of the gradient followed by the step.

Of splats that the image does not show, and in columns beyond the degree, all stays as it is.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from splat import native_core
from tests.native.poisoned import NAN, Case, plain, render

if not native_core.available():
    pytest.skip("the native core is not built", allow_module_level=True)

ISAS = native_core.build_info()["supported_isas"]
BETAS = (0.9, 0.999)


def _case(stored: int, used: int) -> Case:
    case = plain(300, 50, 37, degree=stored, seed=3)
    case.degree, case.geometry = used, False
    case.scene.means[::7, 2] -= 9  # not seen
    return case


def _added(case: Case, state: list[Tensor], fused: bool) -> list[Tensor]:
    """sh and its moments after three backward passes and one step with all their gradients."""
    native, rates = native_core.load(), [2.5e-3] * 3 + [1.25e-4] * (state[0].shape[1] * 3 - 3)
    sh, first, second = (t.clone() for t in state)
    case.scene.sh, total = sh, torch.zeros_like(sh)
    result = render(case, NAN)
    image = result.images["color"]
    for seed in range(3):
        incoming = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
        into = {name: torch.full_like(t, NAN) for name, t in case.scene.parameters().items()}
        step = native.ShStep(sh, first, second, rates, *BETAS, 1e-15, 7, total, seed == 2) if fused else None
        result.frame.backward(
            *case.arrays(), image, result.images["alpha"], None, None, incoming, None, None, None, None,
            into["means"], into["quats"], into["log_scales"], into["logit_opacities"],
            None if fused else into["sh"], None, torch.zeros(len(case.scene), 4), None, step,
        )  # fmt: skip
        if not fused:
            total += into["sh"]
        elif seed < 2:
            assert total.any() and torch.equal(sh, state[0]) and torch.equal(second, state[2])
    if not fused:
        native.adam([(sh, total, first, second, rates, 7)], *BETAS, 1e-15)
        total.zero_()
    return [sh, first, second, total]


def _backward(case: Case, state: list[Tensor], fused: bool) -> list[Tensor]:
    """sh, its moments and the gradient of the means after one backward pass and one step."""
    native, rates = native_core.load(), [2.5e-3] * 3 + [1.25e-4] * (state[0].shape[1] * 3 - 3)
    sh, first, second = (t.clone() for t in state)
    case.scene.sh = sh
    result = render(case, NAN)
    image = result.images["color"]
    incoming = torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    into = {name: torch.full_like(t, NAN) for name, t in case.scene.parameters().items()}
    step = native.ShStep(sh, first, second, rates, *BETAS, 1e-15, 7) if fused else None
    result.frame.backward(
        *case.arrays(), image, result.images["alpha"], None, None, incoming, None, None, None, None,
        into["means"], into["quats"], into["log_scales"], into["logit_opacities"],
        None if fused else into["sh"], None, torch.zeros(len(case.scene), 4), None, step,
    )  # fmt: skip
    if not fused:
        shown = (into["sh"] != 0).any((1, 2))
        assert 100 < shown.sum() < 250 and ((result.radii > 0) & ~shown).any(), "seen, but hidden"
        stepped = [t.clone() for t in (sh, first, second)]
        native.adam([(stepped[0], into["sh"], *stepped[1:], rates, 7)], *BETAS, 1e-15)
        used = (case.degree + 1) ** 2
        for t, new in zip((sh, first, second), stepped, strict=True):
            t[shown, :used] = new[shown, :used]
    return [sh, first, second, into["means"]]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("stored", "used"), [(3, 3), (3, 1), (3, 0), (2, 2), (1, 1), (0, 0)])
def test_same_bits(isa: str, stored: int, used: int) -> None:
    native_core.load().set_isa(isa)
    try:
        case = _case(stored, used)
        sh = case.scene.sh
        state = [sh.clone(), 1e-3 * torch.rand_like(sh), 1e-5 * torch.rand_like(sh)]
        apart, fused = (_backward(case, state, both) for both in (False, True))
        assert not torch.equal(fused[0], state[0])
        for a, b in zip(apart, fused, strict=True):
            assert torch.equal(a, b)
    finally:
        native_core.load().set_isa(ISAS[0])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("stored", "used"), [(3, 3), (3, 1), (2, 2), (0, 0)])
def test_gradients_add_up_until_the_step_is_due(isa: str, stored: int, used: int) -> None:
    native_core.load().set_isa(isa)
    try:
        case = _case(stored, used)
        sh = case.scene.sh
        state = [sh.clone(), 1e-3 * torch.rand_like(sh), 1e-5 * torch.rand_like(sh)]
        for a, b in zip(_added(case, state, False), _added(case, state, True), strict=True):
            assert torch.equal(a, b)
    finally:
        native_core.load().set_isa(ISAS[0])


def test_a_step_on_another_tensor_is_refused() -> None:
    case = _case(1, 1)
    result = render(case, NAN)
    other = case.scene.sh.clone()
    step = native_core.load().ShStep(other, other.clone(), other.clone(), [1e-3] * 12, *BETAS, 1e-15, 1)
    into = [torch.zeros_like(t) for t in list(case.scene.parameters().values())[:4]]
    with pytest.raises(ValueError, match="sh_step is not of this sh"):
        result.frame.backward(
            *case.arrays(), *(result.images.get(k) for k in ("color", "alpha", "depth_sum", "normals")),
            None, None, None, None, None, *into, None, None, torch.zeros(len(case.scene), 4), None, step,
        )  # fmt: skip
