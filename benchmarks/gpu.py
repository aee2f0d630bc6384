"""One training iteration on a CUDA device, side by side with gsplat in the same process.

    python benchmarks/gpu.py --gaussians 200000 1000000 3000000 --size 1920x1080 --json gpu.json
    python benchmarks/gpu.py --run runs/fox --view 20 --size 1080x1920

A round is some steps of each engine in turn. Parts of a step lie between CUDA events; "loop" is the time of
a step where steps are queued one after another and only the last is waited for. Medians (minima). "splat"
adds gradients up in a fixed order, "splat, atomic" does not. The floor is that of benchmarks/gpu_floor.py;
evaluations are counted by the processor's driver: all 16 of a 4x4 block of pixels in which a splat counts.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from gpu_engines import GsplatStep, Marks, OurStep, Step, gsplat_problem
from gpu_floor import Gpu, Load, floor_milliseconds, floor_terms, this_gpu
from gpu_tables import Measured, floor_table, ratio_lines, times_table
from scenes import Workload, procedural, trained

from splat.device_core import core_for
from splat.rasterize import RenderSettings, rasterize

SKIPPED = 77
PARTS = ("forward", "loss", "backward", "Adam", "iteration", "loop")
WARM_UP = 3


def engines(
    device: torch.device, antialias: str, gsplat: bool, atomic: bool
) -> dict[str, Callable[[Workload], Step]]:
    """What is measured, by name."""
    found: dict[str, Callable[[Workload], Step]] = {"splat": lambda w: OurStep(w, device, antialias, True)}
    if atomic:
        found["splat, atomic"] = lambda w: OurStep(w, device, antialias, False)
    if gsplat:
        found["gsplat, torch's SSIM"] = lambda w: GsplatStep(w, device, antialias, False)
        found["gsplat, splat's loss"] = lambda w: GsplatStep(w, device, antialias, True)
    return found


def count(work: Workload, antialias: str) -> Load:
    """The work of a view, counted by the processor's driver."""
    cpu = torch.device("cpu")
    with torch.no_grad():
        settings = RenderSettings(antialias=antialias)  # type: ignore[arg-type]
        rasterize(work.gaussians, work.camera, settings, "native")
    frame = core_for(cpu).idle[-1]  # type: ignore[attr-defined]
    return Load(
        gaussians=len(work.gaussians),
        visible=frame.visible,
        pixels=work.camera.width * work.camera.height,
        pairs=frame.hits,
        evaluations=16 * frame.block_hits,
        useful=frame.useful(),
        coefficients=work.gaussians.sh.shape[1],
    )


def memory_of(make: Callable[[], Step], device: torch.device) -> tuple[Step, int, int]:
    """A step, warmed up, and what it took of the device: most bytes in tensors, most bytes reserved."""
    empty_device(device)
    allocated, reserved = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    torch.cuda.reset_peak_memory_stats(device)
    step = make()
    for _ in range(WARM_UP):
        step.run(lambda _: None)
    torch.cuda.synchronize(device)
    peak = torch.cuda.max_memory_allocated(device) - allocated
    return step, peak, torch.cuda.max_memory_reserved(device) - reserved


def empty_device(device: torch.device) -> None:
    """Give back what no tensor uses, and what frames keep."""
    core_for(device).idle.clear()  # type: ignore[attr-defined]
    torch.cuda.empty_cache()


Makers = dict[str, Callable[[Workload], Step]]


def measure(
    work: Workload, makers: Makers, device: torch.device, limits: argparse.Namespace
) -> tuple[dict[str, Measured], dict[str, Any]]:
    """All engines on one workload: memory of each alone, then rounds of all in turn."""
    rows, steps, notes = {}, {}, {}
    for name, make in makers.items():
        try:
            steps[name], peak, reserved = memory_of(lambda make=make: make(work), device)  # type: ignore[misc]
        except (torch.cuda.OutOfMemoryError, RuntimeError) as error:
            notes[f"{name} is left out"] = str(error).splitlines()[0]
            continue
        rows[name] = Measured(peak_bytes=peak, reserved_bytes=reserved)
        notes[f"pairs, {name}"] = steps[name].pairs()  # type: ignore[attr-defined]
    images = {name: step.image() for name, step in steps.items()}
    if "splat" in images:
        for name in images.keys() - {"splat"}:
            difference = (images[name] - images["splat"]).abs().max()
            notes[f"largest difference of the image, {name}"] = float(difference)
    begin = time.monotonic()
    for number in range(limits.rounds):
        for name, step in steps.items():
            one_round(step, rows[name], limits.steps, record=number > 0)
        if time.monotonic() - begin > limits.seconds:
            break
    ours = steps.get("splat")
    if isinstance(ours, OurStep):
        for _ in range(limits.steps):
            for name, value in ours.stages().items():
                rows["splat"].stages.setdefault(name, []).append(value)
    return rows, notes


def one_round(step: Step, row: Measured, steps: int, record: bool) -> None:
    """Steps with events between their parts, then as many in a row without."""
    for _ in range(steps):
        marks = Marks()
        step.run(marks)
        if record:
            row.add(marks.milliseconds())
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(steps):
        step.run(lambda _: None)
    torch.cuda.synchronize()
    if record:
        row.add({"loop": 1e3 * (time.perf_counter() - begin) / steps})


def copy_rate(device: torch.device) -> float:
    """Bytes a second, read and written, of a large copy on the device."""
    source = torch.empty(2**28, device=device)
    target = torch.empty_like(source)
    times = []
    for _ in range(8):
        marks = Marks()
        target.copy_(source)
        marks("copy")
        times.append(marks.milliseconds()["copy"])
    return 2 * source.nbytes / (1e-3 * min(times))


def about(device: torch.device, gpu: Gpu, commit: str) -> dict[str, Any]:
    """What was measured where."""
    return {
        "gpu": gpu.name,
        "multiprocessors": gpu.multiprocessors,
        "clock_ghz": gpu.clock / 1e9,
        "bandwidth_tb_s": gpu.bandwidth / 1e12,
        "copy_tb_s": copy_rate(device) / 1e12,
        "torch": torch.__version__,
        "cuda_of_torch": torch.version.cuda,
        "python": platform.python_version(),
        "commit": commit or _commit(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def _commit() -> str:
    asked = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def report_case(
    work: Workload, load: Load, gpu: Gpu, rows: dict[str, Measured], notes: dict[str, Any]
) -> str:
    """One workload's tables."""
    terms = floor_terms(load, gpu)
    stages = {k: median(v) for k, v in rows["splat"].stages.items()} if "splat" in rows else {}
    head = (
        f"### {work.name}: {load.gaussians:,} Gaussians ({load.visible:,} visible), "
        f"{work.camera.width}x{work.camera.height}\n\n{load.pairs:,} pairs that count, "
        f"{load.useful / 1e6:.1f} M useful evaluations ({load.useful / load.pixels:.0f} a pixel), "
        f"{load.evaluations / 1e6:.1f} M with their blocks."
    )
    lines = [f"* {name}: {value}" for name, value in notes.items()]
    lines += [f"* {line}" for line in ratio_lines(rows, floor_milliseconds(terms))]
    return "\n\n".join([head, times_table(rows, PARTS), "\n".join(lines), floor_table(terms, stages)])


def parser() -> argparse.ArgumentParser:
    """The options."""
    style = argparse.RawDescriptionHelpFormatter
    made = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    made.add_argument("--gaussians", type=int, nargs="+", default=[1_000_000, 200_000, 3_000_000])
    made.add_argument("--size", default="1920x1080", help="WIDTHxHEIGHT")
    about_size = "width of the procedural splats; 1.25 gives some four pairs a Gaussian at a million"
    made.add_argument("--splat-size", type=float, default=1.25, help=about_size)
    made.add_argument("--sh-degree", type=int, default=3)
    made.add_argument("--run", type=Path, nargs="*", default=[], help="trained run folders to measure too")
    made.add_argument("--view", type=int, default=0, help="with --run: which camera")
    made.add_argument("--antialias", default="none", choices=("none", "mip"))
    made.add_argument("--rounds", type=int, default=15)
    made.add_argument("--steps", type=int, default=5, help="of each engine in a round")
    made.add_argument("--seconds", type=float, default=30, help="most time for the rounds of a workload")
    made.add_argument("--no-gsplat", action="store_true")
    made.add_argument("--no-atomic", action="store_true")
    made.add_argument("--commit", default="", help="to be recorded; default: asked of git")
    made.add_argument("--json", type=Path)
    made.add_argument("--markdown", type=Path)
    return made


def workloads(options: argparse.Namespace) -> list[Callable[[], Workload]]:
    """What is measured, made when its turn comes."""
    width, height = map(int, options.size.split("x"))
    made: list[Callable[[], Workload]] = [
        lambda n=n: procedural(n, height, width, options.sh_degree, size=options.splat_size)  # type: ignore[misc]
        for n in options.gaussians
    ]
    return made + [lambda r=r: trained(r, options.view, height, width) for r in options.run]  # type: ignore[misc]


def main() -> int:
    """Measure, print, write; 77 where there is no device."""
    options = parser().parse_args()
    if not torch.cuda.is_available():
        print("skipped: no CUDA device")
        return SKIPPED
    device = torch.device("cuda", torch.cuda.current_device())
    gpu = this_gpu(device.index)
    result: dict[str, Any] = {"about": about(device, gpu, options.commit), "cases": []}
    texts = ["\n".join(f"* {name}: {value}" for name, value in result["about"].items())]
    problem = "left out by --no-gsplat" if options.no_gsplat else gsplat_problem()
    if problem:
        texts.append(f"gsplat is not measured: {problem}")
    print("\n\n".join(texts), flush=True)
    for make in workloads(options):
        work = make()
        load = count(work, options.antialias)
        makers = engines(device, options.antialias, not problem, not options.no_atomic)
        rows, notes = measure(work, makers, device, options)
        text = report_case(work, load, gpu, rows, notes)
        print(f"\n{text}", flush=True)
        texts.append(text)
        result["cases"].append(
            {"name": work.name, "load": vars(load), "notes": notes,
             "floor": [vars(term) for term in floor_terms(load, gpu)],
             "engines": {name: row.as_json() for name, row in rows.items()}}
        )  # fmt: skip
        if options.json:  # after each, so that a run that is cut off leaves what it has
            options.json.write_text(json.dumps(result, indent=1) + "\n")
        if options.markdown:
            options.markdown.write_text("\n\n".join(texts) + "\n")
        empty_device(device)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
