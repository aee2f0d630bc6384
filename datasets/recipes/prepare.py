"""Runs a recipe: finds the scenes, builds each one whole, and says how to fit it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from datasets.recipes.placing import CARD, Place, appearing, write_json
from datasets.recipes.recipe import Prepared, Recipe
from datasets.recipes.source import scenes_in
from splat.errors import SplatError


@dataclass(frozen=True)
class Scene:
    """One scene brought into shape: where it lies, what was prepared, and the command that fits it."""

    name: str
    folder: Path
    prepared: Prepared
    command: str


def prepare(recipe: Recipe, source: Path, out: Path, only: tuple[str, ...], place: Place) -> list[Scene]:
    """Build every scene of ``source`` (or those named in ``only``) into ``out``/<scene>.

    Raises:
        SplatError: what is missing or wrong in the source, or in the way at the destination.
    """
    folders = scenes_in(source, out, recipe)
    names = [folder.resolve().name for folder in folders]
    unknown = [name for name in only if name not in names]
    if unknown:
        raise SplatError(
            f"{source} has no scene {', '.join(unknown)}", expected=f"one of {', '.join(sorted(set(names)))}"
        )
    if len(set(names)) < len(names):
        raise SplatError(f"{source} holds two scenes of one name", advice="Give the folder of one of them")
    chosen = [pair for pair in zip(names, folders, strict=True) if not only or pair[0] in only]
    try:
        return [_build(recipe, name, folder, out / name, place) for name, folder in chosen]
    except OSError as error:
        raise SplatError(f"cannot write to {out}: {error}") from error


def _build(recipe: Recipe, name: str, source: Path, folder: Path, place: Place) -> Scene:
    if folder.resolve() == source.resolve():
        raise SplatError(f"--out would replace the source {source}", expected="another folder")
    with appearing(folder) as part:
        prepared = recipe.build(source, part, place)
        command = fit_command(folder, prepared.options)
        card = {
            "recipe": recipe.name,
            "scene": name,
            "source": str(source.resolve()),
            "photos": prepared.photos,
            "options": prepared.options,
            "protocol": prepared.protocol,
            "command": command,
            **prepared.facts,
        }
        write_json(part / CARD, card)
    return Scene(name, folder, prepared, command)


def fit_command(folder: Path, options: dict[str, str | int]) -> str:
    """The ``splat fit`` command line for ``folder``."""
    words = ["splat", "fit", str(folder)]
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)
