"""``python -m datasets.recipes``: bring a downloaded data set into shape and say how to fit it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from datasets.recipes import RECIPES
from datasets.recipes.placing import copy, link
from datasets.recipes.prepare import prepare
from splat.errors import SplatError


@dataclass(frozen=True)
class Options:
    """Bring a downloaded data set into the shape that ``splat fit`` reads, by its evaluation protocol."""

    name: Annotated[str, tyro.conf.Positional]
    """mipnerf360, tanks-and-temples, dtu, nerf-synthetic or llff."""
    source: Path
    """The downloaded folder or zip, whole or one scene of it."""
    out: Path
    """Folder for the result: one folder a scene."""
    scenes: tuple[str, ...] = ()
    """Only these scenes."""
    copy: bool = False
    """Copy the photos instead of linking to them."""

    def run(self) -> int:
        """Prepare the scenes and print the command for each."""
        recipe = RECIPES.get(self.name)
        if recipe is None:
            raise SplatError(f"there is no recipe {self.name!r}", expected=f"one of {', '.join(RECIPES)}")
        for scene in prepare(recipe, self.source, self.out, self.scenes, copy if self.copy else link):
            print(f"{scene.name}: {scene.prepared.photos} photos in {scene.folder}")
            for sentence in scene.prepared.protocol:
                print(f"  {sentence}.")
            print(f"  {scene.command}")
        return 0


def main() -> int:
    """Exit code: 0 done, 1 not, 130 interrupted."""
    try:
        return tyro.cli(
            Options,
            prog="python -m datasets.recipes",
            config=(tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone),
        ).run()
    except SplatError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
