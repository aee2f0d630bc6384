"""What a person downloaded: a folder, or a zip that is unpacked beside the result."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from datasets.recipes.placing import CARD, appearing, write_json
from datasets.recipes.recipe import Recipe
from splat.errors import SplatError

_DEPTH = 3


def scenes_in(source: Path, out: Path, recipe: Recipe) -> list[Path]:
    """Scene folders of ``recipe`` at or below ``source`` (three levels), sorted by name.

    Args:
        source: a folder, or a zip, which is unpacked to ``out``/unpacked.
        out: the folder for the results.
        recipe: the data set.

    Raises:
        SplatError: nothing is there, or no scene is in it.
    """
    root = _opened(source, out, recipe)
    levels = [[root]]
    for _ in range(_DEPTH):
        below = (path for folder in levels[-1] if not recipe.is_scene(folder) for path in folder.iterdir())
        levels.append([path for path in below if path.is_dir() and path.resolve() != out.resolve()])
    scenes = [folder for level in levels for folder in level if recipe.is_scene(folder)]
    if not scenes:
        raise SplatError(
            f"{source} holds no scene of {recipe.title}",
            expected=f"{recipe.layout}, in it or in folders below",
            advice=f"It is to be had from {recipe.page}",
        )
    return sorted(scenes, key=lambda folder: folder.name)


def _opened(source: Path, out: Path, recipe: Recipe) -> Path:
    if source.is_dir():
        return source
    if not source.exists():
        raise SplatError(
            f"{source} does not exist",
            expected=f"the downloaded folder or zip of {recipe.title}",
            advice=f"It is to be had from {recipe.page}",
        )
    if not zipfile.is_zipfile(source):
        raise SplatError(
            f"{source} is neither a folder nor a whole zip file",
            advice="Download it again; other archives have to be unpacked first",
        )
    return _unpack(source, out / "unpacked" / source.stem, recipe)


def _unpack(archive: Path, folder: Path, recipe: Recipe) -> Path:
    if (folder / CARD).is_file():
        return folder
    with zipfile.ZipFile(archive) as file, appearing(folder) as part:
        names = [name for name in file.namelist() if not name.endswith("/") and recipe.wanted(name)]
        for name in names:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts:
                raise SplatError(f"{archive} holds a path outside itself: {name}", expected="a plain zip")
            try:
                file.extract(name, part)
            except (zipfile.BadZipFile, OSError, EOFError) as error:
                raise SplatError(f"{archive} cannot be unpacked ({name}: {error})") from error
        write_json(part / CARD, {"unpacked": archive.name, "files": len(names)})
    return folder
