"""Timings of rounds on a GPU, and the tables made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from gpu_floor import Term, floor_milliseconds
from results_file import markdown

Samples = dict[str, list[float]]
"""Milliseconds by stage, one number a step."""


@dataclass
class Measured:
    """What one engine gave on one workload.

    Attributes:
        samples: milliseconds by stage.
        peak_bytes: most memory that its tensors took at once, the workload's own excluded.
        reserved_bytes: the same as the allocator took it from the device.
        stages: milliseconds of the parts of the rasteriser, where it says them.
    """

    samples: Samples = field(default_factory=dict)
    peak_bytes: int = 0
    reserved_bytes: int = 0
    stages: Samples = field(default_factory=dict)

    def add(self, step: Mapping[str, float]) -> None:
        """One more step's milliseconds."""
        for name, value in step.items():
            self.samples.setdefault(name, []).append(value)

    def as_json(self) -> dict[str, Any]:
        """Medians and minima."""
        return {
            "median_ms": {name: median(values) for name, values in self.samples.items()},
            "min_ms": {name: min(values) for name, values in self.samples.items()},
            "steps": {name: len(values) for name, values in self.samples.items()},
            "peak_bytes": self.peak_bytes,
            "reserved_bytes": self.reserved_bytes,
            "stages_median_ms": {name: median(values) for name, values in self.stages.items()},
        }


def times_table(rows: Mapping[str, Measured], names: Sequence[str]) -> str:
    """Median (minimum) milliseconds by engine, and memory."""

    def cell(measured: Measured, name: str) -> str:
        values = measured.samples.get(name)
        return f"{median(values):.3f} ({min(values):.3f})" if values else "-"

    head = ["engine", *(f"{name}, ms" for name in names), "peak, MiB", "reserved, MiB"]
    lines = [
        [
            engine,
            *(cell(measured, name) for name in names),
            f"{measured.peak_bytes / 2**20:,.0f}",
            f"{measured.reserved_bytes / 2**20:,.0f}",
        ]
        for engine, measured in rows.items()
    ]
    return markdown(head, lines)


def floor_table(terms: Sequence[Term], stages: Mapping[str, float]) -> str:
    """Each term of the floor beside the stage as measured (milliseconds), and the sum."""
    lines = []
    for term in terms:
        unit = "MB" if term.what == "memory" else "M instructions"
        amount = f"{term.amount / 1e6:,.0f} {unit}"
        lines.append([f"{term.name}, {term.what}", amount, f"{term.milliseconds:.3f}"])
    lines.append(["sum", "", f"{floor_milliseconds(list(terms)):.3f}"])
    table = markdown(["floor", "amount", "ms"], lines)
    if not stages:
        return table
    measured = markdown(["stage as measured alone", "ms"], [[k, f"{v:.3f}"] for k, v in stages.items()])
    return f"{table}\n\n{measured}"


def ratio_lines(rows: Mapping[str, Measured], floor: float) -> list[str]:
    """Sentences: ours against the floor and against every other engine, by medians of whole iterations."""
    whole = {k: median(v.samples["iteration"]) for k, v in rows.items() if "iteration" in v.samples}
    if "splat" not in whole:
        return ["No iteration of splat was measured."]
    ours = rows["splat"]
    share = floor / whole["splat"]
    lines = [f"An iteration takes {whole['splat']:.3f} ms; the floor, {floor:.3f} ms, is {share:.0%} of it."]
    for name, milliseconds in whole.items():
        if not name.startswith("splat"):
            lines.append(
                f"{name} takes {milliseconds / whole['splat']:.2f} times as long; splat's peak memory is "
                f"{ours.peak_bytes / max(rows[name].peak_bytes, 1):.0%} of its."
            )
    return lines
