"""splat convert --fold, and info on what it makes."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from splat.cli import fold_loss
from splat.cli.main import main
from splat.gaussians import Gaussians
from splat.io import read, write_ply


@pytest.fixture(autouse=True)
def reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend that can draw everything."""
    from splat.fit.engine import Engine

    monkeypatch.setattr(fold_loss, "choose_engine", lambda: Engine("reference"))


def with_beta(scene: Gaussians, beta: float) -> Gaussians:
    part = (beta - 1.2) / 6.8
    return replace(scene, kernel="gef", shape=torch.full((len(scene),), math.log(part / (1 - part))))


def test_exponent_two_is_identical(
    run_folder: Path, tmp_path: Path, scene: Gaussians, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ply(run_folder / "splat.ply", with_beta(scene, 2.0))
    assert main(["convert", str(run_folder), str(tmp_path / "b.ply"), "--fold"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "2 held-out cameras of the run: identical." in out
    assert "dB on average" in out  # a viewer that ignores the filter
    found = read(tmp_path / "b.ply")
    assert (found.kernel, found.antialias) == ("gaussian", "mip")
    assert torch.allclose(found.logit_opacities, scene.logit_opacities, atol=1e-4)


def test_edges_are_lost_and_it_is_said(
    splat_file: Path, scene: Gaussians, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold_loss, "_ORBIT_LENS", fold_loss.Lens(48, 36, 45.0))
    write_ply(splat_file, with_beta(scene, 6.0))
    out_file = splat_file.with_name("b.ply")
    assert main(["convert", str(splat_file), str(out_file), "--fold"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    found = re.search(
        r"8 views round the scene: ([\d.]+) dB on average, ([\d.]+) dB at worst \(view \d\)", out
    )
    assert found, out
    assert 15 < float(found[2]) <= float(found[1]) < 45
    assert "60 of 60 splats would need an opacity above 1" in out
    assert main(["info", str(out_file), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["kernel"], facts["beta"]) == ("gaussian", None)


def test_the_loss_is_the_psnr_of_the_pictures(scene: Gaussians, run_folder: Path) -> None:
    views, settings, _ = fold_loss.comparison_views(scene, run_folder)
    assert [view.name for view in views] == ["00.jpg", "08.jpg"]
    assert settings.background == (1.0, 1.0, 1.0)
    white = replace(scene, logit_opacities=torch.full((60,), -20.0))
    black = replace(white, sh=torch.zeros_like(white.sh))
    assert fold_loss.fold_loss(white, black, views, settings).words() == "identical"
    loss = fold_loss.fold_loss(scene, white, views, settings)
    pictures = [fold_loss._picture(scene, view.camera, settings) for view in views]
    expected = [-10 * math.log10(float(((picture - 1) ** 2).mean())) for picture in pictures]
    assert loss.mean == pytest.approx(sum(expected) / 2)
    assert loss.worst == pytest.approx(min(expected))
    assert loss.worst_view == views[expected.index(min(expected))].name


def test_a_plain_scene_is_the_same_file(
    splat_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold_loss, "_ORBIT_LENS", fold_loss.Lens(24, 18, 22.0))
    out_file = splat_file.with_name("b.ply")
    assert main(["convert", str(splat_file), str(out_file), "--fold"]) == 0
    assert out_file.read_bytes() == splat_file.read_bytes()
    assert "round the scene: identical." in " ".join(capsys.readouterr().out.split())


def test_nothing_is_written_where_the_loss_cannot_be_told(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_folder / "cameras.json").write_text('{"views": []}')
    assert main(["convert", str(run_folder), str(tmp_path / "b.ply"), "--fold"]) == 1
    assert "it lists no cameras" in capsys.readouterr().err
    assert not (tmp_path / "b.ply").exists()


def test_without_fold_the_exponents_stay(splat_file: Path, scene: Gaussians) -> None:
    write_ply(splat_file, with_beta(scene, 3.0))
    out_file = splat_file.with_name("b.ply")
    assert main(["convert", str(splat_file), str(out_file)]) == 0
    found = read(out_file)
    assert found.kernel == "gef" and torch.allclose(found.betas, torch.tensor(3.0), atol=1e-6)


def test_info_shows_the_exponents(
    splat_file: Path, scene: Gaussians, capsys: pytest.CaptureFixture[str]
) -> None:
    many = with_beta(scene, 2.0)
    assert many.shape is not None
    many.shape[:20] = 0.0  # beta = 4.6
    write_ply(splat_file, replace(many, antialias="exact"))
    assert main(["info", str(splat_file)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"Kernel\s+gef", out) and re.search(r"Antialias\s+exact", out)
    assert re.search(r"Exponent \(beta\)\s+2\s+2\s+2\s+4\.6\s+4\.6", out)
    assert main(["info", str(splat_file), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["kernel"] == "gef" and facts["antialias"] == "exact"
    assert facts["beta"] == pytest.approx([2, 2, 2, 4.6, 4.6], abs=1e-6)
