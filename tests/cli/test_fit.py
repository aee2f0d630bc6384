"""splat fit from photos on disk to the last command that reads the run, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from splat.cameras import Camera
from splat.capture.types import Pixels, View
from splat.cli import scene_source
from splat.cli.fit import Fit
from splat.cli.fit_view import watch
from splat.cli.main import main
from splat.fit.run import RunFolder
from splat.gaussians import Gaussians
from splat.io import read, write_ply
from splat.io.image import write_image
from splat.rasterize import RenderSettings, rasterize
from splat.viewer import load_scene

QUICK = ["--iterations", "25", "--budget", "300", "--seed", "1", "--sh-degree", "0"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, finished_run: Path, ball: Gaussians) -> Path:
    """A transforms.json of the twelve cameras, with pictures of the scene over white."""
    folder = tmp_path_factory.mktemp("capture") / "my photos"
    frames = []
    for view in scene_source.read_views(finished_run / "cameras.json").views:
        settings = RenderSettings(antialias="mip", background=(1.0, 1.0, 1.0))
        color = rasterize(ball, view.camera, settings, "reference").color
        name = view.name.replace("jpg", "png")
        write_image(folder / "images" / name, (color.clamp(0, 1) * 255).round().to(torch.uint8).numpy())
        to_world = torch.linalg.inv(view.camera.world_to_camera).numpy() @ np.diag([1, -1, -1, 1])
        frames.append({"file_path": f"images/{name}", "transform_matrix": to_world.tolist()})
    lens = {"fl_x": 50.0, "fl_y": 50.0, "cx": 24.0, "cy": 18.0, "w": 48, "h": 36}
    (folder / "transforms.json").write_text(json.dumps({**lens, "frames": frames}))
    return folder


def test_fit_then_every_command_that_reads_the_run(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "result"
    assert main(["fit", str(photos), "--out", str(out), *QUICK]) == 0
    said = capsys.readouterr().out
    assert "12 of 12 photos have a camera" in said
    assert "Training on 10 photos, 2 held out; 48x36" in said
    assert str(out / "splat.ply") in said and str(out / "report.html") in said
    assert f"splat view {out}" in said
    quality = re.search(r"([\d.]+) dB on held-out photos", said)
    metrics = json.loads((out / "metrics.json").read_text())
    assert quality is not None and float(quality[1]) == pytest.approx(metrics["psnr"], abs=0.006)
    assert (out / "report.html").stat().st_size > 1000

    assert main(["eval", str(out), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["psnr"] == pytest.approx(metrics["psnr"], abs=0.01), "the way through the PLY loses nothing"
    assert set(scores["views"]) == set(json.loads((out / "per_view.json").read_text()))
    assert main(["eval", str(out), "--split", "train", "--save", str(tmp_path / "shots")]) == 0
    assert "mean of 10" in capsys.readouterr().out
    assert len(list((tmp_path / "shots").glob("*.render.png"))) == 10

    assert main(["info", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"]["registered"] == 12
    assert main(["render", str(out), "--frames", "2", "--out", str(tmp_path / "frames")]) == 0
    assert main(["convert", str(out), str(tmp_path / "b.ply")]) == 0


@pytest.mark.parametrize(
    "options",
    [
        ["--kernel", "gef", "--antialias", "moment", "--shape-rate", "0.02"],
        ["--kernel", "gef", "--antialias", "exact", "--strategy", "mcmc", "--filter3d"],
        ["--antialias", "analytic", "--frequency-weight", "0.5"],
    ],
)
def test_kernel_and_filter_reach_the_files(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    out = tmp_path / "result"
    assert main(["fit", str(photos), "--out", str(out), *QUICK, *options]) == 0
    capsys.readouterr()
    metrics, config = (json.loads((out / name).read_text()) for name in ("metrics.json", "config.json"))
    scene = read(out / "splat.ply")
    kernel = "gef" if "gef" in options else "gaussian"
    antialias = options[options.index("--antialias") + 1]
    for found in (metrics, config["plan"]):
        assert (found["kernel"], found["antialias"]) == (kernel, antialias)
        assert found["filter3d"] == ("--filter3d" in options)
        assert found["frequency_weight"] == (0.5 if "--frequency-weight" in options else 0.0)
    assert (scene.kernel, scene.antialias) == (kernel, antialias)
    assert (kernel == "gef") == bool((scene.betas - 2).abs().max() > 0.02)
    assert main(["eval", str(out), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["psnr"] == pytest.approx(metrics["psnr"], abs=0.01), "the way through the PLY loses nothing"
    assert main(["eval", str(out), "--json", "--subpixel", "2"]) == 0
    finer = json.loads(capsys.readouterr().out)
    assert finer["psnr"] == pytest.approx(metrics["psnr"], abs=3) and finer["psnr"] != scores["psnr"]
    assert main(["fit", str(photos), "--out", str(out), *QUICK, *options, "--resume"]) == 0


def test_strips_are_scored_and_said(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "result"
    assert main(["fit", str(photos), "--out", str(out), *QUICK, "--antialias", "exact"]) == 0
    scene = read(out / "splat.ply")
    write_ply(out / "splat.ply", replace(scene, log_scales=scene.log_scales - 1.5))
    capsys.readouterr()
    scores = {}
    for strips in (1, 2):
        assert main(["eval", str(out), "--json", "--strips", str(strips)]) == 0
        scores[strips] = json.loads(capsys.readouterr().out)
        said = [scores[strips][name] for name in ("antialias", "strips", "subpixel")]
        assert said == ["exact", strips, 1]
    assert scores[2]["psnr"] == pytest.approx(scores[1]["psnr"], abs=0.5)
    assert scores[2]["psnr"] != scores[1]["psnr"]


def test_background_of_opaque_photos_is_behind_the_scene(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The photos are opaque, of something before a white wall."""
    scores: dict[str, list[float]] = {}
    for name in ("plain", "black", "white"):
        options = [] if name == "plain" else ["--background", name]
        out = tmp_path / name
        assert main(["fit", str(photos), "--out", str(out), *QUICK, *options]) == 0
        capsys.readouterr()
        assert main(["eval", str(out), "--json"]) == 0
        fitted, scored = json.loads((out / "metrics.json").read_text()), json.loads(capsys.readouterr().out)
        scores[name] = [fitted["psnr"], scored["psnr"]]
        assert scores[name][0] == pytest.approx(scores[name][1], abs=0.01)
        expected = (1.0, 1.0, 1.0) if name == "white" else (0.0, 0.0, 0.0)
        assert load_scene(out).background == expected
    assert (tmp_path / "plain/splat.ply").read_bytes() == (tmp_path / "black/splat.ply").read_bytes()
    assert scores["white"][0] > scores["plain"][0] + 5, "the wall needs no splats"

    again = ["fit", str(photos), *QUICK, "--resume", "--out"]
    assert main([*again, str(tmp_path / "white")]) == 0, "the run remembers it"
    assert main([*again, str(tmp_path / "plain"), "--background", "black"]) == 0, "it was black"
    capsys.readouterr()
    assert main([*again, str(tmp_path / "plain"), "--background", "white"]) == 1
    assert "background are not those that this run was begun with" in capsys.readouterr().err


def test_scores_in_between_need_photos_that_are_held_out(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["fit", str(photos), "--out", str(tmp_path / "run"), *QUICK, "--test-every", "0"]
    assert main([*command, "--eval-every", "5"]) == 1
    assert "--eval-every 5 was given, but no photo is held out" in capsys.readouterr().err
    assert main([*command, "--eval-every", "0"]) == 0


def test_random_backgrounds_need_transparency(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["fit", str(photos), "--out", str(tmp_path / "run"), *QUICK, "--random-background"]
    for options in ([], ["--background", "white"]):
        assert main([*command, *options]) == 1
        assert "--random-background was given, but the photos are opaque" in capsys.readouterr().err


def test_watched_photos_stand_before_the_background(tmp_path: Path) -> None:
    clear = Pixels(np.full((2, 3, 3), 200, np.uint8), np.array([[0, 255, 51]] * 2, np.uint8))
    camera = Camera(torch.eye(4), torch.tensor([[5.0, 0, 1.5], [0, 5.0, 1], [0, 0, 1]]), 3, 2)
    capture: Any = SimpleNamespace(
        views=[View("a.png", camera, lambda: clear)], test=[0], background=(1.0, 1.0, 1.0)
    )
    live = watch(capture, lambda _: None)
    try:
        shell = live._shell
        photo = shell._views[0].photo()
        assert photo is not None and photo[:, :, 0].tolist() == [[255, 200, 244]] * 2
        assert shell.scene.background == (1.0, 1.0, 1.0)
    finally:
        live.close()


def test_scene_is_in_the_world_of_the_photos_cameras(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "result"
    assert main(["fit", str(photos), "--out", str(out), *QUICK]) == 0
    given = json.loads((photos / "transforms.json").read_text())["frames"][5]["transform_matrix"]
    found = scene_source.read_views(out / "cameras.json").views[5].camera
    assert np.allclose(found.position.numpy(), np.array(given)[:3, 3], atol=1e-4)


def test_a_run_is_not_replaced_unasked(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "result"
    command = ["fit", str(photos), "--out", str(out), *QUICK]
    assert main(command) == 0
    before = (out / "splat.ply").read_bytes()
    capsys.readouterr()
    assert main([*command, "--seed", "2"]) == 1
    err = capsys.readouterr().err
    assert "already holds a run" in err and "--resume" in err and "--overwrite" in err
    assert (out / "splat.ply").read_bytes() == before
    assert main([*command, "--overwrite", "--iterations", "10"]) == 0
    assert json.loads((out / "metrics.json").read_text())["iterations"] == 10
    assert main([*command, "--overwrite", "--resume"]) == 1


def test_a_new_run_that_cannot_begin_leaves_the_old_one(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "result"
    assert main(["fit", str(photos), "--out", str(out), *QUICK]) == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (tmp_path / "empty").mkdir()
    for wrong in (
        [str(tmp_path / "empty")],
        [str(photos), "--test-every", "1"],
        [str(photos), "--max-memory", "1e-6"],
    ):
        assert main(["fit", *wrong, "--out", str(out), "--overwrite"]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_run_that_was_killed_before_its_first_checkpoint(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "result"
    (out / "sfm/working-abc").mkdir(parents=True)
    (out / "log.jsonl").write_text("")
    command = ["fit", str(photos), "--out", str(out), *QUICK]
    assert main([*command, "--resume"]) == 1
    assert "the same command without --resume" in capsys.readouterr().err
    assert main(command) == 0, "and what it says to do works"
    shutil.rmtree(out / "checkpoints")
    assert main([*command, "--resume"]) == 1
    assert "with --overwrite in place of --resume" in capsys.readouterr().err
    assert (out / "splat.ply").is_file()


def test_insisting_on_the_end_says_what_is_kept(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the held-out photos are scored."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    command = ["fit", str(photos), "--out", str(tmp_path / "result"), *QUICK]
    with monkeypatch.context() as patch:
        patch.setattr("splat.fit.trainer.evaluate", interrupt)
        assert main(command) == 130
    captured = capsys.readouterr()
    assert "with --resume goes on" in captured.out and "Interrupted" in captured.err
    assert main([*command, "--resume"]) == 0
    assert (tmp_path / "result/metrics.json").is_file()


def test_stopped_run_says_so_and_goes_on(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C after the seventh report: exit code 130, a scene, and --resume ends like an unbroken run."""
    import signal

    from splat.cli.progress import PlainDisplay

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main(["fit", str(photos), "--out", str(whole), *QUICK]) == 0
    with monkeypatch.context() as patch:
        show = PlainDisplay.update

        def interrupt(self: PlainDisplay, progress) -> None:
            show(self, progress)
            if progress.phase == "training" and not interrupted:
                interrupted.append(progress.iteration)
                signal.raise_signal(signal.SIGINT)

        interrupted: list[int] = []
        patch.setattr(PlainDisplay, "update", interrupt)
        capsys.readouterr()
        assert main(["fit", str(photos), "--out", str(broken), *QUICK]) == 130
    assert "Stopped early" in capsys.readouterr().out
    assert (broken / "splat.ply").is_file()
    assert main(["fit", str(photos), "--out", str(broken), "--resume", *QUICK]) == 0
    assert (broken / "splat.ply").read_bytes() == (whole / "splat.ply").read_bytes()
    assert len(read(broken / "splat.ply")) > 0


def test_fit_can_be_watched(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", str(photos), "--out", str(tmp_path / "watched"), "--view", *QUICK]) == 0
    assert "Viewer: http://" in capsys.readouterr().out
    assert main(["fit", str(photos), "--out", str(tmp_path / "alone"), *QUICK]) == 0
    scenes = [(tmp_path / name / "splat.ply").read_bytes() for name in ("watched", "alone")]
    assert scenes[0] == scenes[1]


def test_eval_says_when_the_photos_have_gone(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, here, moved = tmp_path / "result", tmp_path / "here", tmp_path / "moved"
    shutil.copytree(photos, here)
    assert main(["fit", str(here), "--out", str(out), *QUICK]) == 0
    here.rename(moved)
    assert main(["eval", str(out)]) == 1
    assert "--source" in capsys.readouterr().err
    assert main(["eval", str(out), "--source", str(moved)]) == 0


def test_eval_refuses_other_photos(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, other = tmp_path / "result", tmp_path / "other"
    assert main(["fit", str(photos), "--out", str(out), *QUICK]) == 0
    shutil.copytree(photos, other)
    (other / "images").rename(other / "pictures")
    (other / "transforms.json").write_text(
        (photos / "transforms.json").read_text().replace("images/", "pictures/")
    )
    assert main(["eval", str(out), "--source", str(other)]) == 1
    assert "12 photos that" in capsys.readouterr().err
    (out / "cameras.json").write_text("{}")
    assert main(["eval", str(out)]) == 1
    assert "cameras.json cannot be used" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["eval", str(out), "--save", str(tmp_path / "file")]) == 1
    assert "--save is" in capsys.readouterr().err


def test_commands_to_copy_are_quoted(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "my run"
    assert main(["fit", str(photos), "--out", str(out), *QUICK]) == 0
    assert f"splat view '{out}'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["--iterations", "0"], "--iterations is 0"),
        (["--sh-degree", "7"], "--sh-degree is 7"),
        (["--kernel", "gef", "--antialias", "analytic"], "--antialias analytic can only integrate Gaussians"),
        (["--shape-rate", "0.01"], "--shape-rate was given, but Gaussians have no edge sharpness"),
        (
            ["--strategy", "mcmc", "--split", "halved"],
            "--split halved was given, but --strategy mcmc does not",
        ),
        (["--resume"], "holds no checkpoint to resume from"),
    ],
)
def test_refused_before_anything_slow(
    tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = [] if arguments[0] == "nowhere" else [str(tmp_path)]
    out = tmp_path / "result"
    out.mkdir()
    assert main(["fit", *source, *arguments, "--out", str(out)]) == 1
    err = capsys.readouterr().err
    assert message in err and "Traceback" not in err


def test_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["fit", str(tmp_path / "empty"), "--out", str(tmp_path / "run")]) == 1
    err = capsys.readouterr().err
    assert "empty" in err and "Traceback" not in err
    RunFolder.create(tmp_path / "run")  # a failed start leaves nothing that bars the next


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        ("garden", "runs/garden"),
        ("garden/images", "runs/garden"),
        ("garden/Photos", "runs/garden"),
        ("clip.mp4", "runs/clip"),
        ("garden/transforms.json", "runs/garden"),
    ],
)
def test_default_folder(tmp_path: Path, source: str, folder: str) -> None:
    path = tmp_path / source
    if path.suffix:
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    else:
        path.mkdir(parents=True)
    assert Fit(path).folder() == Path(folder)
