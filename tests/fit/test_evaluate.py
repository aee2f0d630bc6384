from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from splat.capture.types import Pixels
from splat.fit import metrics as m
from splat.fit.evaluate import MOST_DB, evaluate, rounded, safe_stem
from splat.rasterize import RenderSettings
from splat.rasterize.reference import rasterize_reference
from tests.fit.synthetic import synthetic_capture, true_scene

CAPTURE = synthetic_capture(views=4)


def test_the_true_scene_scores_as_perfect() -> None:
    scores = evaluate(true_scene(), CAPTURE, [0, 2], RenderSettings())
    assert [score.name for score in scores] == ["view 00.png", "view 02.png"]
    assert all(score.psnr > 60 and score.ssim > 0.999 and score.lpips is None for score in scores)
    assert all(score.psnr <= MOST_DB for score in scores)


def test_scores_are_those_of_rounded_images(tmp_path: Path) -> None:
    scene = replace(true_scene(), means=true_scene().means + 0.01)
    score = evaluate(scene, CAPTURE, [1], RenderSettings(), tmp_path)[0]
    render = np.asarray(Image.open(tmp_path / "view 01.png.render.png"), np.float64) / 255
    photo = np.asarray(Image.open(tmp_path / "view 01.png.photo.png"), np.float64) / 255
    assert score.psnr == pytest.approx(10 * math.log10(1 / np.mean((render - photo) ** 2)), abs=1e-4)
    assert np.array_equal((photo * 255).round(), CAPTURE.views[1].load().rgb)
    error = np.asarray(Image.open(tmp_path / "view 01.png.error.png"), np.float64) / 255
    assert error[..., 0] == pytest.approx(np.minimum(1, 4 * np.abs(render - photo).mean(2)), abs=3 / 255)


def test_masked_pixels_do_not_count() -> None:
    scene, view = true_scene(), CAPTURE.views[1]
    rgb, mask = view.load().rgb.copy(), np.ones((32, 32), bool)
    rgb[:, :10], mask[:, :10] = 255, False
    spoiled = replace(CAPTURE, views=[replace(view, load=lambda: Pixels(rgb, mask=mask))])
    assert evaluate(scene, spoiled, [0], RenderSettings())[0].psnr > 60


def test_transparent_photos_are_scored_over_the_background() -> None:
    capture = synthetic_capture(views=2, transparent=True)
    white = RenderSettings(background=(1.0, 1.0, 1.0))
    assert evaluate(true_scene(), capture, [1], white)[0].psnr > 35
    assert evaluate(true_scene(), capture, [1], RenderSettings(background=(1, 0, 0)))[0].psnr > 35


def test_rounding_and_names() -> None:
    assert rounded(torch.tensor([-1.0, 0.5, 2.0])).tolist() == pytest.approx([0.0, 128 / 255, 1.0])
    assert safe_stem("left/ä b.c.JPG") == "left__ä b.c.JPG"
    assert safe_stem("a\\b.png") == "a__b.png"
    assert safe_stem("a.png") != safe_stem("a.jpg")


def test_cameras_and_scene_go_back_to_the_original_world() -> None:
    """A camera of the original world sees the scene of the original world as in the normalised one."""
    written, view = m.cameras(CAPTURE), CAPTURE.views[1]
    entry = written["views"][1]
    assert (entry["name"], entry["split"], written["views"][0]["split"]) == ("view 01.png", "train", "test")
    original = m.to_original(true_scene(), CAPTURE)
    camera = replace(
        view.camera,
        world_to_camera=torch.tensor(entry["world_to_camera"]).float(),
        intrinsics=torch.tensor(entry["intrinsics"]).float(),
    )
    rotation = camera.world_to_camera[:3, :3]
    assert torch.allclose(rotation @ rotation.T, torch.eye(3), atol=1e-6)
    there = rasterize_reference(original, camera, RenderSettings()).color
    here = rasterize_reference(true_scene(), view.camera, RenderSettings()).color
    assert torch.allclose(there, here, atol=1e-4)
    transform = torch.tensor(written["transform"]).float()
    back = original.means @ transform[:3, :3].T + transform[:3, 3]
    assert torch.allclose(back, true_scene().means, atol=1e-5)
