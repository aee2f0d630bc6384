"""Adam: against torch.optim.Adam, and the row operations of densification."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from splat.errors import SplatError
from splat.fit.adam import Adam, Moments, adam_reference
from splat.fit.engine import PlainAdam

RATES = {"means": 1e-2, "quats": 1e-3, "logit_opacities": 0.05, "sh0": 2.5e-3, "sh_rest": 1.25e-4}


def scene(count: int = 37) -> dict[str, Tensor]:
    """Some of a scene's tensors."""
    random = torch.Generator().manual_seed(4)
    shapes = {"means": (count, 3), "quats": (count, 4), "logit_opacities": (count,), "sh": (count, 16, 3)}
    return {name: torch.randn(shape, generator=random) for name, shape in shapes.items()}


def gradients(parameters: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Gradients of very different sizes, some exactly zero."""
    random = torch.Generator().manual_seed(seed)
    grads = {}
    for name, value in parameters.items():
        grad = torch.randn(value.shape, generator=random)
        grads[name] = grad * torch.exp(4 * torch.randn(value.shape, generator=random)) * (grad > -1)
    return grads


def torch_groups(parameters: dict[str, Tensor]) -> tuple[torch.optim.Adam, dict[str, Tensor]]:
    """torch's Adam over copies, with "sh" cut in its two groups."""
    copies = {name: value.clone() for name, value in parameters.items() if name != "sh"}
    copies["sh0"], copies["sh_rest"] = parameters["sh"][:, :1].clone(), parameters["sh"][:, 1:].clone()
    groups = [{"params": [value], "lr": RATES[name]} for name, value in copies.items()]
    return torch.optim.Adam(groups, betas=(0.9, 0.999), eps=1e-15), copies


def test_steps_are_those_of_torch() -> None:
    parameters = scene()
    adam = Adam(parameters, RATES)
    theirs, copies = torch_groups(parameters)
    for seed in range(12):
        grads = gradients(parameters, seed)
        adam.step(grads)
        for name, value in copies.items():
            value.grad = {"sh0": grads["sh"][:, :1], "sh_rest": grads["sh"][:, 1:]}.get(name, grads.get(name))
        theirs.step()
    for name in ("means", "quats", "logit_opacities"):
        torch.testing.assert_close(parameters[name], copies[name], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(parameters["sh"][:, :1], copies["sh0"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(parameters["sh"][:, 1:], copies["sh_rest"], rtol=1e-5, atol=1e-6)


def test_colours_without_gradient_stay() -> None:
    """With their moments; all other tensors take the step everywhere."""
    parameters = scene()
    adam, other = PlainAdam(parameters, RATES), PlainAdam(scene(), RATES)
    adam.step(gradients(parameters, 1)), other.step(gradients(parameters, 1))
    before = {name: value.clone() for name, value in parameters.items()}
    moments = adam.moments["sh"].exp_avg.clone(), adam.moments["sh"].exp_avg_sq.clone()
    grads = gradients(parameters, 2)
    unseen = torch.arange(37) % 3 == 0
    for value in grads.values():
        value[unseen] = 0
    adam.step(grads)
    now = adam.moments["sh"].exp_avg, adam.moments["sh"].exp_avg_sq
    for old, new in zip((before["sh"], *moments), (parameters["sh"], *now), strict=True):
        assert torch.equal(new[unseen], old[unseen])
        assert (new[~unseen] != old[~unseen]).flatten(1).any(1).all()
    assert (parameters["means"] != before["means"])[unseen].float().mean() > 0.7  # most had one before
    other.step({**grads, "sh": torch.where(unseen[:, None, None], 1e-30, grads["sh"])})
    torch.testing.assert_close(parameters["sh"][~unseen], other.parameters["sh"][~unseen])


def test_rates_of_any_kind_of_number() -> None:
    for rate in (1, torch.tensor(0.5)):
        value = torch.ones(4)
        Adam({"means": value}, {"means": rate}).step({"means": torch.ones(4)})  # type: ignore[dict-item]
        torch.testing.assert_close(value, torch.ones(4) - float(rate))


def test_reference_is_torchs() -> None:
    value = torch.randn(50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    copy = value.clone()
    theirs = torch.optim.Adam([copy], lr=0.03, eps=1e-15)
    state = Moments(torch.zeros_like(value), torch.zeros_like(value))
    for seed in range(5):
        copy.grad = torch.randn(50, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + 1))
        adam_reference(value, copy.grad, state, 0.03)
        theirs.step()
    torch.testing.assert_close(value, copy, rtol=1e-12, atol=1e-14)


def test_a_tensor_without_gradient_stays() -> None:
    parameters = scene()
    before = {name: value.clone() for name, value in parameters.items()}
    adam = Adam(parameters, RATES)
    adam.step({"means": gradients(parameters, 0)["means"], "quats": None})
    assert not torch.equal(parameters["means"], before["means"])
    assert torch.equal(parameters["quats"], before["quats"]) and torch.equal(parameters["sh"], before["sh"])
    assert adam.moments["quats"].step == 0 and adam.moments["means"].step == 1


def test_rates_can_change() -> None:
    parameters = scene()
    adam = Adam(parameters, RATES)
    adam.rates.update(dict.fromkeys(RATES, 0.0))
    before = parameters["sh"].clone()
    adam.step(gradients(parameters, 0))
    assert torch.equal(parameters["sh"], before)


def test_rows_kept_and_appended_carry_their_moments() -> None:
    parameters = scene()
    adam = Adam(parameters, RATES)
    adam.step(gradients(parameters, 0))
    old = {name: (state.exp_avg.clone(), state.exp_avg_sq.clone()) for name, state in adam.moments.items()}
    index = torch.tensor([5, 0, 36, 7])
    adam.keep(index)
    adam.append(2)
    for name, state in adam.moments.items():
        for ours, before in zip((state.exp_avg, state.exp_avg_sq), old[name], strict=True):
            assert torch.equal(ours[:4], before[index])
            assert ours.shape[0] == 6 and not ours[4:].any()
    adam.bind({name: torch.cat([value[index], value[:2]]) for name, value in parameters.items()})
    adam.step(gradients(adam.parameters, 1))


def test_keep_takes_a_mask() -> None:
    parameters = scene()
    adam = Adam(parameters, RATES)
    adam.step(gradients(parameters, 0))
    mask = torch.arange(37) % 3 == 0
    expected = adam.moments["sh"].exp_avg[mask].clone()
    adam.keep(mask)
    assert torch.equal(adam.moments["sh"].exp_avg, expected)


def test_zeroed_rows() -> None:
    parameters = scene()
    adam = Adam(parameters, RATES)
    adam.step(gradients(parameters, 0))
    adam.zero_rows(torch.tensor([3, 4]), ("means",))
    assert not adam.moments["means"].exp_avg[3:5].any() and not adam.moments["means"].exp_avg_sq[3:5].any()
    assert adam.moments["means"].exp_avg[5].any() and adam.moments["sh"].exp_avg_sq[3].any()
    adam.zero_rows(torch.arange(37) < 5)
    assert not adam.moments["sh"].exp_avg_sq[:5].any()


def test_resumed_steps_are_bit_identical() -> None:
    first = scene()
    adam = Adam(first, RATES)
    adam.step(gradients(first, 0))
    state = {
        key: value.clone() if isinstance(value, Tensor) else value for key, value in adam.state_dict().items()
    }
    second = {name: value.clone() for name, value in first.items()}
    resumed = Adam(second, dict.fromkeys(RATES, 9.0))
    resumed.load_state_dict(state)
    for seed in (1, 2):
        adam.step(gradients(first, seed))
        resumed.step(gradients(second, seed))
    for name in first:
        assert torch.equal(first[name], second[name])


def test_bad_state_is_named() -> None:
    parameters = scene()
    state = Adam(parameters, RATES).state_dict()
    with pytest.raises(SplatError, match=r"quats\.exp_avg_sq"):
        Adam(parameters, RATES).load_state_dict({k: v for k, v in state.items() if k != "quats.exp_avg_sq"})
    with pytest.raises(SplatError, match=r"means\.exp_avg"):
        Adam(parameters, RATES).load_state_dict({**state, "means.exp_avg": torch.zeros(2, 3)})


def test_bad_parameters_are_named() -> None:
    parameters = scene()
    with pytest.raises(SplatError, match="sh_rest"):
        Adam(parameters, {key: rate for key, rate in RATES.items() if key != "sh_rest"})
    adam = Adam(parameters, RATES)
    with pytest.raises(SplatError, match="means"):
        adam.bind({**parameters, "means": torch.zeros(4, 3)})
    with pytest.raises(SplatError, match="float64"):
        adam.bind({**parameters, "quats": parameters["quats"].double()})
    with pytest.raises(SplatError, match=r"\(5, 3\)"):
        adam.step({"means": torch.zeros(5, 3)})


def test_sh_steps_with_the_sum_of_several_gradients() -> None:
    make = torch.Generator().manual_seed(4)
    start = {"means": torch.randn(7, 3, generator=make), "sh": torch.randn(7, 4, 3, generator=make)}
    rates = {"means": 0.1, "sh0": 0.01, "sh_rest": 0.002}
    adam = Adam({name: value.clone() for name, value in start.items()}, rates, sh_every=3)
    plain = Adam({name: value.clone() for name, value in start.items()}, rates)
    gradients = [torch.randn(7, 4, 3, generator=make) for _ in range(6)]
    for number, gradient in enumerate(gradients):
        before = adam.parameters["sh"].clone()
        adam.step({"means": torch.ones(7, 3), "sh": gradient})
        moved = not torch.equal(before, adam.parameters["sh"])
        assert moved == (number in (2, 5))
        plain.step({"means": torch.ones(7, 3)})
    for first in (0, 3):
        plain.step({"sh": gradients[first] + gradients[first + 1] + gradients[first + 2]})
    torch.testing.assert_close(adam.parameters["sh"], plain.parameters["sh"])
    assert torch.equal(adam.parameters["means"], plain.parameters["means"])
    assert adam.moments["sh"].step == 2


def test_gradients_that_wait_follow_their_rows_and_are_saved() -> None:
    parameters = {"means": torch.zeros(3, 3), "sh": torch.zeros(3, 1, 3)}
    rates = {"means": 0.1, "sh0": 0.01, "sh_rest": 0.002}
    adam = Adam(parameters, rates, sh_every=4)
    adam.step({"sh": torch.arange(9.0).view(3, 1, 3)})
    adam.keep(torch.tensor([2, 0]))
    adam.append(1)
    waiting = adam.moments["sh"].waiting
    assert waiting is not None and waiting[:, 0, 0].tolist() == [6.0, 0.0, 0.0]
    other = Adam({name: value.clone() for name, value in parameters.items()}, rates, sh_every=4)
    other.load_state_dict(adam.state_dict())
    assert other.moments["sh"].waited == 1
    assert other.moments["sh"].waiting is not None and torch.equal(other.moments["sh"].waiting, waiting)
    adam.zero_rows(torch.tensor([0]))
    assert waiting[0].abs().max() == 0
