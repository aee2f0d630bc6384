"""splat convert and splat info."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from splat.cli.main import main
from splat.gaussians import Gaussians
from splat.io import read, read_ply, write_ply


def test_convert_keeps_every_bit(splat_file: Path, tmp_path: Path) -> None:
    assert main(["convert", str(splat_file), str(tmp_path / "b.ply")]) == 0
    assert (tmp_path / "b.ply").read_bytes() == splat_file.read_bytes()


def test_convert_a_run_to_fewer_coefficients(run_folder: Path, tmp_path: Path, scene: Gaussians) -> None:
    assert main(["convert", str(run_folder), str(tmp_path / "b.ply"), "--sh-degree", "0"]) == 0
    found = read(tmp_path / "b.ply")
    assert torch.equal(found.sh, scene.sh[:, :1])
    assert found.antialias == "mip"


def test_convert_cannot_invent_coefficients(splat_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = splat_file.with_name("b.ply")
    assert main(["convert", str(splat_file), str(out), "--sh-degree", "3"]) == 1
    assert "has degree 1" in capsys.readouterr().err
    assert not out.exists()


def test_convert_degree_that_does_not_exist(splat_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(splat_file), str(splat_file.with_name("b.ply")), "--sh-degree", "7"]) == 1
    assert "Expected: 0, 1, 2 or 3" in capsys.readouterr().err


def test_convert_refuses_to_overwrite(splat_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = splat_file.read_bytes()
    assert main(["convert", str(splat_file), str(splat_file), "--sh-degree", "0"]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert splat_file.read_bytes() == before
    assert main(["convert", str(splat_file), str(splat_file), "--sh-degree", "0", "--overwrite"]) == 0
    assert read(splat_file).sh_degree == 0


def test_convert_unknown_format(splat_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(splat_file), "b.xyz"]) == 1
    assert "Expected: .ply" in capsys.readouterr().err


def test_convert_drops_what_is_no_splat(
    splat_file: Path, scene: Gaussians, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(splat_file.read_bytes())
    data[-8:-4] = b"\xff\xff\xff\x7f"  # a NaN in the last splat's rotation
    splat_file.write_bytes(data)
    clean = splat_file.with_name("clean.ply")
    assert main(["convert", str(splat_file), str(clean)]) == 1
    assert "--drop-invalid" in capsys.readouterr().err
    assert main(["convert", str(splat_file), str(clean), "--drop-invalid"]) == 0
    assert "1 of 60 splats left out" in capsys.readouterr().out
    assert torch.equal(read_ply(clean).means, scene.means[:-1])


def test_info_as_json(run_folder: Path, scene: Gaussians, capsys: pytest.CaptureFixture[str]) -> None:
    scene.log_scales[:30, 1] = -1.0
    scene.logit_opacities[:6] = -4.0
    write_ply(run_folder / "splat.ply", scene)
    assert main(["info", str(run_folder), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["gaussians"], facts["sh_degree"], facts["kernel"], facts["antialias"]) == (
        60, 1, "gaussian", "mip",
    )  # fmt: skip
    assert facts["opacity"] == pytest.approx([0.018, 0.018, 0.982, 0.982, 0.982], abs=1e-3)
    assert facts["scale"][0] == pytest.approx(0.0821, abs=1e-3)
    assert facts["scale"][4] == pytest.approx(0.3679, abs=1e-3)
    assert facts["low"][2] == pytest.approx(1.8, abs=0.2) and facts["high"][2] == pytest.approx(2.2, abs=0.2)
    assert facts["run"] == {"psnr": 30.5, "ssim": 0.9}


def test_info_as_text(splat_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(splat_file)]) == 0
    out = capsys.readouterr().out
    for words in ("60", "SH degree", "mip", "gaussian", "Opacity"):
        assert words in out


def test_info_of_a_run_has_its_scores(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(run_folder)]) == 0
    assert "Held-out PSNR (dB)" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["info", "view", "render"])
def test_nothing_there(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, str(tmp_path / "nowhere")]) == 1
    assert "nowhere does not exist" in capsys.readouterr().err
    assert main([command, str(tmp_path / "none.ply")]) == 1
    assert "none.ply" in capsys.readouterr().err
    assert main([command, str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert "run" in captured.err and "Traceback" not in captured.err


def test_unfinished_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "checkpoints").mkdir()
    assert main(["info", str(tmp_path)]) == 1
    assert "--resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "file"), [("info", "metrics.json"), ("eval", "config.json"), ("render", "cameras.json")]
)
def test_json_of_a_run_that_is_no_object(
    command: str, file: str, run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_folder / file).write_text("[1]")
    assert main([command, str(run_folder)]) == 1
    assert f"{file} cannot be" in capsys.readouterr().err
