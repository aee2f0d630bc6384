"""Measured rows in a JSON file, kept from call to call, and tables in a page of the documentation."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class ResultsFile:
    """Rows by name; every change is on the disk at once, so a long series can be broken off.

    Args:
        path: the JSON file; made when the first row is put.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: dict[str, Row] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def has(self, name: str, settings: Mapping[str, Any]) -> bool:
        """Whether the row is there and was measured with these settings."""
        return name in self._rows and agrees(self._rows[name]["settings"], as_json(settings))

    def put(self, name: str, settings: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        """Add or replace a row."""
        self._rows[name] = {"settings": as_json(settings), **as_json(row)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        temporary.write_text(json.dumps(self._rows, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, self.path)

    def under(self, group: str) -> Iterator[tuple[str, Row]]:
        """(rest of the name, row) of the rows named ``group/...``, in the order they were first put."""
        for name, row in self._rows.items():
            if name.startswith(f"{group}/"):
                yield name.removeprefix(f"{group}/"), row

    def groups(self) -> list[str]:
        """What stands before the first slash of the names, each once."""
        return list(dict.fromkeys(name.split("/")[0] for name in self._rows))


def agrees(before: Any, now: Any) -> bool:
    """Whether settings are the same; ones that did not exist before do not count."""
    if isinstance(before, dict) and isinstance(now, dict):
        return all(name in now and agrees(value, now[name]) for name, value in before.items())
    return before == now


def as_json(value: Any) -> Any:
    """The value as it comes back from a JSON file (tuples are lists, paths are text)."""
    return json.loads(json.dumps(value, default=str))


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; all columns but the first are flush right."""
    rule = ["---", *(["---:"] * (len(head) - 1))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


def put_table(page: Path, name: str, text: str) -> None:
    """Replace what stands between ``<!-- table NAME -->`` and ``<!-- end NAME -->`` in a page.

    Raises:
        ValueError: the page has no such place.
    """
    begin, end = f"<!-- table {name} -->", f"<!-- end {name} -->"
    content = page.read_text(encoding="utf-8")
    if content.count(begin) != 1 or content.count(end) != 1:
        raise ValueError(f"{page} has no place for the table {name} (wanted: {begin} ... {end})")
    before, rest = content.split(begin)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{rest.split(end)[1]}", encoding="utf-8")
