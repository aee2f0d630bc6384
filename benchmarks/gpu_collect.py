"""Puts what the steps of benchmarks/gpu.sh left into three files: summary.md, results.json, logs.txt."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from results_file import markdown

LONGEST_LOG = 400_000
"""Characters kept of one step's log: its beginning and its end."""
SHOWN_LINES = 12


@dataclass(frozen=True)
class Step:
    """One step: name, "ok", "failed", "timeout" or "skipped", seconds, what is to be said, its log."""

    name: str
    status: str
    seconds: int
    note: str
    log: str


def read_steps(work: Path) -> list[Step]:
    """The steps in their order."""
    steps = []
    for path in sorted((work / "steps").glob("*.tsv")):
        name, status, seconds, note = path.read_text(encoding="utf-8").rstrip("\n").split("\t")
        log = work / "logs" / f"{path.stem}-{name}.log"
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        steps.append(Step(name, status, int(seconds), note, shortened(text)))
    return steps


def shortened(text: str) -> str:
    """Beginning and end of a text that is too long."""
    if len(text) <= LONGEST_LOG:
        return text
    half = LONGEST_LOG // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"


def summary(steps: list[Step], parts: list[str], about: str) -> str:
    """The page: the steps, the last lines of those that went wrong or test, the measurements."""
    rows = [[step.name, step.status, str(step.seconds), step.note] for step in steps]
    texts = [f"# On a GPU: {about}", markdown(["step", "status", "seconds", "note"], rows)]
    for step in steps:
        if step.status in ("failed", "timeout") or step.name in ("tests", "million", "memcheck", "racecheck"):
            last = "\n".join(step.log.splitlines()[-SHOWN_LINES:])
            if last:
                texts.append(f"## {step.name}: its last lines\n\n```\n{last}\n```")
    return "\n\n".join([*texts, *parts]) + "\n"


def read_json(path: Path) -> Any:
    """A JSON file, or None where a step left none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def collect(work: Path, out: Path, commit: str) -> None:
    """Write the three files."""
    steps = read_steps(work)
    benchmark, training = (read_json(work / f"{name}.json") for name in ("benchmark", "training"))
    gpu = (benchmark or {}).get("about", {}).get("gpu", "nothing measured")
    about = f"{gpu}, {datetime.now(timezone.utc):%Y-%m-%d}, commit {commit or 'see results.json'}"
    parts = []
    for name in ("benchmark", "training"):
        page = work / f"{name}.md"
        if page.exists():
            parts.append(f"## {name}\n\n{page.read_text(encoding='utf-8').strip()}")
    out.mkdir(parents=True, exist_ok=True)
    (out / "summary.md").write_text(summary(steps, parts, about), encoding="utf-8")
    result = {
        "steps": [{k: v for k, v in asdict(step).items() if k != "log"} for step in steps],
        "benchmark": benchmark,
        "training": training,
    }
    (out / "results.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    logs = [f"======== {step.name} ({step.status}, {step.seconds} s)\n{step.log}\n" for step in steps]
    (out / "logs.txt").write_text("\n".join(logs), encoding="utf-8")


def main() -> None:
    """Parse and collect."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--commit", default="")
    asked = parser.parse_args()
    collect(asked.work, asked.out, asked.commit)


if __name__ == "__main__":
    main()
