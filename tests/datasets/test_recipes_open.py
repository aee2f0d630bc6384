"""What the recipes write is what the program reads: every kind opens, with the cameras that went in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image

from datasets.recipes import RECIPES
from datasets.recipes.placing import link
from datasets.recipes.prepare import prepare
from splat.capture import CaptureOptions, open_capture
from splat.capture.types import Capture
from tests.datasets.fakes import colmap_scene, photo, random_rotation

COUNT = 9


def opened(name: str, source: Path, out: Path) -> Capture:
    """Prepare one scene and open it with the options of its protocol."""
    (scene,) = prepare(RECIPES[name], source, out, (), link)
    options = CaptureOptions(**scene.prepared.options, points="given")  # type: ignore[arg-type]
    return open_capture(scene.folder, options, progress=lambda line: None)


def test_a_colmap_scene_opens_at_the_size_of_its_photos(tmp_path: Path) -> None:
    scene = tmp_path / "bonsai"
    names = [f"DSC{index:02d}.JPG" for index in range(COUNT)]
    camera = pycolmap.Camera(
        model="PINHOLE", width=402, height=300, params=[350.0, 360.0, 201.0, 150.0], camera_id=1
    )
    colmap_scene(scene, names, camera)
    for name in names:
        photo(scene / "images_2" / name, 201, 150)
    capture = opened("mipnerf360", tmp_path, tmp_path / "out")
    assert [view.name for view in capture.views] == names
    assert [capture.views[index].name for index in capture.test] == ["DSC00.JPG", "DSC08.JPG"]
    for view in capture.views:
        assert (view.camera.width, view.camera.height) == (201, 150)
        assert view.camera.focal == pytest.approx((175.0, 180.0))
        assert view.load().rgb.shape == (150, 201, 3)
    assert len(capture.points) == 2


def test_dtu_opens_with_masks_and_nothing_held_out(tmp_path: Path) -> None:
    scene, rng = tmp_path / "scan24", np.random.default_rng(0)
    matrices, centres = {"scale_mat_0": np.eye(4)}, []
    for index in range(COUNT):
        photo(scene / "image" / f"{index:06d}.png", 40, 30)
        mask = np.zeros((30, 40), dtype=np.uint8)
        mask[:, :10] = 255
        (scene / "mask").mkdir(exist_ok=True)
        Image.fromarray(mask).save(scene / "mask" / f"{index:03d}.png")
        rotation, centre = random_rotation(rng), 500 * rng.standard_normal(3)
        world = np.eye(4)
        world[:3, :3] = np.array([[60.0, 0, 20], [0, 60.0, 15], [0, 0, 1]]) @ rotation
        world[:3, 3] = -world[:3, :3] @ centre
        matrices[f"world_mat_{index}"] = world
        centres.append(centre)
    np.savez(scene / "cameras_sphere.npz", allow_pickle=False, **matrices)
    capture = opened("dtu", tmp_path, tmp_path / "out")
    assert (len(capture.train), len(capture.test)) == (COUNT, 0)
    for view, centre in zip(capture.views, centres, strict=True):
        expected = capture.transform @ [*centre, 1.0]
        np.testing.assert_allclose(view.camera.position, expected[:3], atol=1e-4)
        assert view.camera.principal_point == pytest.approx((20.5, 15.5))
        pixels = view.load()
        assert pixels.mask is not None
        assert pixels.mask[:, :10].all() and not pixels.mask[:, 10:].any()


def test_llff_opens_with_its_split(shared_data: Path, tmp_path: Path) -> None:
    capture = opened("llff", shared_data / "fern", tmp_path / "out")
    assert (len(capture.views), len(capture.test)) == (20, 3)
    assert capture.views[0].name.endswith("IMG_4026.jpg")


def test_nerf_synthetic_opens_with_its_own_split_on_white(shared_data: Path, tmp_path: Path) -> None:
    capture = opened("nerf-synthetic", shared_data / "lego", tmp_path / "out")
    assert (len(capture.train), len(capture.test)) == (100, 25)
    assert capture.background == (1.0, 1.0, 1.0)
