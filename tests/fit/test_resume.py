"""A run that was killed ends with the bits of one that was not."""

from __future__ import annotations

import json
import multiprocessing
import signal
from pathlib import Path

import pytest
import torch

from splat.errors import SplatError
from splat.fit import checkpoint
from splat.fit.options import FitOptions
from splat.fit.resume import read_saved
from splat.fit.run import RunFolder
from tests.fit.worker import ITERATIONS, run_worker

# Children are forked from a server that has imported everything and started no thread.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.fit.worker"])


def train(folder: Path, strategy: str, resume: bool, steps: int = 0, where: str = "end") -> int:
    """Exit code of a training process of its own."""
    child = PROCESSES.Process(target=run_worker, args=(folder, strategy, resume, steps, where))
    child.start()
    child.join(timeout=200)
    assert child.exitcode in (0, -signal.SIGKILL), "see the traceback on stderr"
    return child.exitcode


def final_state(folder: Path) -> dict[str, torch.Tensor]:
    loaded = checkpoint.load_last(folder / "checkpoints")
    assert loaded.iteration == ITERATIONS
    tensors, _ = checkpoint._split(loaded.state)
    return tensors


def iterations_logged(folder: Path, event: str) -> list[int]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line["iteration"] for line in lines if line["event"] == event]


@pytest.mark.parametrize("strategy", ["mcmc", "adc"])
def test_killed_run_ends_with_the_same_bits(tmp_path: Path, strategy: str) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert train(whole, strategy, resume=False) == 0
    assert train(broken, strategy, resume=False, steps=11, where="step") == -signal.SIGKILL
    assert checkpoint.load_last(broken / "checkpoints").iteration == 8
    assert train(broken, strategy, resume=True, steps=9, where="saving") == -signal.SIGKILL
    assert checkpoint.load_last(broken / "checkpoints").iteration == 16
    assert train(broken, strategy, resume=True) == 0

    expected, found = final_state(whole), final_state(broken)
    assert expected.keys() == found.keys()
    different = [name for name in expected if not torch.equal(expected[name], found[name])]
    assert different == []
    assert len(found["optimisation/scene/parameters/means"]) > 40, "the run must have densified"
    assert (whole / "splat.ply").read_bytes() == (broken / "splat.ply").read_bytes()
    for event in ("densify", "eval", "train", "checkpoint"):
        assert iterations_logged(whole, event) == iterations_logged(broken, event)
    assert len(iterations_logged(whole, "densify")) >= 3
    scores = [json.loads((folder / "metrics.json").read_text())["psnr"] for folder in (whole, broken)]
    assert scores[0] == scores[1]


@pytest.mark.parametrize("where", ["interrupt", "terminate"])
def test_signals_keep_what_there_is_and_resume_goes_on(tmp_path: Path, where: str) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert train(stopped, "mcmc", resume=False, steps=13, where=where) == 0
    metrics = json.loads((stopped / "metrics.json").read_text())
    assert metrics["iterations"] == 13 or metrics["iterations"] == 14
    assert any("stopped" in note for note in metrics["notes"])
    assert (stopped / "splat.ply").exists() and (stopped / "per_view.json").exists()
    assert train(stopped, "mcmc", resume=True) == 0
    assert json.loads((stopped / "metrics.json").read_text())["iterations"] == ITERATIONS
    if where == "interrupt":
        assert train(whole, "mcmc", resume=False) == 0
        expected, found = final_state(whole), final_state(stopped)
        assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_options_of_another_run_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert train(folder, "mcmc", resume=False, steps=3, where="step") == -signal.SIGKILL
    run = RunFolder.open(folder)
    assert read_saved(run, FitOptions(resume=True)).plan.iterations == ITERATIONS
    with pytest.raises(SplatError, match="--iterations 99 was given, but the run was begun with 40"):
        read_saved(run, FitOptions(iterations=99, resume=True))
    with pytest.raises(SplatError, match="--budget 99 was given, but the run was begun with 80"):
        read_saved(run, FitOptions(budget=99, resume=True))
    with pytest.raises(SplatError, match="--max-memory 9.0 was given, but the run was begun without it"):
        read_saved(run, FitOptions(max_memory=9.0, resume=True))
    for option, asked, begun in (
        ("--strategy", {"strategy": "adc"}, "mcmc"),
        ("--sh-degree", {"sh_degree": 3}, "1"),
        ("--seed", {"seed": 0}, "5"),
        ("--frequency-weight", {"frequency_weight": 0.4}, "0.0"),
        ("--preset", {"preset": "preview"}, "default"),
    ):
        words = f"{option} {next(iter(asked.values()))} was given, but the run was begun with {begun}"
        with pytest.raises(SplatError, match=words):
            read_saved(run, FitOptions(resume=True, **asked))  # type: ignore[arg-type]
    for words, more in (
        ("--filter3d was given, but the run was begun without it", {"filter3d": True}),
        ("--split halved was given, but the run was begun without it", {"split": "halved"}),
        ("--shape-rate 0.002 was given, but the run was begun without it", {"shape_rate": 0.002}),
    ):
        with pytest.raises(SplatError, match=words):
            read_saved(run, FitOptions(resume=True, **more))  # type: ignore[arg-type]
    begun_with = FitOptions(
        strategy="mcmc", sh_degree=1, seed=5, frequency_weight=0.0, sh_every=1, resume=True
    )
    assert read_saved(run, begun_with).plan.seed == 5
    assert read_saved(run, FitOptions(budget=80, max_seconds=9.0, resume=True)).plan.budget == 80


def test_a_plan_that_gave_way_is_resumed_by_the_same_command(tmp_path: Path) -> None:
    """The plan has fewer Gaussians and iterations than were asked for."""
    folder = tmp_path / "run"
    assert train(folder, "mcmc", resume=False, steps=3, where="step") == -signal.SIGKILL
    run = RunFolder.open(folder)
    config = run.read_json(run.config)
    config["fit"] |= {"budget": 5000, "iterations": 900, "max_memory": 2.0}
    run.write_json(run.config, config)
    asked = FitOptions(budget=5000, iterations=900, max_memory=2.0, resume=True)
    plan = read_saved(run, asked).plan
    assert (plan.budget, plan.iterations) == (80, ITERATIONS)
    with pytest.raises(SplatError, match="--budget 4000 was given, but the run was begun with 80"):
        read_saved(run, FitOptions(budget=4000, resume=True))
