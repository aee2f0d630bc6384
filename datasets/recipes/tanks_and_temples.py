"""Tanks and Temples and Deep Blending as 3D Gaussian Splatting's authors provide them."""

from __future__ import annotations

from pathlib import Path

from datasets.recipes.colmap_model import has_model, place_scene
from datasets.recipes.placing import Place
from datasets.recipes.recipe import Prepared, Recipe

SCENES = ("train", "truck", "drjohnson", "playroom")
WIDEST = 1600


def build(scene: Path, out: Path, place: Place) -> Prepared:
    """Native size; photos wider than 1600 pixels are to be brought to that width."""
    photos, (width, height) = place_scene(scene, scene / "images", out, place)
    protocol = ["Every 8th photo by name is held out"]
    if width > WIDEST:
        size = round(max(width, height) * WIDEST / width)
        protocol.insert(0, f"Photos of {width}x{height} are reduced to {WIDEST} wide when read")
    else:
        size = max(width, height)
        protocol.insert(0, f"Photos at their native {width}x{height}, not resized")
    return Prepared(photos, {"max_size": size, "test_every": 8}, protocol)


def is_scene(folder: Path) -> bool:
    """By name: two scenes of Tanks and Temples, two of Deep Blending."""
    return folder.resolve().name in SCENES and has_model(folder) and (folder / "images").is_dir()


def wanted(name: str) -> bool:
    """The photos and the model."""
    return any(part in ("images", "sparse") for part in name.split("/"))


RECIPE = Recipe(
    name="tanks-and-temples",
    title="Tanks and Temples (train, truck) and Deep Blending (drjohnson, playroom)",
    page='the project page of "3D Gaussian Splatting for Real-Time Radiance Field Rendering" (tandt_db.zip)',
    layout="<scene>/images and <scene>/sparse/0/{cameras,images,points3D}.bin",
    is_scene=is_scene,
    wanted=wanted,
    build=build,
)
