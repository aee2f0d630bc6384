"""What a fit prints while it runs."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from splat.cli.progress import LiveDisplay, PlainDisplay, duration, figures, open_display
from splat.fit.progress import Progress

MOMENT = Progress("training", 1200, 3000, 85.25, 21.0, 0.03124, 27.613, 48211, 1.26, 14.0)


def plain(clock) -> tuple[PlainDisplay, io.StringIO]:
    out = io.StringIO()
    return PlainDisplay(Console(file=out, width=80), clock), out


def test_figures_leave_out_what_is_unknown() -> None:
    assert figures(MOMENT) == [
        "85.2 it/s", "21 s left", "loss 0.0312", "held-out 27.61 dB", "48,211 Gaussians", "1.3 GiB",
    ]  # fmt: skip
    assert figures(replace(MOMENT, phase="writing"))[0] == "loss 0.0312"
    unknown = replace(MOMENT, it_per_second=0.0, eta_seconds=None, loss=None, psnr=None)
    assert figures(unknown) == ["48,211 Gaussians", "1.3 GiB"]


def test_plain_lines_come_every_five_seconds_and_on_news() -> None:
    now = [0.0]
    display, out = plain(lambda: now[0])
    for second in range(12):
        now[0] = float(second)
        display.update(replace(MOMENT, iteration=second))
    display.update(replace(MOMENT, psnr=28.0))
    display.update(replace(MOMENT, psnr=28.0, phase="evaluating"))
    starts = [line.split("  ")[0] for line in out.getvalue().splitlines()]
    assert starts == [
        "training 0/3,000", "training 5/3,000", "training 10/3,000", "training 1,200/3,000",
        "evaluating 1,200/3,000",
    ]  # fmt: skip


def test_plain_line_is_one_line_however_long() -> None:
    display, out = plain(lambda: 0.0)
    display.update(MOMENT)
    display.say("[red]/a/path/" + "x" * 200)
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("[red]/a/path/")


def test_live_display_draws_over_itself_and_keeps_messages() -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True)
    display = open_display(console)
    assert isinstance(display, LiveDisplay)
    with display:
        display.update(MOMENT)
        display.say("a message")
    assert "a message" in out.getvalue() and "1200/3000" in out.getvalue()
    assert "held-out 27.61 dB" in out.getvalue()


def test_not_a_terminal_gets_plain_lines() -> None:
    assert isinstance(open_display(Console(file=io.StringIO())), PlainDisplay)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 00 min"),
        (7859, "2 h 10 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
