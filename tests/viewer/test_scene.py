"""What is on show: snapshots, overview, and the cameras of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from splat.cameras import Camera
from splat.errors import SplatError
from splat.gaussians import Gaussians
from splat.io import write_ply
from splat.viewer import load_scene
from splat.viewer.scene import KnownView, LatestScene, common_up, middle, overview, turning_distance


def test_a_copied_scene_does_not_follow_the_trainer(ball: Gaussians) -> None:
    scene = LatestScene()
    scene.put(ball, copy=True)
    for value in ball.parameters().values():
        value.add_(1.0)
    shown, version = scene.get()
    assert shown is not None and version == 1
    assert shown.means.tolist() == [[0.0, 0.0, 5.0]]
    assert shown.logit_opacities.tolist() == [6.0]


def test_exponents_are_copied_too(ball: Gaussians) -> None:
    ball.kernel, ball.shape = "gef", torch.zeros(1)
    scene = LatestScene()
    scene.put(ball, copy=True)
    ball.shape.add_(1.0)
    shown = scene.get()[0]
    assert shown is not None and shown.kernel == "gef" and shown.shape is not None
    assert shown.shape.tolist() == [0.0]


def test_a_trained_scene_is_cut_from_its_graph(ball: Gaussians) -> None:
    ball.means.requires_grad_(True)
    scene = LatestScene()
    scene.put(ball, copy=True)
    shown = scene.get()[0]
    assert shown is not None and not shown.means.requires_grad


def cloud(center: tuple[float, float, float], reach: float) -> Gaussians:
    n = 2000
    means = torch.tensor(center) + reach * (
        2 * torch.rand(n, 3, generator=torch.Generator().manual_seed(0)) - 1
    )
    means[0] = 1e6
    return Gaussians(means, torch.ones(n, 4), torch.zeros(n, 3), torch.zeros(n), torch.zeros(n, 1, 3))


def test_middle_ignores_strays() -> None:
    center, reach = middle(cloud((1.0, -2.0, 30.0), 2.0))
    assert center.tolist() == pytest.approx([1, -2, 30], abs=0.1)
    assert reach == pytest.approx(2 * 3**0.5, rel=0.1)


def test_overview_sees_the_scene() -> None:
    scene = cloud((1.0, -2.0, 30.0), 2.0)
    camera = overview(scene)
    points = scene.means[1:] @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
    assert bool((points[:, 2] > 0).all())
    pixels = points @ camera.intrinsics.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    assert bool(((pixels > 0) & (pixels < torch.tensor([camera.width, camera.height]))).all())


def test_turning_about_the_scenes_middle() -> None:
    scene = cloud((0.0, 0.0, 30.0), 2.0)
    camera = overview(scene)
    assert turning_distance(camera, [], scene) == pytest.approx(2.2 * middle(scene)[1], rel=0.01)
    assert turning_distance(camera, [], None) == 1.0


def camera_entry(name: str, split: str = "train") -> dict[str, Any]:
    return {
        "name": name,
        "world_to_camera": np.eye(4).tolist(),
        "intrinsics": [[50, 0, 20], [0, 50, 10], [0, 0, 1]],
        "width": 40,
        "height": 20,
        "split": split,
    }


@pytest.fixture
def run(tmp_path: Path, ball: Gaussians) -> Path:
    write_ply(tmp_path / "splat.ply", ball)
    views = [camera_entry("sub/a b.jpg", "test"), camera_entry("c.jpg")]
    transform = np.diag([4.0, 4.0, 4.0, 1.0]).tolist()
    (tmp_path / "cameras.json").write_text(json.dumps({"transform": transform, "views": views}))
    (tmp_path / "renders").mkdir()
    Image.new("RGB", (40, 20), (9, 8, 7)).save(tmp_path / "renders" / "sub__a b.jpg.photo.png")
    return tmp_path


def test_a_run_is_loaded_with_its_cameras_and_photos(run: Path) -> None:
    shown = load_scene(run)
    assert shown.gaussians.means.tolist() == [[0.0, 0.0, 5.0]]
    assert [view.label for view in shown.views] == ["sub/a b.jpg (held out)", "c.jpg"]
    assert shown.views[0].camera.focal == (50, 50)
    photo = shown.views[0].photo()
    assert photo is not None and photo.shape == (20, 40, 3) and photo[0, 0].tolist() == [9, 8, 7]
    assert shown.views[1].photo() is None
    assert shown.near == pytest.approx(0.01 / 4)


def test_a_run_is_shown_over_the_colour_it_was_trained_over(run: Path) -> None:
    assert load_scene(run).background == (0.0, 0.0, 0.0)
    (run / "config.json").write_text('{"background": [1.0, 0.5, 1.0]}')
    for path in (run, run / "splat.ply"):
        assert load_scene(path).background == (1.0, 0.5, 1.0)
    (run / "config.json").write_text('{"background": null}')
    assert load_scene(run).background == (0.0, 0.0, 0.0)


def test_a_file_is_loaded_alone(run: Path) -> None:
    assert load_scene(run / "splat.ply").views == []


@pytest.mark.parametrize(
    "change",
    [
        {"world_to_camera": [[1, 2], [3, 4]]},
        {"world_to_camera": np.full((4, 4), np.nan).tolist()},
        {"intrinsics": np.zeros((3, 3)).tolist()},
        {"width": None},
        {"name": None, "intrinsics": "x"},
    ],
)
def test_malformed_cameras_are_told(run: Path, change: dict[str, Any]) -> None:
    content = {"transform": np.eye(4).tolist(), "views": [{**camera_entry("a.jpg"), **change}]}
    (run / "cameras.json").write_text(json.dumps(content))
    with pytest.raises(SplatError, match=r"cameras\.json cannot be used"):
        load_scene(run)


@pytest.mark.parametrize("content", ["{", "[]", '{"views": []}', '{"transform": [[0]], "views": []}'])
def test_malformed_camera_files_are_told(run: Path, content: str) -> None:
    (run / "cameras.json").write_text(content)
    with pytest.raises(SplatError, match=r"cameras\.json cannot be used"):
        load_scene(run)


def test_an_unfinished_run_is_told(run: Path) -> None:
    (run / "splat.ply").unlink()
    (run / "config.json").write_text("{}")
    with pytest.raises(SplatError, match=r"splat\.ply does not exist"):
        load_scene(run)


def test_views_without_photo(ball: Gaussians) -> None:
    assert KnownView("a", overview(ball)).photo() is None


def test_up_is_what_most_pictures_say() -> None:
    """Blender's world has z up; a camera on its side does not turn it far."""
    level = torch.eye(4)
    level[:3, :3] = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])  # looks along +y
    turned = level.clone()
    turned[:3, :3] = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]) @ level[:3, :3]
    cameras = [Camera(pose, torch.eye(3), 4, 4) for pose in (*[level] * 9, turned)]
    assert common_up(cameras[:9]) == pytest.approx((0.0, 0.0, 1.0))
    assert common_up(cameras)[2] > 0.98
    opposite = level.clone()
    opposite[:2] *= -1
    assert common_up([cameras[0], Camera(opposite, torch.eye(3), 4, 4)]) == (0.0, -1.0, 0.0)
