"""Recipes that write transforms.json, and NeRF-synthetic."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from datasets.recipes import RECIPES
from datasets.recipes.__main__ import main
from datasets.recipes.placing import link
from datasets.recipes.prepare import Scene, prepare
from splat.errors import SplatError
from tests.datasets.fakes import colmap_scene, photo, random_rotation


def run(name: str, source: Path, out: Path) -> Scene:
    """Prepare one scene with links."""
    (scene,) = prepare(RECIPES[name], source, out, (), link)
    return scene


def frames_of(scene: Scene) -> list[dict]:
    """The frames of the transforms.json that was written."""
    return json.loads((scene.folder / "transforms.json").read_text())["frames"]


def pixel(frame: dict, point: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a world point lands by nerfstudio's conventions (x right, y up, z back)."""
    x, y, z, _ = np.linalg.inv(frame["transform_matrix"]) @ [*point, 1.0]
    return np.array([frame["fl_x"] * x / -z + frame["cx"], frame["fl_y"] * -y / -z + frame["cy"]])


@pytest.fixture
def llff(tmp_path: Path) -> Path:
    """Three photos at an eighth, with poses of known cameras."""
    import pycolmap

    scene = tmp_path / "nerf_llff_data" / "room"
    rng = np.random.default_rng(0)
    rows = []
    for index in range(3):
        photo(scene / "images_8" / f"image{index:03d}.png", 50, 38)
        photo(scene / "images" / f"DSC{index}.JPG", 400, 304)
        camera_to_world = np.column_stack([random_rotation(rng), rng.standard_normal(3)])  # OpenCV axes
        right, down, forward, centre = camera_to_world.T
        block = np.column_stack([down, right, -forward, centre, [304.0, 400.0, 320.0]])
        rows.append([*block.ravel(), 1.5, 20.0])
    np.save(scene / "poses_bounds.npy", np.array(rows))
    camera = pycolmap.Camera(
        model="SIMPLE_RADIAL", width=400, height=304, params=[320, 200, 152, 0.0], camera_id=1
    )
    colmap_scene(scene, ["a.JPG", "b.JPG"], camera)
    return scene


def test_llff_points_land_where_the_poses_say(llff: Path, tmp_path: Path) -> None:
    scene = run("llff", llff, tmp_path / "out")
    frames = frames_of(scene)
    assert [frame["file_path"] for frame in frames] == [f"images/image00{i}.png" for i in range(3)]
    for frame, row in zip(frames, np.load(llff / "poses_bounds.npy"), strict=True):
        down, right, back, centre, _ = row[:15].reshape(3, 5).T
        point = centre - 4 * back + 0.5 * right + 0.25 * down
        np.testing.assert_allclose(pixel(frame, point), [25 + 40 * 0.5 / 4, 19 + 40 * 0.25 / 4])
    record = json.loads((scene.folder / "transforms.json").read_text())
    vertices = (scene.folder / record["ply_file_path"]).read_bytes()
    assert b"element vertex 2\n" in vertices and len(vertices.split(b"end_header\n", 1)[1]) == 30


def test_llff_agrees_with_the_known_capture(shared_data: Path, tmp_path: Path) -> None:
    fern = shared_data / "fern"
    frames = frames_of(run("llff", fern, tmp_path / "out"))
    known = json.loads((fern / "transforms.json").read_text())
    assert [frame["file_path"] for frame in frames] == [frame["file_path"] for frame in known["frames"]]
    for frame, other in zip(frames, known["frames"], strict=True):
        np.testing.assert_allclose(frame["transform_matrix"], other["transform_matrix"], atol=1e-9)
        assert frame["fl_x"] == pytest.approx(known["fl_x"], rel=1e-9)
        assert (frame["cx"], frame["cy"]) == (known["cx"], known["cy"])


def test_llff_bad_poses(llff: Path, tmp_path: Path) -> None:
    path = llff / "poses_bounds.npy"
    good = np.load(path)
    broken = good.copy()
    broken[1, 3] = np.nan
    mirrored = good.copy()
    mirrored[:, [0, 5, 10]] *= -1
    for table, words in (
        (good[:2], "2 poses.*3 photos"),
        (good[:, :15], r"shape \(3, 15\)"),
        (broken, "not finite"),
        (mirrored, "not a rotation"),
    ):
        np.save(path, table)
        with pytest.raises(SplatError, match=words):
            run("llff", llff, tmp_path / "out")
    path.write_bytes(b"\x93NUMPY broken")
    with pytest.raises(SplatError, match="cannot be read"):
        run("llff", llff, tmp_path / "out")


@pytest.fixture
def dtu(tmp_path: Path) -> Path:
    """Three photos with masks and projections of any sign and scale."""
    scene = tmp_path / "DTU" / "scan24"
    rng = np.random.default_rng(1)
    matrices = {}
    for index, scale in enumerate((1.0, -2.5, 0.3)):
        photo(scene / "image" / f"{index:06d}.png", 40, 30)
        photo(scene / "mask" / f"{index:03d}.png", 40, 30)
        rotation, centre = random_rotation(rng), 500 * rng.standard_normal(3)
        pose = np.column_stack([rotation, -rotation @ centre])
        world = np.eye(4)
        world[:3] = scale * np.array([[60.0, 0, 20.5], [0, 61.0, 14.5], [0, 0, 1]]) @ pose
        matrices[f"world_mat_{index}"] = world
        matrices[f"scale_mat_{index}"] = np.array(
            [[150.0, 0, 0, 5], [0, 150, 0, -7], [0, 0, 150, 600], [0, 0, 0, 1]]
        )
    np.savez(scene / "cameras_sphere.npz", **matrices)
    return scene


def test_dtu_points_land_where_the_projections_say(dtu: Path, tmp_path: Path) -> None:
    scene = run("dtu", dtu.parent, tmp_path / "out")
    frames = frames_of(scene)
    cameras = np.load(dtu / "cameras_sphere.npz")
    for index, frame in enumerate(frames):
        assert (frame["fl_x"], frame["fl_y"]) == pytest.approx((60.0, 61.0))
        centre, forward = np.array(frame["transform_matrix"])[:3, [3, 2]].T
        point = centre - 700 * forward + np.array([20.0, -35.0, 12.0])
        projected = cameras[f"world_mat_{index}"][:3] @ [*point, 1.0]
        # Half a pixel: DTU counts centres at whole numbers, transforms.json at halves.
        np.testing.assert_allclose(pixel(frame, point), projected[:2] / projected[2] + 0.5, atol=1e-6)
        assert (scene.folder / frame["mask_path"]).resolve() == dtu / "mask" / f"{index:03d}.png"
    card = json.loads((scene.folder / "capture.json").read_text())
    assert card["object_sphere"] == {"centre": [5.0, -7.0, 600.0], "radius": 150.0}
    assert scene.prepared.options["test_every"] == 0


def test_dtu_missing_parts(dtu: Path, tmp_path: Path) -> None:
    cameras = dict(np.load(dtu / "cameras_sphere.npz"))
    del cameras["world_mat_2"]
    np.savez(dtu / "cameras_sphere.npz", **cameras)
    with pytest.raises(SplatError, match="world_mat_2"):
        run("dtu", dtu, tmp_path / "out")
    (dtu / "cameras_sphere.npz").write_bytes(b"PK broken")
    with pytest.raises(SplatError, match="cannot be read"):
        run("dtu", dtu, tmp_path / "out")
    (dtu / "mask" / "002.png").unlink()
    with pytest.raises(SplatError, match="3 photos and 2 masks"):
        run("dtu", dtu, tmp_path / "out")


@pytest.fixture
def lego(tmp_path: Path) -> Path:
    """Two views to train and one to test, at the wrong size."""
    scene = tmp_path / "nerf_synthetic" / "lego"
    for split, count in (("train", 2), ("test", 1)):
        files = [f"./{split}/r_{index}" for index in range(count)]
        for file in files:
            photo(scene / f"{file}.png", 16, 16, "RGBA")
        frames = [{"file_path": file, "transform_matrix": np.eye(4).tolist()} for file in files]
        text = json.dumps({"camera_angle_x": 0.69, "frames": frames})
        (scene / f"transforms_{split}.json").write_text(text)
    photo(scene / "test" / "r_0_depth_0001.png", 16, 16, "RGBA")
    return scene


def test_nerf_synthetic_keeps_the_split_and_says_what_is_not_comparable(lego: Path, tmp_path: Path) -> None:
    scene = run("nerf-synthetic", lego, tmp_path / "out")
    photos = sorted(str(path.relative_to(scene.folder)) for path in scene.folder.rglob("*.png"))
    assert photos == ["test/r_0.png", "train/r_0.png", "train/r_1.png"]
    for split in ("train", "test"):
        name = f"transforms_{split}.json"
        assert (scene.folder / name).read_bytes() == (lego / name).read_bytes()
    assert scene.prepared.options == {"max_size": 16, "background": "white"}
    assert "Not comparable" in scene.prepared.protocol[-1]
    assert scene.command == f"splat fit {scene.folder} --max-size 16 --background white"


def test_nerf_synthetic_bad_input(lego: Path, tmp_path: Path) -> None:
    (lego / "train" / "r_1.png").unlink()
    with pytest.raises(SplatError, match=r"lists 2 photos, 1 of them are missing .*r_1\.png"):
        run("nerf-synthetic", lego, tmp_path / "out")
    (lego / "transforms_train.json").write_text("{")
    with pytest.raises(SplatError, match="cannot be read"):
        run("nerf-synthetic", lego, tmp_path / "out")
    (lego / "transforms_train.json").write_text('{"frames": [{"file_path": "../../secret"}]}')
    with pytest.raises(SplatError, match="inside the scene"):
        run("nerf-synthetic", lego, tmp_path / "out")


def test_commands_are_ones_that_splat_fit_understands(
    lego: Path, llff: Path, dtu: Path, tmp_path: Path
) -> None:
    from splat.cli.parse import parse_command

    for name, source in (("nerf-synthetic", lego), ("llff", llff), ("dtu", dtu)):
        scene = run(name, source, tmp_path / "out")
        command = parse_command("fit", scene.command.split()[2:])
        options = command.capture  # type: ignore[attr-defined]
        for option, value in scene.prepared.options.items():
            assert getattr(options, option) == value


def test_command_line(
    lego: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr("sys.argv", ["recipes", "nerf-synthetic", "--source", str(lego), "--out", str(out)])
    assert main() == 0
    assert f"splat fit {out / 'lego'} --max-size 16" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["recipes", "nerf", "--source", str(lego), "--out", str(out)])
    assert main() == 1
    assert "mipnerf360, tanks-and-temples, dtu, nerf-synthetic, llff" in capsys.readouterr().err
