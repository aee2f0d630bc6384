"""One training iteration, stage by stage: render, loss, backward, Adam; everything included.

    python benchmarks/iteration.py --gaussians 50000 --size 270x480 --threads 2 --json out.json

Prints the median and the minimum over the repeats, nanoseconds per useful evaluation (a splat-pixel
pair with alpha >= 1/255 at an unfinished pixel), and, at a tenth of the image size, the same work in
the PyTorch reference beside it, in the same run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from scenes import Workload, add_options, generalised, workload

from splat import native_core
from splat.device_core import core_for
from splat.fit.engine import Engine
from splat.fit.losses import PhotometricLoss, photometric_loss
from splat.fit.scene import TrainedScene
from splat.gaussians import Gaussians
from splat.rasterize import RenderSettings, rasterize
from splat.rasterize.direct import DirectPass

clock = time.perf_counter
RATES = dict.fromkeys(("means", "quats", "log_scales", "logit_opacities", "sh0", "sh_rest", "shape"), 1e-7)
STAGES = ("project + SH", "sort", "bin", "blend", "blend backward", "project backward")


def idle_frames() -> list[Any]:
    """The processor core's frames that nobody uses; the last one is the last to have been used."""
    return core_for(torch.device("cpu")).idle  # type: ignore[attr-defined]


class Iteration:
    """A training step on a fixed view with negligible learning rates, timed by stage."""

    def __init__(self, work: Workload, antialias: str) -> None:
        self.work = work
        self.scene = TrainedScene(work.gaussians, RATES, Engine("native"))
        self.settings = RenderSettings(antialias=antialias)  # type: ignore[arg-type]
        self.direct = DirectPass(torch.device("cpu"))

    def step(self) -> dict[str, float]:
        """Seconds by stage."""
        begin = clock()
        scene = self.scene
        rendered = self.direct.render(scene.gaussians, self.work.camera, self.settings)
        forward = clock()
        loss, v_color = PhotometricLoss().with_gradient(rendered.color, self.work.photo)
        lossed = clock()
        target = scene.gradient_target(RATES)
        self.direct.backward(v_color, target)
        scene.adopt(target)
        backward = clock()
        scene.step(RATES)
        scene.clear_gradients()
        end = clock()
        del rendered, loss, v_color
        stages = dict(zip(STAGES, idle_frames()[-1].seconds, strict=True))
        inside = sum(stages.values())
        stages["loss"] = lossed - forward
        stages["Adam"] = end - backward
        stages["Python and autograd"] = (forward - begin) + (backward - lossed) - inside
        stages["iteration"] = end - begin
        return stages


def measure(step: Callable[[], dict[str, float]], repeats: int) -> dict[str, list[float]]:
    """Milliseconds by stage over the repeats, after three rounds of warm-up."""
    for _ in range(3):
        step()
    rounds = [step() for _ in range(repeats)]
    return {name: [1e3 * r[name] for r in rounds] for name in rounds[0]}


def reference_ratio(work: Workload, antialias: str) -> dict[str, float]:
    """Forward + backward at a tenth of the size: reference and native seconds, same run."""
    width, height = max(work.camera.width // 10, 8), max(work.camera.height // 10, 8)
    small = replace(
        work,
        camera=work.camera.resized(width, height),
        photo=torch.nn.functional.interpolate(
            work.photo.permute(2, 0, 1)[None], (height, width), mode="area"
        )[0]
        .permute(1, 2, 0)
        .contiguous(),
    )
    seconds: dict[str, float] = {}
    for backend in ("reference", "native"):
        leaves: dict[str, Any] = {
            k: v.clone().requires_grad_() for k, v in work.gaussians.parameters().items()
        }
        scene = Gaussians(**leaves)
        times = []
        for _ in range(1 if backend == "reference" else 5):
            begin = clock()
            settings = RenderSettings(antialias=antialias)  # type: ignore[arg-type]
            image = rasterize(scene, small.camera, settings, backend).color  # type: ignore[arg-type]
            photometric_loss(image, small.photo).backward()
            times.append(clock() - begin)
        seconds[backend] = min(times)
    return seconds


def main() -> None:
    """Parse the options, measure, print, write."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    add_options(parser)
    parser.add_argument("--antialias", default="none")
    parser.add_argument("--kernel", default="gaussian", choices=("gaussian", "gef"))
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--no-reference", action="store_true")
    parser.add_argument("--cpu-time", action="store_true", help="process CPU time instead of wall time")
    options = parser.parse_args()

    global clock
    if options.cpu_time:
        clock = time.process_time
    work = workload(parser, options)
    width, height = work.camera.width, work.camera.height
    module = native_core.load()
    if options.kernel == "gef" and work.gaussians.kernel == "gaussian":
        work = replace(work, gaussians=generalised(work.gaussians))
    iteration = Iteration(work, options.antialias)
    rates = [module.fma_rate()]
    times = measure(iteration.step, options.repeats)
    rates.append(module.fma_rate())
    rate = statistics.mean(rates)
    frame = idle_frames()[-1]
    with torch.no_grad():
        rasterize(work.gaussians, work.camera, iteration.settings, "native")
    useful = frame.useful()
    info = native_core.build_info()
    print(
        f"{work.name}, {options.kernel} + {options.antialias}: {len(work.gaussians)} Gaussians "
        f"({frame.visible} visible), {width}x{height}, "
        f"{info['isa']}, {info['threads']} threads"
    )
    print(
        f"{useful / 1e6:.2f} M useful evaluations ({useful / (width * height):.0f} per pixel), "
        f"{frame.intersections} splat-tile pairs, {frame.hits} that count, "
        f"{frame.hit_lanes / 1e6:.2f} M lanes in vectors that count"
    )
    print(
        f"this processor now: {rate / 1e9:.2f} G vector FMA/s on one thread; an iteration takes "
        f"{min(times['iteration']) * 1e-3 * rate / 1e6:.1f} M of them (minimum)"
    )
    print(f"{'stage':<22}{'median ms':>11}{'min ms':>9}{'ns/useful':>11}")
    for name, values in times.items():
        each = 1e6 * statistics.median(values) / useful
        print(f"{name:<22}{statistics.median(values):>11.2f}{min(values):>9.2f}{each:>11.2f}")
    result = {
        "scene": work.name,
        "kernel": options.kernel,
        "antialias": options.antialias,
        "gaussians": len(work.gaussians),
        "width": width,
        "height": height,
        "isa": info["isa"],
        "threads": info["threads"],
        "useful_evaluations": useful,
        "vector_fma_per_second": rate,
        "median_ms": {k: statistics.median(v) for k, v in times.items()},
        "min_ms": {k: min(v) for k, v in times.items()},
    }
    if not options.no_reference:
        seconds = reference_ratio(work, options.antialias)
        result["reference_tenth_size_s"] = seconds
        ratio = seconds["reference"] / seconds["native"]
        print(
            f"at a tenth of the size, forward + loss + backward: reference {seconds['reference']:.2f} s, "
            f"native {1e3 * seconds['native']:.1f} ms, ratio {ratio:.0f}"
        )
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
