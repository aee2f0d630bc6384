"""splat render."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from splat.cli.main import main
from splat.cli.render_output import to_uint8
from splat.cli.scene_source import find_views
from splat.io import read, write_ply
from splat.io.image import read_image
from splat.rasterize import RenderSettings, rasterize

TINY = ["--backend", "reference"]


def red_at_the_middle(image: np.ndarray, background: int) -> bool:
    height, width = image.shape[:2]
    red = image[height // 2, width // 2]
    return bool(red[0] > 180 and red[1] < 60 and (np.abs(image[1, 1].astype(int) - background) < 3).all())


def test_orbit_of_a_run_over_its_background(run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "frames"
    assert main(["render", str(run_folder), "--out", str(out), "--frames", "3", *TINY]) == 0
    assert sorted(file.name for file in out.iterdir()) == ["0000.png", "0001.png", "0002.png", "cameras.json"]
    for index in range(3):
        image = read_image(out / f"{index:04d}.png")
        assert image.shape == (36, 48, 3)
        assert red_at_the_middle(image, 255)


def test_sub_pixels_are_those_of_a_picture_twice_as_large(run_folder: Path, tmp_path: Path) -> None:
    fine = read(run_folder / "splat.ply")
    write_ply(run_folder / "splat.ply", replace(fine, log_scales=fine.log_scales - 1.4))
    common = [str(run_folder), "--path", str(run_folder / "cameras.json"), *TINY]
    for name, more in (("one", []), ("two", ["--subpixel", "2"]), ("large", ["--size", "96", "72"])):
        assert main(["render", *common, *more, "--out", str(tmp_path / name)]) == 0
    one, two, large = (
        read_image(tmp_path / name / "0002.png").astype(float) for name in ("one", "two", "large")
    )
    mean = large.reshape(36, 2, 48, 2, 3).mean((1, 3))
    assert np.abs(two - mean).max() <= 1, "rounding"
    assert np.abs(two - one).max() > 5


def test_strips_reach_the_picture(run_folder: Path, tmp_path: Path) -> None:
    ball = read(run_folder / "splat.ply")
    needles = torch.tensor([-2.5, -5.0, -5.0]).expand(60, 3)
    turns = torch.randn(60, 4, generator=torch.Generator().manual_seed(1))
    write_ply(run_folder / "splat.ply", replace(ball, log_scales=needles, quats=turns, antialias="exact"))
    fine, known = read(run_folder / "splat.ply"), find_views(run_folder)
    assert known is not None
    pictures = []
    for strips in (1, 2):
        out = tmp_path / str(strips)
        common = [str(run_folder), "--path", str(run_folder / "cameras.json"), *TINY]
        assert main(["render", *common, "--strips", str(strips), "--out", str(out)]) == 0
        settings = RenderSettings("exact", strips=strips, background=(1.0, 1.0, 1.0))
        wanted = to_uint8(rasterize(fine, known.views[2].camera, settings, "reference").color)
        pictures.append(read_image(out / "0002.png").astype(int))
        assert np.array_equal(pictures[-1], wanted)
    assert (pictures[0] != pictures[1]).any()


@pytest.mark.parametrize("command", [["render"], ["eval"]])
def test_strips_are_refused_where_nothing_is_cut(
    run_folder: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The scene was trained with mip."""
    assert main([*command, str(run_folder), "--strips", "2"]) == 1
    assert "the scene's pixel filter, mip, cuts no pixel in strips" in capsys.readouterr().err
    assert not (run_folder / "orbit.mp4").exists()


def test_units_do_not_matter(run_folder: Path, tmp_path: Path) -> None:
    """A scene a ten-thousandth the size is not cut by the near limit."""
    picture = tmp_path / "a/0000.png"
    command = ["render", str(run_folder), "--frames", "1", *TINY]
    assert main([*command, "--out", str(picture.parent)]) == 0
    shrunk = 1e-4
    write_ply(run_folder / "splat.ply", read(run_folder / "splat.ply").scaled(shrunk, torch.zeros(3)))
    content = json.loads((run_folder / "cameras.json").read_text())
    content["transform"] = (np.array(content["transform"]) * [1 / shrunk, 1 / shrunk, 1 / shrunk, 1]).tolist()
    for view in content["views"]:
        for row in view["world_to_camera"][:3]:
            row[3] *= shrunk
    (run_folder / "cameras.json").write_text(json.dumps(content))
    assert main([*command, "--out", str(tmp_path / "b")]) == 0
    difference = read_image(picture).astype(int) - read_image(tmp_path / "b/0000.png")
    assert np.abs(difference).max() <= 2


def test_lone_file_over_black(splat_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "frames"
    arguments = ["--frames", "2", "--size", "64", "48", *TINY]
    assert main(["render", str(splat_file), "--out", str(out), *arguments]) == 0
    assert red_at_the_middle(read_image(out / "0001.png"), 0)


def test_video_beside_the_scene(run_folder: Path) -> None:
    assert main(["render", str(run_folder), "--path", "training", "--frames", "3", "--depth", *TINY]) == 0
    for name in ("training.mp4", "training.depth.mp4"):
        capture = cv2.VideoCapture(str(run_folder / name))
        assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 3
        assert capture.read()[1].shape == (36, 48, 3)


def test_depth_is_in_world_units(run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "frames"
    assert main(["render", str(run_folder), "--out", str(out), "--frames", "2", "--depth", *TINY]) == 0
    unit = json.loads((out / "cameras.json").read_text())["depth_unit"]
    depth = np.asarray(cv2.imread(str(out / "0001.depth.png"), cv2.IMREAD_UNCHANGED))
    assert depth.dtype == np.uint16
    assert depth[18, 24] * unit == pytest.approx(np.hypot(2, 0.6), abs=0.35)
    assert depth[1, 1] == 0


def test_cameras_file_gives_each_camera_a_frame(run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "frames"
    path = run_folder / "cameras.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({"views": content["views"][::5]}))
    assert main(["render", str(run_folder), "--path", str(path), "--out", str(out), *TINY]) == 0
    written = json.loads((out / "cameras.json").read_text())["views"]
    given = json.loads(path.read_text())["views"]
    assert [view["world_to_camera"] for view in written] == [view["world_to_camera"] for view in given]
    again = tmp_path / "again"
    arguments = ["--path", str(out / "cameras.json"), "--frames", "2", "--out", str(again), *TINY]
    assert main(["render", str(run_folder), *arguments]) == 0
    assert len(list(again.glob("*.png"))) == 2


def test_overwrites_its_own_frames_when_asked(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "frames"
    command = ["render", str(run_folder), "--out", str(out), *TINY]
    assert main([*command, "--frames", "3"]) == 0
    (out / "mine.png").write_bytes(b"mine")
    assert main([*command, "--frames", "2"]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert (out / "0002.png").exists()
    assert main([*command, "--frames", "2", "--overwrite"]) == 0
    assert sorted(file.name for file in out.glob("*.png")) == ["0000.png", "0001.png", "mine.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--path", "training"], "no training path"),
        (["--path", "orbti"], "expected: orbit, training, or a cameras.json"),
        (["--frames", "0"], "--frames is 0"),
        (["--size", "0", "5"], "--size is 0 5"),
        (["--out", "a.gif"], "name ending in .mp4"),
    ],
)
def test_what_cannot_be_rendered(
    splat_file: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", str(splat_file), *arguments]) == 1
    err = capsys.readouterr().err
    assert message.lower() in err.lower()
    assert "Traceback" not in err


def test_a_run_folder_is_no_place_for_pictures(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its cameras.json would be replaced by that of the path."""
    before = (run_folder / "cameras.json").read_bytes()
    command = ["render", str(run_folder), "--frames", "1", "--out", str(run_folder), "--overwrite"]
    assert main(command) == 1
    assert "is a run folder" in capsys.readouterr().err
    assert (run_folder / "cameras.json").read_bytes() == before


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"views": []}', '{"views": [{"world_to_camera": [[1]]}]}', '{"views": [3]}'],
)
def test_malformed_cameras_file(
    splat_file: Path, tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.json").write_text(content)
    assert main(["render", str(splat_file), "--path", str(tmp_path / "c.json")]) == 1
    err = capsys.readouterr().err
    assert "c.json" in err and "Traceback" not in err


def test_nan_camera_is_named(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads((run_folder / "cameras.json").read_text())
    content["views"][3]["world_to_camera"][0][3] = float("nan")
    (run_folder / "cameras.json").write_text(json.dumps(content))
    assert main(["render", str(run_folder)]) == 1
    assert "view 3: NaN" in capsys.readouterr().err
