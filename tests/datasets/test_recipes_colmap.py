"""Recipes on COLMAP models: Mip-NeRF 360 and Tanks and Temples, read back by pycolmap."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pycolmap
import pytest

from datasets.recipes import RECIPES
from datasets.recipes.colmap_model import points
from datasets.recipes.placing import copy, link
from datasets.recipes.prepare import Scene, prepare
from splat.errors import SplatError
from tests.datasets.fakes import colmap_scene, photo

NAMES = ["_DSC01.JPG", "_DSC02.JPG"]


def camera(model: str, parameters: list[float]) -> pycolmap.Camera:
    """A camera of 402 x 300."""
    return pycolmap.Camera(model=model, width=402, height=300, params=parameters, camera_id=1)


@pytest.fixture
def garden(tmp_path: Path) -> Path:
    """A fake outdoor scene: model at 402 x 300, photos at a quarter."""
    scene = tmp_path / "360_v2" / "garden"
    colmap_scene(scene, NAMES, camera("PINHOLE", [350.0, 360.0, 201.0, 150.0]))
    for name in NAMES:
        photo(scene / "images_4" / name, 101, 75)
        photo(scene / "images_2" / name, 201, 150)
    return scene


def run(name: str, source: Path, out: Path, **options: object) -> list[Scene]:
    """Prepare with links."""
    only = options.get("only", ())
    assert isinstance(only, tuple)
    return prepare(RECIPES[name], source, out, only, link)


def test_garden_takes_images_4_and_scales_the_camera(garden: Path, tmp_path: Path) -> None:
    (scene,) = run("mipnerf360", garden.parent, tmp_path / "out")
    model = pycolmap.Reconstruction(str(scene.folder / "sparse" / "0"))
    (found,) = model.cameras.values()
    assert (found.width, found.height) == (101, 75)
    across, down = 101 / 402, 75 / 300
    np.testing.assert_allclose(found.params, [350 * across, 360 * down, 201 * across, 150 * down])
    assert sorted(image.name for image in model.images.values()) == NAMES
    assert model.num_points3D() == 2
    photos = sorted((scene.folder / "images").iterdir())
    assert [path.resolve() for path in photos] == [(garden / "images_4" / name).resolve() for name in NAMES]
    assert scene.prepared.options == {"max_size": 101, "test_every": 8}


def test_indoor_scene_takes_images_2(garden: Path, tmp_path: Path) -> None:
    kitchen = garden.rename(garden.with_name("kitchen"))
    (scene,) = run("mipnerf360", kitchen, tmp_path / "out")
    assert scene.prepared.options["max_size"] == 201
    assert "images_2" in " ".join(scene.prepared.protocol)


def test_single_focal_length_and_distortion(tmp_path: Path) -> None:
    truck = tmp_path / "tandt" / "truck"
    colmap_scene(truck, NAMES, camera("SIMPLE_RADIAL", [350.0, 201.0, 150.0, 0.07]))
    for name in NAMES:
        photo(truck / "images" / name, 201, 150)
    (scene,) = run("tanks-and-temples", tmp_path / "tandt", tmp_path / "out")
    (found,) = pycolmap.Reconstruction(str(scene.folder / "sparse" / "0")).cameras.values()
    np.testing.assert_allclose(found.params, [175.0, 100.5, 75.0, 0.07])


def test_wide_photos_are_to_be_read_at_1600(tmp_path: Path) -> None:
    train = tmp_path / "train"
    colmap_scene(train, NAMES, camera("PINHOLE", [350.0, 350.0, 201.0, 150.0]))
    for name in NAMES:
        photo(train / "images" / name, 2000, 1500)
    (scene,) = run("tanks-and-temples", train, tmp_path / "out")
    assert scene.prepared.options["max_size"] == 1600


def test_points_are_read(garden: Path) -> None:
    positions, colors = points(garden / "sparse" / "0" / "points3D.bin")
    order = np.argsort(positions[:, 0])
    np.testing.assert_array_equal(positions[order], [[0, 2, 5], [1, 2, 5]])
    np.testing.assert_array_equal(colors[order], [[10, 20, 30], [10, 20, 31]])


def test_zip_is_unpacked_once_and_only_what_is_needed(garden: Path, tmp_path: Path) -> None:
    (garden / "images").mkdir()
    photo(garden / "images" / NAMES[0], 402, 300)
    archive = tmp_path / "360_v2.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(garden.parent.rglob("*")):
            file.write(path, path.relative_to(garden.parent))
    (scene,) = run("mipnerf360", archive, tmp_path / "out")
    unpacked = tmp_path / "out" / "unpacked" / "360_v2" / "garden"
    assert (scene.folder / "images" / NAMES[0]).resolve() == (unpacked / "images_4" / NAMES[0]).resolve()
    assert not (unpacked / "images").exists()
    time = unpacked.stat().st_mtime_ns
    run("mipnerf360", archive, tmp_path / "out")
    assert unpacked.stat().st_mtime_ns == time


def test_zip_that_points_outside_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "evil.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../images_4/x.jpg", b"x")
    with pytest.raises(SplatError, match="outside itself"):
        run("mipnerf360", archive, tmp_path / "out")
    assert not (tmp_path / "images_4").exists()


def test_what_is_missing_is_named(garden: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (garden / "images_4" / NAMES[1]).unlink()
    with pytest.raises(SplatError, match=r"1 of the 2 photos .*_DSC02\.JPG"):
        run("mipnerf360", garden, out)
    for path in sorted((garden / "images_4").iterdir()):
        path.unlink()
    (garden / "images_4").rmdir()
    with pytest.raises(SplatError, match="has no images_4"):
        run("mipnerf360", garden, out)
    assert not list(out.glob("*"))


def test_damaged_models_and_photos(garden: Path, tmp_path: Path) -> None:
    photo(garden / "images_4" / NAMES[1], 90, 75)
    with pytest.raises(SplatError, match="is 90x75"):
        run("mipnerf360", garden, tmp_path / "out")
    (garden / "images_4" / NAMES[1]).write_bytes(b"not a photo")
    with pytest.raises(SplatError, match="cannot be read as a photo"):
        run("mipnerf360", garden, tmp_path / "out")
    for name in ("cameras.bin", "images.bin"):
        path = garden / "sparse" / "0" / name
        whole = path.read_bytes()
        photo(garden / "images_4" / NAMES[1], 101, 75)
        path.write_bytes(whole[:-5])
        with pytest.raises(SplatError, match=rf"{name} cannot be read"):
            run("mipnerf360", garden, tmp_path / "out")
        path.write_bytes(whole)


def test_bad_sources(tmp_path: Path, garden: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    for source, words in (
        (tmp_path / "nowhere", "does not exist"),
        (tmp_path / "notes.txt", "neither a folder nor a whole zip"),
        (tmp_path / "360_v2" / "garden" / "images_4", "holds no scene of Mip-NeRF 360"),
    ):
        with pytest.raises(SplatError, match=words):
            run("mipnerf360", source, tmp_path / "out")
    with pytest.raises(SplatError, match="no scene stump.*garden"):
        run("mipnerf360", garden, tmp_path / "out", only=("stump",))


def test_a_folder_of_others_is_not_replaced_but_our_own_is(garden: Path, tmp_path: Path) -> None:
    other = tmp_path / "out" / "garden"
    other.mkdir(parents=True)
    (other / "thesis.txt").write_text("x")
    with pytest.raises(SplatError, match="was not made by a recipe"):
        run("mipnerf360", garden, tmp_path / "out")
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]
    (other / "thesis.txt").unlink()
    other.rmdir()
    run("mipnerf360", garden, tmp_path / "out")
    (scene,) = prepare(RECIPES["mipnerf360"], garden, tmp_path / "out", (), copy)
    assert not (scene.folder / "images" / NAMES[0]).is_symlink()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["garden"]
    card = json.loads((scene.folder / "capture.json").read_text())
    assert card["command"] == scene.command and card["photos"] == 2
