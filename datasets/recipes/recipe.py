"""What a recipe is: how one known data set is found, checked and brought into shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from datasets.recipes.placing import Place


@dataclass(frozen=True)
class Prepared:
    """One scene, ready for ``splat fit``.

    Attributes:
        photos: how many.
        options: options of ``splat fit`` that the protocol asks for, by name (``max_size``, ...).
        protocol: plain sentences: what is measured, and whatever departs from the published protocol.
        facts: more to keep in capture.json (JSON values).
    """

    photos: int
    options: dict[str, str | int]
    protocol: list[str]
    facts: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """One known data set.

    Attributes:
        name: on the command line.
        title: for a person.
        page: the official page, by name; recipes do not download.
        layout: what a scene's folder holds, in one line.
        is_scene: whether a folder is a scene of this data set.
        wanted: whether a path inside a zip is needed at all.
        build: fills an empty folder from a scene's folder; raises SplatError naming what is wrong.
    """

    name: str
    title: str
    page: str
    layout: str
    is_scene: Callable[[Path], bool]
    wanted: Callable[[str], bool]
    build: Callable[[Path, Path, Place], Prepared]
