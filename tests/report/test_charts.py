"""Charts: arithmetic of smoothing, thinning, ticks, and the drawn line."""

from __future__ import annotations

import re

import pytest

from splat.report.charts import Curve, line_chart, smoothed, thinned, ticks
from splat.report.text import compact, duration


def test_smoothing_keeps_constants_and_lags_a_step() -> None:
    assert smoothed([3.0] * 5, 4) == pytest.approx([3.0] * 5)
    # keep = 1/2: weights 1/2, 1/4 over 3/4 of the total
    assert smoothed([0.0, 3.0], 2) == pytest.approx([0.0, 2.0])


def test_thinning_keeps_ends_and_means() -> None:
    x = [float(i) for i in range(1002)]
    xs, ys = thinned(x, [2 * v for v in x], 102)
    assert len(xs) == 102
    assert (xs[0], xs[-1]) == (0.0, 1001.0)
    assert xs[1] == pytest.approx(5.5)
    assert ys == pytest.approx([2 * v for v in xs])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.5, 1]),
        (22.9, 28.4, [22, 24, 26, 28, 30]),
        (0, 48213, [0, 20000, 40000, 60000]),
        (5, 5, [4.6, 4.8, 5.0, 5.2, 5.4]),
    ],
)
def test_ticks_are_round_and_cover(low: float, high: float, expected: list[float]) -> None:
    found = ticks(low, high)
    assert found[0] <= low and found[-1] >= high
    assert found == pytest.approx(expected)


def test_higher_values_are_drawn_higher() -> None:
    svg = line_chart(Curve("PSNR", "dB", [1.0, 2.0, 4.0], [20.0, 25.0, 30.0], dots=True))
    found = re.search(r'class="line" d="M([^"]*)"', svg)
    assert found
    points = [tuple(map(float, pair.split())) for pair in found.group(1).split("L")]
    xs, ys = zip(*points, strict=True)
    assert ys[0] > ys[1] > ys[2]
    assert (xs[2] - xs[1]) == pytest.approx(2 * (xs[1] - xs[0]), abs=0.2)
    assert svg.count('<circle class="dot"') == 3
    assert 'aria-label="PSNR: 20 dB at 1 s, 30 dB at 4 s"' in svg


def test_one_point_and_no_point() -> None:
    assert 'class="dot"' in line_chart(Curve("PSNR", "dB", [0.0], [20.0]))
    assert "Nothing was logged." in line_chart(Curve("PSNR", "dB", [], []))


def test_words_for_numbers() -> None:
    assert [compact(v) for v in (0, 0.05, 1200, 48213, 2.5e6)] == ["0", "0.05", "1.2k", "48.2k", "2.5M"]
    assert [duration(v) for v in (8.44, 59.96, 185, 3720, None)] == [
        "8.4 s", "1 min 00 s", "3 min 05 s", "1 h 02 min", "–",
    ]  # fmt: skip
