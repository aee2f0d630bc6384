"""Train once at one size, test at several: which pixel filter holds up when the camera steps back.

    python benchmarks/multiscale.py ../shared/data/lego --pairs gaussian+mip gef+moment --iterations 7000

The capture is a Blender folder whose test photos also lie, box-filtered, in test_800, test_200 and so
on; training is at the size of train/. Photos are composited onto the background of the training. Rows
that the JSON has already (same options) are not measured again, so one call may do one pair.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean

import torch
from measured_fits import Pair, about, add_fit_options, fit_options, machine, opened, trained
from results_file import ResultsFile, Row, markdown, put_table

from splat import native_core
from splat.capture.decode import decode
from splat.capture.types import Capture, Pixels, View
from splat.errors import SplatError
from splat.fit.evaluate import evaluate
from splat.gaussians import Gaussians

HERE = Path(__file__).parent
PAIRS = ("gaussian+none", "gaussian+mip", "gaussian+analytic", "gaussian+moment", "gaussian+exact",
         "gef+mip", "gef+moment", "gef+exact")  # fmt: skip


def scaled_captures(source: Path, capture: Capture) -> dict[int, Capture]:
    """The capture with its test photos at each size there is, by width, largest first."""
    sizes = {capture.views[capture.test[0]].camera.width: capture}
    for folder in source.glob("test_*"):
        if folder.name.removeprefix("test_").isdigit():
            scaled = [_scaled(capture.views[index], folder) for index in capture.test]
            sizes[scaled[0].camera.width] = replace(
                capture, views=scaled, train=[], test=list(range(len(scaled)))
            )
    return dict(sorted(sizes.items(), reverse=True))


def _scaled(view: View, folder: Path) -> View:
    path = folder / Path(view.name).name
    pixels = _load(path)
    height, width = pixels.rgb.shape[:2]
    return View(view.name, view.camera.resized(width, height), partial(_load, path))


def _load(path: Path) -> Pixels:
    rgb, alpha = decode(path)
    return Pixels(rgb, alpha)


def score(scene: Gaussians, captures: dict[int, Capture], pair: Pair) -> dict[str, dict[str, float]]:
    """PSNR, SSIM and seconds a picture, by width."""
    found = {}
    for width, capture in captures.items():
        scores = evaluate(scene, capture, capture.test, pair.settings(capture))
        found[str(width)] = {
            "psnr": fmean(s.psnr for s in scores),
            "ssim": fmean(s.ssim for s in scores),
            "seconds": fmean(s.seconds for s in scores),
        }
    return found


def tables(results: ResultsFile, name: str) -> str:
    """PSNR and SSIM by pair and size; the best of each column is bold."""
    rows = list(results.under(name))
    sizes = sorted({int(size) for _, row in rows for size in row["scales"]}, reverse=True)
    head = ["kernel + filter", *(f"{size} px" for size in sizes), "mean", "Gaussians", "training"]
    parts = []
    for score_name, digits in (("psnr", 2), ("ssim", 4)):
        columns = [[_at(row, size, score_name) for _, row in rows] for size in sizes]
        columns.append([fmean(values) for values in zip(*columns, strict=True)])
        lines = [
            [label, *(_cell(column, index, digits) for column in columns), f"{row['gaussians']:,}",
             f"{row['iterations']} steps, {row['seconds']:.0f} s"]
            for index, (label, row) in enumerate(rows)
        ]  # fmt: skip
        parts.append(f"{name}, {score_name.upper()}:\n\n{markdown(head, lines)}")
    return "\n\n".join(parts)


def _at(row: Row, size: int, score_name: str) -> float:
    return row["scales"].get(str(size), {}).get(score_name, float("nan"))


def _cell(column: list[float], index: int, digits: int) -> str:
    text = f"{column[index]:.{digits}f}"
    return f"**{text}**" if column[index] == max(column) else text


def main() -> None:
    """Parse the options, measure what is missing, write the tables."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    parser.add_argument("source", type=Path, help="Blender folder with test_SIZE folders")
    parser.add_argument("--pairs", nargs="+", type=Pair.parse, default=[Pair.parse(p) for p in PAIRS])
    parser.add_argument("--budget", type=int, default=50_000)
    parser.add_argument("--views", type=int, help="score this many test photos only (a quick try)")
    add_fit_options(parser)
    parser.add_argument("--work", type=Path, default=Path("runs/multiscale"), help="run folders")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "multiscale.json")
    parser.add_argument("--page", type=Path, help="put the tables into this page of the documentation")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    native_core.load()

    results, name = ResultsFile(asked.json), asked.source.resolve().name
    found = opened(asked.source, None)
    captures = scaled_captures(asked.source, found.capture)
    if asked.views is not None:
        captures = {size: replace(c, test=c.test[: asked.views]) for size, c in captures.items()}
    for pair in asked.pairs:
        options = fit_options(asked, pair, asked.budget)
        settings = {**about(options, None), "pair": pair.name, "views": asked.views}
        if results.has(f"{name}/{pair.name}{asked.label}", settings):
            continue
        folder = asked.work / f"{name}-{pair.trained_name}{asked.label}"
        try:
            made = trained(found, folder, options)
            scales = score(made.scene, captures, pair)
        except SplatError as error:
            print(f"{pair.name} is left out: {error}")
            continue
        row = {
            "gaussians": made.metrics["gaussians"],
            "iterations": made.metrics["iterations"],
            "seconds": made.metrics["seconds_training"],
            "scales": scales,
            "machine": machine(),
        }
        results.put(f"{name}/{pair.name}{asked.label}", settings, row)
        print(f"{pair.name}: " + ", ".join(f"{k} {v['psnr']:.2f}" for k, v in scales.items()), flush=True)
    text = tables(results, name)
    print(text)
    if asked.page:
        put_table(asked.page, f"multiscale {name}", text)


if __name__ == "__main__":
    main()
