from __future__ import annotations

import pytest

from splat.fit.schedules import FitSchedule, boost, coarse_to_fine, means_boost


def schedule(iterations: int = 1000) -> FitSchedule:
    return FitSchedule(iterations, extent=2.0, max_sh_degree=3, downscales=coarse_to_fine(480))


def test_long_runs_have_the_rates_of_3dgs() -> None:
    made = schedule(30_000)
    assert made.rates(0)["means"] == pytest.approx(3.2e-4)
    assert made.rates(15_000)["means"] == pytest.approx(3.2e-5)
    assert made.rates(30_000)["means"] == pytest.approx(3.2e-6)
    first = made.rates(0)
    assert (first["sh0"], first["log_scales"], first["quats"]) == (2.5e-3, 5e-3, 1e-3)
    assert made.rates(18_000)["sh0"] == pytest.approx(2.5e-3)
    assert made.rates(30_000)["sh0"] == pytest.approx(0.5e-3)


def test_schedules_stretch_with_the_iterations() -> None:
    short, long = schedule(200), schedule(2000)
    for done in (0.0, 0.04, 0.1, 0.31, 0.9):
        a, b = int(done * 200), int(done * 2000)
        ratio = means_boost(200) / means_boost(2000)
        assert short.rates(a)["means"] == pytest.approx(ratio * long.rates(b)["means"])
        assert short.sh_degree(a) == long.sh_degree(b)
        assert short.downscale(a) == long.downscale(b)


def test_sh_degree_rises_by_one_to_the_end() -> None:
    degrees = [schedule().sh_degree(i) for i in range(1000)]
    assert degrees[0] == 0 and degrees[-1] == 3
    assert all(b - a in (0, 1) for a, b in zip(degrees, degrees[1:], strict=False))


def test_small_photos_are_not_shrunk_to_nothing() -> None:
    assert coarse_to_fine(99) == ((0.0, 1),)
    assert [factor for _, factor in coarse_to_fine(250)] == [2, 1]
    stages = coarse_to_fine(1600)
    assert stages[0][0] == 0.0 and [factor for _, factor in stages] == [4, 2, 1]
    assert schedule().downscale(0) == 4 and schedule().downscale(999) == 1


def test_short_runs_have_higher_rates() -> None:
    for factor in (means_boost, boost):
        assert factor(30_000) == 1.0 == factor(60_000)
        values = [factor(count) for count in (1, 500, 3000, 7000, 30_000)]
        assert values == sorted(values, reverse=True) and values[0] == 4.0
