"""The checks as a table for a person, or as JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from splat.doctor.check import Check
from splat.doctor.checks import can_fit

MARKS = {"ok": ("ok", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "bold red")}


def as_json(checks: Sequence[Check]) -> str:
    """``{"can_fit": bool, "checks": [{"name", "status", "found", "advice"}, ...]}``."""
    return json.dumps({"can_fit": can_fit(checks), "checks": [asdict(check) for check in checks]}, indent=2)


def as_table(checks: Sequence[Check]) -> Table:
    """One row for each check; advice stands under what was found."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        mark, style = MARKS[check.status]
        answer: Text | Group = Text(check.found)
        if check.advice:
            answer = Group(answer, Text(check.advice, style=style))
        table.add_row(Text(mark, style=style), Text(check.name), answer)
    return table


def verdict(checks: Sequence[Check]) -> str:
    """The last line: whether `splat fit` can run."""
    failed = [check.name for check in checks if check.status == "fail"]
    if failed:
        return f"splat fit cannot run yet; mend first: {', '.join(failed)}."
    warned = sum(check.status == "warn" for check in checks)
    return "splat fit can run." + (f" {warned} thing(s) could be better (see above)." if warned else "")


def show(checks: Sequence[Check], console: Console) -> None:
    """Print the table and the verdict."""
    console.print(as_table(checks))
    console.print()
    console.print(Text(verdict(checks), style="green" if can_fit(checks) else "bold red"))
