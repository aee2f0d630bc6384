"""NeRF-synthetic: eight Blender objects on a transparent ground, 100 views to train and 200 to test."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

from datasets.recipes.placing import Place, common_size, copy
from datasets.recipes.recipe import Prepared, Recipe
from splat.errors import SplatError

SIZE = 800
SPLITS = ("train", "test")


def build(scene: Path, out: Path, place: Place) -> Prepared:
    """The files as they are; white behind the object; the data set's own split."""
    photos = {split: _split(scene, split) for split in SPLITS}
    size = common_size(photos["train"])
    tested = common_size(photos["test"])
    for split in SPLITS:
        copy(scene / f"transforms_{split}.json", out / f"transforms_{split}.json")
        for path in photos[split]:
            place(path, out / path.relative_to(scene))
    counts = tuple(len(photos[split]) for split in SPLITS)
    protocol = [
        f"Trained on the {counts[0]} views of transforms_train.json, tested on the {counts[1]} of "
        "transforms_test.json",
        "Composited onto white",
    ]
    if {size, tested} != {(SIZE, SIZE)} or counts != (100, 200):
        protocol.append(
            f"Not comparable with published figures: they are at {SIZE}x{SIZE} with 100 and 200 views; "
            f"here it is {size[0]}x{size[1]} with {counts[0]} and {counts[1]}"
        )
    return Prepared(sum(counts), {"max_size": max(size), "background": "white"}, protocol)


def _split(scene: Path, split: str) -> list[Path]:
    """The photos of one split, checked to be there."""
    path = scene / f"transforms_{split}.json"
    try:
        frames = json.loads(path.read_text())["frames"]
        files = [_photo(scene, str(frame["file_path"])) for frame in frames]
    except (ValueError, KeyError, TypeError) as error:
        raise SplatError(f"{path} cannot be read ({error!r})", expected="NeRF-synthetic's JSON") from error
    missing = [file for file in files if not file.is_file()]
    if missing or not files:
        raise SplatError(
            f"{path} lists {len(files)} photos, {len(missing)} of them are missing"
            + (f" ({missing[0]}, ...)" if missing else ""),
            expected="every photo beside it",
            advice="Download or unpack the data set again",
        )
    return files


def _photo(scene: Path, file: str) -> Path:
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts:
        raise SplatError(f"{scene} refers to {file}", expected="photos inside the scene's folder")
    return scene / (path if path.suffix == ".png" else path.with_name(f"{path.name}.png"))


def is_scene(folder: Path) -> bool:
    """Both files with the splits are there."""
    return all((folder / f"transforms_{split}.json").is_file() for split in SPLITS)


def wanted(name: str) -> bool:
    """No depth or normal maps, no validation views."""
    path = PurePosixPath(name)
    if path.suffix == ".json":
        return path.name in ("transforms_train.json", "transforms_test.json")
    return path.suffix == ".png" and path.parent.name in SPLITS and not path.stem.endswith(("_0001",))


RECIPE = Recipe(
    name="nerf-synthetic",
    title="NeRF-synthetic (Blender)",
    page='the project page "NeRF: Representing Scenes as Neural Radiance Fields" (nerf_synthetic.zip)',
    layout="<scene>/transforms_train.json, transforms_test.json, train/*.png and test/*.png",
    is_scene=is_scene,
    wanted=wanted,
    build=build,
)
