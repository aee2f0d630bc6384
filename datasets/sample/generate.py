"""The sample capture on disk: a folder of photos, and the true cameras kept aside."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from datasets.sample.photos import SUFFIXES, Caption, is_ours, is_whole, write_photo
from datasets.sample.render import PinholeCamera, photograph
from datasets.sample.stage import still_life
from datasets.sample.walk import walk
from splat.errors import SplatError

# Goes up with every change of the pictures, so that old photos are remade.
VERSION = 1


@dataclass(frozen=True)
class SampleSettings:
    """What the photos depend on.

    Attributes:
        count: photos.
        width: pixels.
        height: pixels.
        seed: of the scene and of the walk.
    """

    count: int = 34
    width: int = 640
    height: int = 480
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.count <= 9999:
            raise SplatError(f"--count is {self.count}", expected="2 to 9999 photos")
        if min(self.width, self.height) < 16 or max(self.width, self.height) > 8192:
            raise SplatError(f"--size is {self.width}x{self.height}", expected="sides of 16 to 8192 pixels")
        if self.seed < 0:
            raise SplatError(f"--seed is {self.seed}", expected="zero or a positive whole number")

    @property
    def caption(self) -> str:
        """Written into every photo."""
        return f"splat sample {VERSION}, seed {self.seed}, {self.width}x{self.height}, {self.count} photos"

    @property
    def cameras(self) -> list[PinholeCamera]:
        """The true cameras, in the order of the photos."""
        return walk(self.count, self.width, self.height, self.seed)


@dataclass(frozen=True)
class Made:
    """What :func:`generate` did: photos rendered, photos found ready, photos of other settings removed."""

    rendered: int
    ready: int
    removed: int


def generate(
    folder: Path,
    truth: Path,
    settings: SampleSettings,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Made:
    """Fill ``folder`` with the sample's photos and write the true cameras to ``truth``.

    Photos that are there already and whole are kept; a folder that was broken off is finished.

    Args:
        folder: for the photos; made if missing.
        truth: JSON file for the true cameras; not inside ``folder``.
        settings: what to render.
        progress: called with (photos rendered, photos to render) after each one.

    Raises:
        SplatError: ``folder`` holds photos that are not the sample's, or cannot be written.
    """
    if truth.resolve().is_relative_to(folder.resolve()):
        raise SplatError(
            f"--truth {truth} lies in the photo folder {folder}",
            expected="a place outside it, so that nothing but photos is read from the folder",
        )
    captions = [Caption(settings.caption, number + 1) for number in range(settings.count)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        removed = _clear(folder, captions)
        _write_truth(truth, settings, captions)
        missing = [index for index, caption in enumerate(captions) if not is_whole(folder, caption)]
        _render(folder, settings, captions, missing, progress)
    except OSError as error:
        raise SplatError(
            f"cannot write the sample to {folder}: {error}",
            advice="Give another folder with --out, or free some space; what is written is kept",
        ) from error
    return Made(len(missing), settings.count - len(missing), removed)


def _render(
    folder: Path,
    settings: SampleSettings,
    captions: list[Caption],
    missing: list[int],
    progress: Callable[[int, int], None],
) -> None:
    if not missing:
        return
    scene = still_life(settings.seed)
    cameras = settings.cameras

    def shoot(index: int) -> None:
        write_photo(folder, captions[index], photograph(scene, cameras[index]))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(shoot, index) for index in missing]
        try:
            for done, job in enumerate(as_completed(jobs), start=1):
                job.result()
                progress(done, len(missing))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _clear(folder: Path, captions: list[Caption]) -> int:
    """Remove the sample's own photos that are not of these settings; refuse to mix with other photos."""
    removed = 0
    wanted = {caption.name: caption for caption in captions}
    photos = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    broken = [path for path in photos if path.name in wanted and path.stat().st_size == 0]
    foreign = [path.name for path in photos if path not in broken and not is_ours(path)]
    if foreign:
        raise SplatError(
            f"{folder} holds photos that are not the sample's ({foreign[0]}, {len(foreign)} in all)",
            expected="an empty folder or an earlier sample",
            advice="Give another folder with --out",
        )
    for path in photos:
        if path.name not in wanted or not is_whole(folder, wanted[path.name]):
            path.unlink()
            removed += 1
    for part in folder.glob(".IMG_*.part"):
        part.unlink(missing_ok=True)
    return removed


def _write_truth(path: Path, settings: SampleSettings, captions: list[Caption]) -> None:
    """JSON: per photo the OpenCV world-to-camera [4, 4] and intrinsics [3, 3]; world in metres, z up."""
    views = [
        {
            "name": caption.name,
            "world_to_camera": camera.world_to_camera.tolist(),
            "intrinsics": camera.intrinsics.tolist(),
            "width": camera.width,
            "height": camera.height,
        }
        for caption, camera in zip(captions, settings.cameras, strict=True)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps({"sample": settings.caption, "views": views}, indent=1) + "\n")
    os.replace(part, path)
