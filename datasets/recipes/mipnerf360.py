"""Mip-NeRF 360: nine unbounded scenes, outdoors at a quarter and indoors at half their size."""

from __future__ import annotations

from pathlib import Path

from datasets.recipes.colmap_model import has_model, place_scene
from datasets.recipes.placing import Place
from datasets.recipes.recipe import Prepared, Recipe
from splat.errors import SplatError

OUTDOOR = ("bicycle", "flowers", "garden", "stump", "treehill")
INDOOR = ("room", "counter", "kitchen", "bonsai")


def build(scene: Path, out: Path, place: Place) -> Prepared:
    """The photos as provided in images_4 (outdoors) or images_2 (indoors): never resized here."""
    name = scene.resolve().name
    factor = 4 if name in OUTDOOR else 2
    images = scene / f"images_{factor}"
    if not images.is_dir():
        raise SplatError(
            f"{scene} has no images_{factor}",
            expected=f"images_{factor} as the data set provides it: the protocol of {name} uses it",
            advice="Do not make it by resizing: that alone adds about 0.3 dB",
        )
    photos, size = place_scene(scene, images, out, place)
    protocol = [
        f"Photos as provided in images_{factor} ({size[0]}x{size[1]}), not resized",
        "Every 8th photo by name is held out",
        "Say whether a mean is over 7 or all 9 scenes: flowers and treehill are the two that are left out",
    ]
    return Prepared(photos, {"max_size": max(size), "test_every": 8}, protocol)


def is_scene(folder: Path) -> bool:
    """By name: the nine scenes are known."""
    return folder.resolve().name in OUTDOOR + INDOOR and has_model(folder)


def wanted(name: str) -> bool:
    """images_4, images_2 and the model."""
    return any(part in ("images_4", "images_2", "sparse") for part in name.split("/"))


RECIPE = Recipe(
    name="mipnerf360",
    title="Mip-NeRF 360",
    page='the project page "Mip-NeRF 360: Unbounded Anti-Aliased Neural Radiance Fields" (360_v2.zip)',
    layout="<scene>/images_4 or images_2 and <scene>/sparse/0/{cameras,images,points3D}.bin",
    is_scene=is_scene,
    wanted=wanted,
    build=build,
)
