"""What the report knows of a run: the run folder's files, read with tolerance for missing ones."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class RunData:
    """A run folder's contents, as far as they are there.

    Attributes:
        path: the run folder.
        config: options of the run (``config.json``).
        metrics: final figures (``metrics.json``).
        per_view: scores of the held-out views by name (``per_view.json``), only those with a
            finite or infinite PSNR.
        views: cameras with their names and split (``cameras.json``).
        log: events of ``log.jsonl`` in order.
        missing: file name -> a plain sentence on how it is absent or unreadable.
    """

    path: Path
    config: Json = field(default_factory=dict)
    metrics: Json = field(default_factory=dict)
    per_view: dict[str, Json] = field(default_factory=dict)
    views: list[Json] = field(default_factory=list)
    log: list[Json] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    def events(self, kind: str) -> list[Json]:
        """The log's events of one kind ("train", "eval", "note", ...)."""
        return [event for event in self.log if event.get("event") == kind]

    def image(self, name: str, role: str) -> Path:
        """Where evaluation keeps the "photo", "render" or "error" image of a view."""
        from splat.fit.evaluate import safe_stem

        return self.path / "renders" / f"{safe_stem(name)}.{role}.png"


def number(value: object) -> float | None:
    """``value`` as a float if it is a number other than NaN, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        return None
    return float(value)


def read_run(path: Path) -> RunData:
    """Read what a run folder holds; a missing or broken file ends up in ``missing``."""
    missing: dict[str, str] = {}
    config = _read_object(path / "config.json", missing)
    metrics = _read_object(path / "metrics.json", missing)
    per_view = _read_object(path / "per_view.json", missing)
    cameras = _read_object(path / "cameras.json", missing)
    views = cameras.get("views", [])
    return RunData(
        path=path,
        config=config,
        metrics=metrics,
        per_view={
            name: scores
            for name, scores in per_view.items()
            if isinstance(scores, dict) and number(scores.get("psnr")) is not None
        },
        views=[view for view in views if isinstance(view, dict)] if isinstance(views, list) else [],
        log=_read_log(path / "log.jsonl", missing),
        missing=missing,
    )


def _read_object(path: Path, missing: dict[str, str]) -> Json:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        missing[path.name] = f"{path.name} is not in the run folder."
        return {}
    except (OSError, ValueError) as error:
        missing[path.name] = f"{path.name} could not be read: {error}."
        return {}
    if not isinstance(found, dict):
        missing[path.name] = f"{path.name} holds a {type(found).__name__}, not an object."
        return {}
    return found


def _read_log(path: Path, missing: dict[str, str]) -> list[Json]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        missing[path.name] = f"{path.name} is not in the run folder."
        return []
    except OSError as error:
        missing[path.name] = f"{path.name} could not be read: {error}."
        return []
    events = []
    broken = 0
    for line in filter(str.strip, lines):
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict):
            events.append(event)
        else:
            broken += 1
    if broken:
        missing[path.name] = f"{broken} of {len(lines)} lines of {path.name} could not be read."
    return events
