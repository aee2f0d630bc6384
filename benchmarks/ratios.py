"""What each kernel and pixel filter costs, relative to the plain Gaussian, in one run.

    python benchmarks/ratios.py --threads 2 --json ratios.json
    python benchmarks/ratios.py --run runs/fox --view 20 --size 270x480

One step of each in turn, round after round, so that a slow moment of the machine hits all of them; the
ratios are those of the minima. "forward" is projection, sort, bin and blend.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

from iteration import STAGES, Iteration
from scenes import Workload, add_options, generalised, workload

from splat import native_core

PAIRS = ("gaussian+none", "gaussian+mip", "gaussian+moment", "gaussian+exact", "gaussian+analytic",
         "gef+mip", "gef+moment", "gef+exact")  # fmt: skip
BASE = "gaussian+mip"


def steps_of(work: Workload) -> dict[str, Iteration]:
    """A training step of every pair on the same view."""
    found = {}
    for pair in PAIRS:
        kernel, antialias = pair.split("+")
        scene = generalised(work.gaussians) if kernel == "gef" else work.gaussians
        found[pair] = Iteration(replace(work, gaussians=scene), antialias)
    return found


def measure(steps: dict[str, Iteration], rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each pair: minima over the rounds of forward and of the whole iteration."""
    best = {pair: {"forward": float("inf"), "iteration": float("inf")} for pair in steps}
    for number in range(rounds + 1):
        for pair, step in steps.items():
            stages = step.step()
            if number == 0:
                continue  # warm-up
            forward = sum(stages[name] for name in STAGES[:4])
            for name, seconds in (("forward", forward), ("iteration", stages["iteration"])):
                best[pair][name] = min(best[pair][name], 1e3 * seconds)
    return best


def main() -> None:
    """Parse the options, measure, print, write."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    add_options(parser)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    work = workload(parser, options)
    best = measure(steps_of(work), options.rounds)
    base = best[BASE]
    info = native_core.build_info()
    about = {"scene": work.name, "gaussians": len(work.gaussians), "size": options.size, "isa": info["isa"],
             "threads": info["threads"]}  # fmt: skip
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print(f"{'kernel + filter':<20}{'forward ms':>11}{'ratio':>7}{'iteration ms':>14}{'ratio':>7}")
    for pair, times in best.items():
        forward, whole = times["forward"] / base["forward"], times["iteration"] / base["iteration"]
        print(f"{pair:<20}{times['forward']:>11.2f}{forward:>7.2f}{times['iteration']:>14.2f}{whole:>7.2f}")
    if options.json:
        options.json.write_text(json.dumps({**about, "min_ms": best}, indent=2) + "\n")


if __name__ == "__main__":
    main()
