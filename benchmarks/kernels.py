"""Generalised exponentials against Gaussians at the same numbers of splats: quality over budget.

    python benchmarks/kernels.py --data ../shared/data --captures lego fox/images --iterations 7000 \
        --pairs gaussian+mip gef+mip

Both kernels get the same photos, steps, budgets and seed. Rows that the JSON has already (same options)
are not measured again, so one call may do one capture, pair or budget.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from statistics import fmean

import torch
from chart import Line, Panel, write_chart
from measured_fits import Pair, about, add_fit_options, fit_options, machine, opened, trained
from results_file import ResultsFile, Row, markdown, put_table

from splat import native_core
from splat.errors import SplatError
from splat.fit.evaluate import evaluate

HERE = Path(__file__).parent
CAPTURES = ("lego", "fox/images", "fern", "spot_gt")
"""Folders of the shared data; fox from its photos alone, so that it starts from sparse points."""
BUDGETS = (10_000, 20_000, 50_000, 100_000)
GOAL = 50_000
"""The budget whose Gaussian quality is asked for with fewer splats."""


def measure(asked: argparse.Namespace, results: ResultsFile, source: str) -> None:
    """Fill the rows of one capture that are missing."""
    found, name = None, source.split("/")[0]
    for budget in asked.budgets:
        for pair in asked.pairs:
            options = fit_options(asked, pair, budget)
            settings = {**about(options, asked.max_size), "pair": pair.name, "source": source}
            label = f"{pair.name}{asked.label}"
            if results.has(f"{name}/{label}/{budget}", settings):
                continue
            found = found or opened(asked.data / source, asked.max_size, asked.work / f"{name}-cameras")
            capture = found.capture
            folder = asked.work / f"{name}-{pair.trained_name}{asked.label}-{budget}"
            try:
                made = trained(found, folder, options)
                scores = evaluate(made.scene, capture, capture.test, pair.settings(capture))
            except SplatError as error:
                print(f"{name} {label} {budget} is left out: {error}")
                continue
            betas = made.scene.betas.quantile(torch.tensor([0.0, 0.05, 0.5, 0.95, 1.0])).tolist()
            row = {
                "budget": budget,
                "gaussians": made.metrics["gaussians"],
                "psnr": fmean(s.psnr for s in scores),
                "ssim": fmean(s.ssim for s in scores),
                "seconds": made.metrics["seconds_training"],
                "seconds_picture": fmean(s.seconds for s in scores),
                "iterations": made.metrics["iterations"],
                "betas": betas,
                "curve": made.curve,
                "machine": machine(),
            }
            results.put(f"{name}/{label}/{budget}", settings, row)
            print(f"{name} {label} {budget}: {row['psnr']:.2f} dB, {row['gaussians']} splats", flush=True)


def by_label(results: ResultsFile, name: str) -> dict[str, list[Row]]:
    """Rows of one capture by kernel and filter, each by number of splats."""
    found: dict[str, list[Row]] = {}
    for rest, row in results.under(name):
        found.setdefault(rest.rsplit("/", 1)[0], []).append(row)
    return {label: sorted(rows, key=lambda row: row["gaussians"]) for label, rows in found.items()}


def splats_for(rows: list[Row], psnr: float) -> float | None:
    """Splats that reach ``psnr``, by straight lines over the logarithm; None if no budget does.

    0 if the smallest budget has more than that already.
    """
    if not rows or max(row["psnr"] for row in rows) < psnr:
        return None
    if rows[0]["psnr"] >= psnr:
        return 0.0
    for below, above in zip(rows, rows[1:], strict=False):
        if below["psnr"] < psnr <= above["psnr"]:
            part = (psnr - below["psnr"]) / (above["psnr"] - below["psnr"])
            low, high = math.log(below["gaussians"]), math.log(above["gaussians"])
            return math.exp(low + part * (high - low))
    return None


def quality_table(results: ResultsFile, names: list[str]) -> str:
    """PSNR and SSIM of every row."""
    lines = []
    for name in names:
        for label, rows in by_label(results, name).items():
            for row in rows:
                betas = " / ".join(f"{value:.2f}" for value in row["betas"][1:4])
                lines.append(
                    [f"{name}, {label}", f"{row['budget']:,}", f"{row['gaussians']:,}", f"{row['psnr']:.2f}",
                     f"{row['ssim']:.4f}", f"{row['seconds']:.0f}", str(row["iterations"]), betas]
                )  # fmt: skip
    head = ["capture, kernel + filter", "budget", "splats", "PSNR", "SSIM", "training s", "steps",
            "beta 5 % / median / 95 %"]  # fmt: skip
    return markdown(head, lines)


def goal_table(results: ResultsFile, names: list[str], base: str) -> str:
    """How many splats each pair needs for what ``base`` reaches at ``GOAL``."""
    lines = []
    for name in names:
        found = by_label(results, name)
        goal = next((row for row in found.get(base, []) if row["budget"] == GOAL), None)
        if goal is None:
            continue
        for label, rows in found.items():
            needed = splats_for(rows, goal["psnr"])
            lines.append([f"{name}, {label}", f"{goal['psnr']:.2f}", *_needed(needed, rows, goal)])
    head = ["capture, kernel + filter", f"PSNR of {base} at {GOAL:,}", "splats needed", "share"]
    return markdown(head, lines)


def _needed(needed: float | None, rows: list[Row], goal: Row) -> tuple[str, str]:
    if needed is None:
        return "not reached", "-"
    if needed == 0:
        least = rows[0]["gaussians"]
        return f"fewer than {least:,}", f"< {least / goal['gaussians']:.0%}"
    return f"{round(needed):,}", f"{needed / goal['gaussians']:.0%}"


def panels(results: ResultsFile, names: list[str]) -> list[Panel]:
    """PSNR over splats, a panel a capture."""
    return [
        Panel(
            f"{name}: held-out PSNR (dB) over splats",
            [
                Line(label, [row["gaussians"] for row in rows], [row["psnr"] for row in rows])
                for label, rows in by_label(results, name).items()
            ],
        )
        for name in names
    ]


def main() -> None:
    """Parse the options, measure what is missing, write tables and chart."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--captures", nargs="+", default=list(CAPTURES), help="folders in --data")
    parser.add_argument("--budgets", nargs="+", type=int, default=list(BUDGETS))
    pairs = [Pair.parse("gaussian+mip"), Pair.parse("gef+mip")]
    parser.add_argument("--pairs", nargs="+", type=Pair.parse, default=pairs)
    parser.add_argument("--max-size", type=int, default=480, help="longer side of the photos, pixels")
    add_fit_options(parser)
    parser.add_argument("--work", type=Path, default=Path("runs/kernels"), help="run folders")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "kernels.json")
    parser.add_argument("--base", default="gaussian+mip", help="what the goal is taken from")
    parser.add_argument("--page", type=Path, help="put the tables into this page of the documentation")
    parser.add_argument("--chart", type=Path, help="SVG file for the curves")
    asked = parser.parse_args()
    if asked.iterations is None and asked.seconds is None:
        parser.error("--iterations (the same for both kernels) or --seconds is needed")
    torch.set_num_threads(1)
    native_core.load()

    results = ResultsFile(asked.json)
    for source in asked.captures:
        measure(asked, results, source)
    names = results.groups()
    quality, goal = quality_table(results, names), goal_table(results, names, asked.base)
    print(f"{quality}\n\n{goal}")
    if asked.page:
        put_table(asked.page, "kernels", quality)
        put_table(asked.page, "kernels goal", goal)
    if asked.chart:
        write_chart(asked.chart, panels(results, names))


if __name__ == "__main__":
    main()
