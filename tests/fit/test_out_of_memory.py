"""Running out of GPU memory, acted out on the processor: wherever it strikes, the scene stays whole."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from splat.errors import SplatError
from splat.fit import optimisation as module
from splat.fit import trainer
from splat.fit.engine import choose_engine
from splat.fit.machine import Machine
from splat.fit.optimisation import Optimisation
from splat.fit.options import FitOptions
from splat.fit.out_of_memory import ENOUGH, SETTLED, TRIES, MemoryGuard, NoRoom, OutOfMemory, with_room
from splat.fit.presets import plan_fit
from splat.fit.run import RunFolder
from splat.fit.trainer import fit
from splat.rasterize.direct import DirectPass
from tests.fit.synthetic import synthetic_capture

CAPTURE = synthetic_capture()
SAID = "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has"


def begun(**options: Any) -> Optimisation:
    """At iteration 0, with the engine of this machine."""
    asked = FitOptions(**{"iterations": 60, "budget": 120, "threads": 1, "sh_degree": 1, **options})
    plan, _ = plan_fit(asked, CAPTURE, Machine(2, 8.0), 0.5)
    engine = choose_engine()
    return trainer._begin(CAPTURE, plan, trainer._open_photos(CAPTURE, plan, engine), engine, asked)[0]


def frozen(state: Any) -> Any:
    """A copy of a nested state that no later step can change."""
    if isinstance(state, dict):
        return {name: frozen(value) for name, value in state.items()}
    return state.clone() if isinstance(state, Tensor) else copy.deepcopy(state)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    return bool(one == other)


class RaisesOnTheWayBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise OutOfMemory(SAID)


def trained(run: Optimisation) -> Any:
    """Its state but for what every step sets anew: the rates, and how far the order was looked ahead."""
    state = frozen({name: value for name, value in run.state_dict().items() if name != "order"})
    adam = state["scene"]["adam"]
    state["scene"]["adam"] = {name: value for name, value in adam.items() if "rate." not in name}
    return state


def raising(*_: Any, **__: Any) -> Any:
    raise OutOfMemory(SAID)


def fail_in_photo(run: Optimisation, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(run.photos, "get", raising)


def fail_in_render(run: Optimisation, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(module, "rasterize", raising)
    patch.setattr(DirectPass, "render", raising)


def fail_in_backward(run: Optimisation, patch: pytest.MonkeyPatch) -> None:
    loss = run.loss
    patch.setattr(run, "loss", lambda *args: RaisesOnTheWayBack.apply(loss(*args)))


def fail_in_direct_backward(run: Optimisation, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DirectPass, "backward", raising)


@pytest.mark.parametrize("fail", [fail_in_photo, fail_in_render, fail_in_backward, fail_in_direct_backward])
@pytest.mark.parametrize("at", [0, 17])
def test_step_that_fails_on_the_way_leaves_no_trace(
    fail: Callable[..., None], at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, undisturbed = begun(), begun()
    for _ in range(at):
        run.step(), undisturbed.step()
    before = trained(run)
    with monkeypatch.context() as patch:
        fail(run, patch)
        for _ in range(2):
            with pytest.raises(OutOfMemory):
                run.step()
    assert same(trained(run), before)
    for _ in range(6):
        run.step(), undisturbed.step()
    assert same(run.state_dict(), undisturbed.state_dict())
    assert run.mean_loss() == undisturbed.mean_loss()


def test_random_backgrounds_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fit.test_out_of_memory.CAPTURE", synthetic_capture(transparent=True))
    run = begun(random_background=True)
    before = trained(run)
    with monkeypatch.context() as patch:
        fail_in_render(run, patch)
        with pytest.raises(OutOfMemory):
            run.step()
    assert same(trained(run), before)


def test_once_the_gradients_are_there_the_step_is_done_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """The statistics of the strategy are lost, nothing else."""
    run, other = begun(), begun()
    monkeypatch.setattr(run.strategy, "before_step", raising)
    monkeypatch.setattr(other.strategy, "before_step", lambda *_: None)
    with pytest.raises(OutOfMemory):
        run.step()
    other.step()
    assert run.iteration == other.iteration == 1
    assert same(run.scene.state_dict(), other.scene.state_dict())


class Starved(TorchDispatchMode):
    """The n-th operation that takes new memory for more than a few numbers raises."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.count = at, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and out.numel() > 8:
            given = {a.untyped_storage().data_ptr() for a in args if isinstance(a, Tensor)}
            if out.untyped_storage().data_ptr() not in given:
                self.count += 1
                if self.count == self.at:
                    raise OutOfMemory(SAID)
        return out


def ready_to_densify(strategy: str) -> Optimisation:
    run = begun(strategy=strategy, iterations=600, budget=150)
    growth = run.strategy.growth  # type: ignore[attr-defined]
    while not growth.due(run.iteration + 1) or run.iteration < 20:
        run.step()
    with torch.no_grad():  # some are dead, so that they move or go
        run.scene.gaussians.logit_opacities[:9] = -9.0
    return run


@pytest.mark.parametrize("strategy", ["adc", "mcmc"])
def test_densification_happens_whole_or_not_at_all(strategy: str) -> None:
    """Wherever memory runs out; the two parts of MCMC, moving and adding, may come apart."""
    run = ready_to_densify(strategy)
    rates = run.schedule.rates(run.iteration)
    start = frozen(run.state_dict())
    strategy_object: Any = run.strategy

    def densify() -> None:
        if strategy == "adc":
            strategy_object._densify(run.scene, run.iteration + 1)
        else:
            strategy_object._relocate(run.scene)
            stages.append(frozen(run.scene.state_dict()))
            strategy_object._grow(run.scene, run.iteration + 1)

    stages = [frozen(run.scene.state_dict())]
    densify()
    stages.append(frozen(run.scene.state_dict()))
    assert not any(same(one, other) for one, other in pairwise(stages))
    wholes = list(stages)
    for at in range(1, 500):
        run.load_state_dict(frozen(start))
        try:
            with Starved(at):
                densify()
        except OutOfMemory:
            assert any(same(run.scene.state_dict(), whole) for whole in wholes), f"half at operation {at}"
            run.scene.step(rates)  # gradients and moments fit the scene, whichever it is
            continue
        break
    assert 10 < at < 499 and same(run.scene.state_dict(), wholes[-1])


@pytest.mark.parametrize("new", [0, 3])
def test_rows_kept_and_added_at_once_are_those_kept_and_then_added(new: int) -> None:
    one, two = begun().scene, begun().scene
    rows = torch.tensor([4, 0, 7, 9])
    added = {name: value + 1 for name, value in one.rows(torch.arange(new)).items()}
    one.keep(rows, added)
    two.keep(rows)
    two.append(added)
    assert same(one.state_dict(), two.state_dict()) and len(one) == 4 + new


def test_way_by_the_host_gives_the_same_scene() -> None:
    run = begun()
    for _ in range(5):
        run.step()
    start, rows = frozen(run.scene.state_dict()), torch.tensor([1, 5, 6, 20])
    run.scene.keep(rows)
    kept = frozen(run.scene.state_dict())
    run.scene.load_state_dict(start)
    run.scene.keep_by_way_of_host(rows)
    assert same(run.scene.state_dict(), kept)


def test_shrinking_keeps_the_most_opaque_in_their_order_and_holds_for_good() -> None:
    run = begun(iterations=200, budget=400)
    for _ in range(30):
        run.step()
    logits = run.scene.gaussians.logit_opacities.detach().clone()
    budget = int(0.8 * len(run.scene))
    run.shrink(budget)
    left = run.scene.gaussians.logit_opacities.detach()
    assert len(left) == budget and torch.equal(left, logits[logits >= logits.topk(budget).values[-1]])
    for _ in range(60):
        run.step()
        assert len(run.scene) <= budget
    assert run.plan.budget == budget


class FakeTraining:
    """Runs out of memory above ``room`` Gaussians; ``photos`` bytes can be given back once."""

    def __init__(self, count: int, room: float, photos: int = 0) -> None:
        self.iteration, self.count, self.room, self.photos = 0, count, room, photos
        self.shrunk: list[int] = []

    def step(self) -> None:
        if self.count > self.room or self.photos:
            raise OutOfMemory(SAID)
        self.iteration += 1

    def release(self) -> int:
        freed, self.photos = self.photos, 0
        return freed

    def shrink(self, budget: int) -> None:
        self.shrunk.append(budget)
        self.count = min(self.count, budget)


def test_photos_give_way_before_gaussians() -> None:
    notes: list[str] = []
    training = FakeTraining(1000, 1e9, photos=int(2 * ENOUGH))
    guard = MemoryGuard(training, notes.append)
    assert [guard.step(), guard.step()] == [False, True]
    assert training.shrunk == [] and len(notes) == 1 and "photos are uploaded" in notes[0]


def test_gaussians_give_way_until_it_fits() -> None:
    notes: list[str] = []
    training = FakeTraining(1000, 700, photos=1000)
    guard = MemoryGuard(training, notes.append)
    assert [guard.step() for _ in range(3)] == [False, False, True]
    assert training.shrunk == [800, 640]
    assert "at iteration 0 with 1000 Gaussians" in notes[0] and "the budget is 640" in notes[1]


def test_it_gives_up_and_names_the_settings() -> None:
    guard = MemoryGuard(FakeTraining(10**6, 0), lambda _: None)
    assert not any(guard.step() for _ in range(TRIES))
    with pytest.raises(NoRoom, match="20.00 MiB.*--resume.*--budget, --max-size or --max-memory") as caught:
        guard.step()
    assert caught.value.intact


def test_tries_long_ago_do_not_count() -> None:
    training = FakeTraining(10**9, 1e12)
    guard = MemoryGuard(training, lambda _: None)
    for _ in range(3 * TRIES):
        training.room = training.count - 1
        assert not guard.step()
        training.iteration += SETTLED + 1
    assert len(training.shrunk) == 3 * TRIES


def test_scene_that_was_lost_is_said_to_be() -> None:
    training = FakeTraining(10**6, 0)
    training.shrink = raising  # type: ignore[method-assign]
    with pytest.raises(NoRoom, match="no room even for 800000") as caught:
        MemoryGuard(training, lambda _: None).step()
    assert not caught.value.intact


def test_work_is_tried_again_once_after_a_release() -> None:
    calls: list[str] = []

    def work() -> str:
        calls.append("work")
        if calls.count("work") == 1:
            raise OutOfMemory(SAID)
        return "done"

    assert with_room(work, lambda: calls.append("release")) == "done"
    assert calls == ["work", "release", "work"]
    with pytest.raises(OutOfMemory):
        with_room(raising, lambda: None)


def run_out(patch: pytest.MonkeyPatch, when: Callable[[int], bool]) -> None:
    """Let rendering run out of memory in the calls that ``when`` picks."""
    calls = iter(range(10**9))

    def failing(render: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *a, **k: (raising if when(next(calls)) else render)(*a, **k)

    patch.setattr(module, "rasterize", failing(module.rasterize))
    patch.setattr(DirectPass, "render", failing(DirectPass.render))


def test_fit_goes_on_with_less_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_out(monkeypatch, lambda call: call in (40, 41))
    options = FitOptions(iterations=120, budget=400, threads=1, sh_degree=1)
    result = fit(synthetic_capture(points=False), RunFolder.create(tmp_path), options)
    assert result.ending == "finished" and result.iterations == 120
    told = [note for note in result.notes if "GPU memory ran out at iteration 40" in note]
    assert len(told) == 2
    budget = int(told[-1].split("budget is ")[1].split()[0])
    assert len(result.gaussians) <= budget < 400


def test_fit_that_gives_up_leaves_a_checkpoint_to_go_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder.create(tmp_path)
    capture = synthetic_capture(points=False)
    options = {"iterations": 60, "budget": 1000, "threads": 1, "sh_degree": 1}
    with monkeypatch.context() as patch:
        run_out(patch, lambda call: call >= 33)
        with pytest.raises(SplatError, match=r"GPU memory ran out at iteration 33.*--max-size"):
            fit(capture, run, FitOptions(**options))
    assert (run.checkpoints / "0000033").is_dir()
    result = fit(capture, run, FitOptions(**options, resume=True))
    assert result.iterations == 60 and len(result.gaussians) < 400
    assert sum("GPU memory ran out" in note for note in result.notes) == TRIES
