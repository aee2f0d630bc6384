"""``python -m datasets.sample``: make the sample photos that ``make fit`` turns into a scene."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from datasets.sample.generate import SampleSettings, generate
from splat.errors import SplatError

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Options:
    """Render photos of a made-up still life, taken from a walk around it, to try splat on."""

    out: Path = HERE / "images"
    """Folder for the photos. A complete one is left as it is, a partial one is finished."""
    truth: Path | None = None
    """File for the true cameras. Not given: truth.json beside the photo folder."""
    count: int = SampleSettings.count
    """Photos."""
    size: str = f"{SampleSettings.width}x{SampleSettings.height}"
    """Width and height of the photos in pixels."""
    seed: int = SampleSettings.seed
    """Another number: another scene and another walk."""

    def run(self) -> int:
        """Make the photos and say where they are."""
        match = re.fullmatch(r"(\d+)x(\d+)", self.size)
        if match is None:
            raise SplatError(f"--size is {self.size!r}", expected="WIDTHxHEIGHT in pixels, as 640x480")
        settings = SampleSettings(self.count, int(match[1]), int(match[2]), self.seed)
        start = time.perf_counter()
        made = generate(self.out, self.truth or self.out.parent / "truth.json", settings, _show)
        if made.rendered:
            seconds = time.perf_counter() - start
            print(f"{settings.count} photos in {self.out} ({made.rendered} rendered in {seconds:.0f} s).")
        else:
            print(f"{settings.count} photos in {self.out}, ready from before.")
        return 0


def _show(done: int, total: int) -> None:
    if sys.stdout.isatty():
        print(
            f"\rRendering the sample photos: {done} of {total}", end="\n" if done == total else "", flush=True
        )
    elif done == 1:
        print(f"Rendering {total} sample photos ...", flush=True)


def main() -> int:
    """Exit code: 0 made, 1 not, 130 interrupted."""
    try:
        return tyro.cli(
            Options,
            prog="python -m datasets.sample",
            config=(tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone),
        ).run()
    except SplatError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; run again to finish.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
