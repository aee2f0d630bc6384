from __future__ import annotations

from typing import Any

import pytest

from splat.errors import SplatError
from splat.fit.machine import GIB, Machine
from splat.fit.memory import bytes_per_gaussian, plan_memory
from splat.fit.options import FitOptions
from splat.fit.presets import GOALS, GPU_GOALS, Plan, long_side, plan_fit
from splat.fit.step_cost import RELATIVE_COST
from splat.fit.viewpoints import ViewOrder
from splat.gaussians import Antialias, Kernel
from tests.fit.synthetic import synthetic_capture
from tests.rasterize.scenes import PAIRS

CAPTURE = synthetic_capture(views=4)
LARGER = synthetic_capture(views=4, size=400)


def plan(machine: Machine | None = None, **options: Any) -> Plan:
    machine = machine or Machine(cores=2, memory_gib=8.0)
    return plan_fit(FitOptions(**options), CAPTURE, machine, resident_gib=0.5)[0]


def test_presets_rise() -> None:
    machine = Machine(2, 8.0)
    sizes = [long_side(name, machine) for name in ("preview", "default", "quality")]
    assert sizes == sorted(set(sizes))
    plans = [plan(preset=name) for name in ("preview", "default", "quality")]
    assert [p.iterations for p in plans] == sorted({p.iterations for p in plans})


def test_more_cores_allow_no_fewer_iterations() -> None:
    counts = [plan(Machine(cores, 8.0)).iterations for cores in (1, 2, 8, 64)]
    assert counts == sorted(counts)


def test_costs_are_known_for_every_kernel_and_filter() -> None:
    assert set(RELATIVE_COST) == set(PAIRS)
    plain = {("gaussian", "none"), ("gaussian", "mip")}
    assert {pair for pair, cost in RELATIVE_COST.items() if cost == 1.0} == plain
    assert all(1.2 < cost < 3.0 for pair, cost in RELATIVE_COST.items() if pair not in plain)


@pytest.mark.parametrize(("kernel", "antialias"), RELATIVE_COST)
def test_a_plan_keeps_to_its_time_with_every_kernel_and_filter(kernel: Kernel, antialias: Antialias) -> None:
    """Photos of 0.16 million pixels, smaller at first, and 300,000 Gaussians, 85 % of them on average."""
    options = FitOptions(preset="default", budget=300_000, kernel=kernel, antialias=antialias)
    made = plan_fit(options, LARGER, Machine(2, 64.0), resident_gib=0.5)[0]
    goal = GOALS["default"]
    assert goal.least < made.iterations < goal.most, "neither bound decides"
    area = 0.08 / 16 + 0.22 / 4 + 0.7
    seconds = (0.115 * 0.16 * area + 0.002 * 30 * 0.85) * RELATIVE_COST[kernel, antialias]
    assert goal.seconds - 60 * seconds < made.iterations * seconds < goal.seconds + 60 * seconds


def test_a_gpu_does_all_steps_whatever_the_kernel_and_filter() -> None:
    """Nothing is measured there, so nothing is guessed."""
    machine = Machine(2, 64.0, "cuda:0", gpu_memory_gib=8.0)
    counts = {
        plan(machine, kernel=kernel, antialias=antialias).iterations for kernel, antialias in RELATIVE_COST
    }
    assert counts == {GPU_GOALS["default"].most}


def test_every_value_can_be_overridden() -> None:
    made = plan(
        preset="quality", iterations=77, budget=99, strategy="adc", sh_degree=1, antialias="none",
        seed=5, threads=3, eval_every=11, checkpoint_every=0,
    )  # fmt: skip
    assert (made.iterations, made.budget, made.strategy, made.sh_degree) == (77, 99, "adc", 1)
    assert (made.antialias, made.seed, made.threads) == ("none", 5, 3)
    assert (made.eval_every, made.checkpoint_every) == (11, 0)


def test_memory_limit_lowers_the_budget_and_says_so() -> None:
    made, notes = plan_fit(FitOptions(budget=10**6, max_memory=1.0), CAPTURE, Machine(2, 64.0), 0.5)
    assert made.budget < 10**6
    assert made.budget * bytes_per_gaussian(3) <= 0.5 * GIB
    assert len(notes) == 1 and f"from 1000000 to {made.budget} Gaussians" in notes[0]


def test_memory_that_is_enough_changes_nothing() -> None:
    made = plan_memory(1000, bytes_per_gaussian(3), 10_000, 50_000, limit_gib=4.0, resident_gib=0.5)
    assert (made.budget, made.photo_bytes, made.note) == (1000, 50_000, None)


def test_photos_give_way_before_the_budget() -> None:
    each = bytes_per_gaussian(3)
    budget = int(0.5 * GIB / each)
    made = plan_memory(budget, each, 100, int(2 * GIB), limit_gib=1.0, resident_gib=0.0)
    assert made.budget == budget and made.photo_bytes < 0.51 * GIB and made.note is not None


def test_impossible_memory_limit_is_refused() -> None:
    with pytest.raises(SplatError, match="0.40 GiB of memory.*too little.*at least.*--max-memory"):
        plan_fit(FitOptions(max_memory=0.4), CAPTURE, Machine(2, 64.0), resident_gib=0.5)


@pytest.mark.parametrize(
    ("options", "split"),
    [
        ({}, "halved"),
        ({"split": "drawn"}, "drawn"),
        ({"kernel": "gef"}, "halved"),
        ({"kernel": "gef", "split": "drawn"}, "drawn"),
    ],
)
def test_splats_are_halved_unless_told_otherwise(options: dict[str, Any], split: str) -> None:
    plan, _ = plan_fit(FitOptions(**options), CAPTURE, Machine(2, 64.0), resident_gib=0.5)
    assert plan.split == split


def test_a_strategy_that_does_not_split_refuses_the_option() -> None:
    asked = FitOptions(strategy="mcmc", split="halved")
    with pytest.raises(SplatError, match="--split halved.*--strategy mcmc does not split"):
        plan_fit(asked, CAPTURE, Machine(2, 64.0), resident_gib=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": 0}, "--iterations is 0"),
        ({"budget": -1}, "--budget is -1"),
        ({"max_memory": float("nan")}, "--max-memory is nan"),
        ({"max_seconds": 0.0}, "--max-seconds is 0"),
        ({"sh_degree": 4}, "--sh-degree is 4"),
        ({"strategy": "magic"}, "--strategy is 'magic'"),
        ({"eval_every": -5}, "--eval-every is -5"),
        ({"threads": 0}, "--threads is 0"),
        ({"seed": -1}, "--seed is -1"),
        ({"split": "thirds"}, "--split is 'thirds'.*one of drawn, halved"),
        ({"kernel": "box"}, "--kernel is 'box'"),
        ({"antialias": "blur"}, "--antialias is 'blur'.*one of none, mip, analytic, moment, exact"),
        ({"shape_rate": 0.0}, "--shape-rate is 0"),
        ({"frequency_weight": 0.9}, "--frequency-weight is 0.9"),
        ({"frequency_weight": float("nan")}, "--frequency-weight is nan"),
        ({"seed": 10**30}, "--seed is 1000.*at most"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SplatError, match=message):
        FitOptions(**options)


def test_every_view_comes_once_before_any_comes_twice() -> None:
    views = [3, 5, 8, 9]
    order = ViewOrder(views, seed=1)
    epochs = [[order.next() for _ in views] for _ in range(20)]
    assert all(sorted(epoch) == views for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 5


def test_looking_ahead_and_resuming_do_not_change_the_order() -> None:
    plain, looking = ViewOrder(list(range(7)), 4), ViewOrder(list(range(7)), 4)
    expected = [plain.next() for _ in range(40)]
    found = []
    for step in range(40):
        assert looking.upcoming(9)[0] == expected[step]
        found.append(looking.next())
        if step == 17:
            state, looking = looking.state_dict(), ViewOrder(list(range(7)), 99)
            looking.load_state_dict(state)
    assert found == expected
