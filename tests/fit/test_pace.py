"""How many iterations fit into a time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from splat.fit.pace import later_seconds
from splat.fit.step_cost import RELATIVE_COST

DEAR = {"kernel": "gef", "antialias": "exact"}


def _at(first: int, budget: int, threads: int = 2, **more: str) -> Any:
    plan = {"budget": budget, "threads": threads, "device": "cpu", "kernel": "gaussian", "antialias": "mip"}
    return SimpleNamespace(plan=SimpleNamespace(**{**plan, **more}), scene=range(first))


def test_steps_get_slower_with_the_gaussians_still_to_come() -> None:
    assert later_seconds(_at(30_000, 30_000)) == 0
    assert later_seconds(_at(40_000, 30_000)) == 0
    few, many = later_seconds(_at(10_000, 20_000)), later_seconds(_at(10_000, 110_000))
    assert 0 < few and many == pytest.approx(10 * few)
    assert later_seconds(_at(10_000, 20_000, threads=8)) < 0.5 * few


def test_more_so_where_each_costs_more() -> None:
    plain, costly = (later_seconds(_at(10_000, 20_000, **more)) for more in ({}, DEAR))
    assert costly == pytest.approx(RELATIVE_COST["gef", "exact"] * plain) and costly > 1.5 * plain
