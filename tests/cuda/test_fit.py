"""A whole fit on the CUDA driver: the same scene as on the processor, and the same bits twice."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from splat.fit.options import FitOptions
from splat.fit.progress import FitResult
from splat.fit.run import RunFolder
from splat.fit.trainer import fit
from tests.cuda.emulated import EmulatedCore
from tests.fit.synthetic import synthetic_capture

CAPTURE = synthetic_capture()


def train(folder: Path, **changes: object) -> FitResult:
    options: dict[str, object] = {
        "iterations": 12,
        "budget": 60,
        "max_memory": 4.0,
        "threads": 1,
        "sh_degree": 2,
    }
    return fit(CAPTURE, RunFolder.create(folder), FitOptions(**{**options, **changes}))  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{}, {"kernel": "gef", "antialias": "moment"}], ids=["gaussian", "gef"])
def test_learns_what_the_processor_learns(
    changes: dict[str, object], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    here = train(tmp_path / "cpu", iterations=3, **changes)
    request.getfixturevalue("emulated_backend")
    there = train(tmp_path / "cuda", iterations=3, **changes)
    assert here.psnr is not None and there.psnr == pytest.approx(here.psnr, abs=1e-3)
    for name, value in here.gaussians.parameters().items():
        if name != "quats":  # round Gaussians' have no gradient but rounding, of which Adam makes full steps
            torch.testing.assert_close(there.gaussians.parameters()[name], value, rtol=1e-3, atol=1e-3)


def test_same_bits_whatever_the_order_of_threads(tmp_path: Path, emulated_backend: EmulatedCore) -> None:
    first = train(tmp_path / "first")
    second = train(tmp_path / "second")  # the emulator goes on with another order
    assert first.gaussians.means.shape[0] > 30, "rows were added on the way"
    for name, value in first.gaussians.parameters().items():
        assert torch.equal(second.gaussians.parameters()[name], value), name
