"""What the GPU benchmark does without a GPU: the floor's arithmetic, tables, options, counting."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import gpu  # noqa: E402
from gpu_engines import GsplatStep, OurStep, gsplat_problem  # noqa: E402
from gpu_floor import Gpu, Load, floor_milliseconds, floor_terms  # noqa: E402
from gpu_tables import Measured, floor_table, ratio_lines, times_table  # noqa: E402
from scenes import procedural  # noqa: E402

H200 = Gpu("H200", 132, 1.98e9, 4.8e12)
MILLION = Load(1_000_000, 1_000_000, 1920 * 1080, 4_000_000, 1_024_000_000, 358_400_000)


def test_the_floor_is_the_one_worked_out_by_hand() -> None:
    terms = {(term.name, term.what): term for term in floor_terms(MILLION, H200)}
    megabytes = {name: term.amount / 1e6 for (name, what), term in terms.items() if what == "memory"}
    assert megabytes == pytest.approx(
        {"project and SH": 284, "sort and bin": 244, "blend": 89.5, "loss": 56, "blend backward": 154.4,
         "project backward and Adam": 1464}, rel=0.002
    )  # fmt: skip
    assert terms["blend", "arithmetic"].milliseconds == pytest.approx(0.51, abs=0.01)
    assert terms["blend backward", "arithmetic"].milliseconds == pytest.approx(1.18, abs=0.01)
    assert floor_milliseconds(list(terms.values())) == pytest.approx(0.48 + 0.51 + 1.18, abs=0.02)


def test_the_floor_falls_with_what_is_not_seen_and_with_the_degree() -> None:
    whole = floor_milliseconds(floor_terms(MILLION, H200))
    assert floor_milliseconds(floor_terms(replace(MILLION, visible=700_000), H200)) < whole
    hidden = floor_terms(replace(MILLION, visible=0), H200)
    (adam,) = (term.amount for term in hidden if term.name == "project backward and Adam")
    assert adam == 1_000_000 * 6 * 44, "colours of what is not seen stay"
    flat = replace(MILLION, coefficients=1)
    assert flat.parameter_bytes == 56
    assert floor_milliseconds(floor_terms(flat, H200)) < whole


def test_tables() -> None:
    ours, theirs = Measured(peak_bytes=2**30), Measured(peak_bytes=3 * 2**30)
    for milliseconds in (2.0, 3.0, 2.5):
        ours.add({"forward": 1.0, "iteration": milliseconds})
        theirs.add({"iteration": 4 * milliseconds})
    rows = {"splat": ours, "splat, atomic": ours, "gsplat": theirs}
    table = times_table(rows, ("forward", "iteration"))
    assert "| splat | 1.000 (1.000) | 2.500 (2.000) | 1,024 | 0 |" in table
    assert "| gsplat | - | 10.000 (8.000) | 3,072 | 0 |" in table
    lines = ratio_lines(rows, 1.25)
    assert lines[0].endswith("is 50% of it.") and len(lines) == 2
    assert lines[1] == "gsplat takes 4.00 times as long; splat's peak memory is 33% of its."
    assert ours.as_json()["median_ms"] == {"forward": 1.0, "iteration": 2.5}
    page = floor_table(floor_terms(MILLION, H200), {"blend": 0.5})
    assert "| blend, memory | 89 MB | 0.019 |" in page and "| blend | 0.500 |" in page


def test_options_make_the_workloads() -> None:
    options = gpu.parser().parse_args(["--gaussians", "100", "300", "--size", "48x32"])
    works = [make() for make in gpu.workloads(options)]
    assert [len(work.gaussians) for work in works] == [100, 300]
    assert (works[0].camera.width, works[0].camera.height) == (48, 32)
    larger = (
        procedural(100, 32, 48, 3, size=2.0).gaussians.log_scales
        - procedural(100, 32, 48, 3).gaussians.log_scales
    )
    assert torch.allclose(larger, torch.tensor(2.0).log())


def test_the_work_is_counted() -> None:
    load = gpu.count(procedural(400, 64, 96, 3), "none")
    assert 0 < load.visible < load.gaussians == 400
    assert load.pixels == 96 * 64 and load.visible <= load.pairs
    assert 0 < load.useful <= load.evaluations
    assert load.parameter_bytes == 236


def test_our_step_is_a_training_step() -> None:
    """The same code as on a device, on the processor: every part is marked, the scene stays."""
    work = procedural(300, 32, 48, 3)
    step = OurStep(work, torch.device("cpu"), "none", True)
    before = step.scene.gaussians.means.detach().clone()
    marks: list[str] = []
    step.run(marks.append)
    assert marks == ["forward", "loss", "backward", "Adam"]
    assert not torch.equal(step.scene.gaussians.means, before)
    assert torch.allclose(step.scene.gaussians.means, before, atol=1e-7)
    assert step.image().shape == (32, 48, 3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a device")
def test_without_a_device_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    assert gpu.main() == gpu.SKIPPED
    assert "skipped: no CUDA device" in capsys.readouterr().out


def test_gsplat_gets_the_same_scene_and_view() -> None:
    pytest.importorskip("gsplat")
    work = procedural(50, 32, 48, 2)
    step = GsplatStep(work, torch.device("cpu"), "mip", our_loss=True)
    assert step.view["sh_degree"] == 2
    assert (step.view["width"], step.view["height"], step.view["eps2d"]) == (48, 32, 0.1)
    assert {name: tuple(t.shape[1:]) for name, t in step.tensors.items()} == {
        "means": (3,), "scales": (3,), "quats": (4,), "opacities": (), "sh0": (1, 3), "shN": (8, 3)
    }  # fmt: skip
    assert gsplat_problem() or torch.cuda.is_available()
