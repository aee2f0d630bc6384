"""How many iterations fit into a time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from splat.fit.pace import growth_seconds


def _at(first: int, budget: int, threads: int = 2) -> Any:
    return SimpleNamespace(plan=SimpleNamespace(budget=budget, threads=threads), scene=range(first))


def test_steps_get_slower_with_the_gaussians_still_to_come() -> None:
    assert growth_seconds(_at(30_000, 30_000)) == 0
    assert growth_seconds(_at(40_000, 30_000)) == 0
    few, many = growth_seconds(_at(10_000, 20_000)), growth_seconds(_at(10_000, 110_000))
    assert 0 < few and many == pytest.approx(10 * few)
    assert growth_seconds(_at(10_000, 20_000, threads=8)) < 0.5 * few
