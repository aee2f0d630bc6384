"""What the training benchmark does without a GPU: rows, tables, gsplat's settings, our side of it."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import gpu_train  # noqa: E402
from gpu_train import Row, table, train_all  # noqa: E402
from gpu_trainer import as_gaussians, optimizers_of, start_tensors  # noqa: E402

from splat.fit.engine import Engine  # noqa: E402
from splat.fit.initialise import first_gaussians  # noqa: E402
from tests.fit.synthetic import synthetic_capture  # noqa: E402

CPU = torch.device("cpu")


def asked(*options: str) -> argparse.Namespace:
    return gpu_train.parser().parse_args(["--data", ".", *options])


def test_the_table_compares_with_gsplat() -> None:
    theirs = Row("gsplat", 30.0, 0.9, 40.0, 2**30, 1_000, 7000)
    ours = replace(theirs, engine="splat", psnr=30.25, seconds=10.0)
    lines = table([theirs, ours]).splitlines()
    assert "| gsplat | 30.00 | 0.9000 | 40.0 | - | - | 1,000 | 7,000 | 1,024 |" in lines
    assert "| splat | 30.25 | 0.9000 | 10.0 | +0.25 | 25% | 1,000 | 7,000 | 1,024 |" in lines
    assert "| splat | 30.25 | 0.9000 | 10.0 | - | - |" in table([ours])


def test_our_side_trains_and_is_scored() -> None:
    rows, notes = train_all(
        synthetic_capture(),
        CPU,
        asked("--iterations", "30", "--preset", "preview"),
        False,
        time.monotonic() + 60,
    )
    assert notes == [] and len(rows) == 1
    (row,) = rows
    assert (row.engine, row.iterations) == ("splat", 30)
    assert row.gaussians > 0 and 5 < row.psnr < 60 and 0 < row.seconds < 60


def test_gsplats_side_has_the_documented_rates() -> None:
    capture = synthetic_capture()
    first, _ = first_gaussians(capture, 1000, 3, "none", 0, Engine("native"))
    tensors = start_tensors(first, CPU)
    rates = {name: o.param_groups[0]["lr"] for name, o in optimizers_of(tensors, 2.0).items()}
    assert rates == pytest.approx(
        {"means": 3.2e-4, "scales": 5e-3, "quats": 1e-3, "opacities": 5e-2, "sh0": 2.5e-3, "shN": 1.25e-4}
    )
    again = as_gaussians(tensors)
    for name, value in first.parameters().items():
        torch.testing.assert_close(getattr(again, name), value)
    strategy = pytest.importorskip("gsplat").DefaultStrategy()
    strategy.check_sanity(tensors, optimizers_of(tensors, 2.0))


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a device")
def test_without_a_device_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_train.py", "--data", "."])
    assert gpu_train.main() == gpu_train.SKIPPED
    assert "skipped: no CUDA device" in capsys.readouterr().out
