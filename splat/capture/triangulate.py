"""Sparse points for a capture that has cameras but no points.

The cameras stay as they are given. As with structure from motion, what is found is kept in the cache.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from splat.capture.check import UsablePhoto
from splat.capture.decode import decode
from splat.capture.posed import PosedPhotos
from splat.capture.raw import changed_since
from splat.capture.sfm_cache import model_folder, publish
from splat.capture.triangulate_advice import WITHOUT
from splat.capture.triangulate_cache import Points, fingerprint, is_of_others, load_points, save_points
from splat.capture.triangulate_task import find_points
from splat.capture.worker import BrokeDown, Say

_LOOKED_AT = 8
"""Photos that are decoded to see whether a transparency channel is used."""

_SMALLEST = 128
"""Longest side in pixels of photos that have features enough to be worth the time."""

PointSource = Callable[[PosedPhotos, list[UsablePhoto]], PosedPhotos]
"""Adds points, found in some of the photos, to what a reader found."""


@dataclass(frozen=True)
class Triangulator:
    """Finds points, or goes on without.

    Attributes:
        cache: folder where they are kept, or None for a temporary one.
        say: receives lines for a person.
        keep_cache: refuse a cache that other photos or cameras filled.
    """

    cache: Path | None
    say: Say
    keep_cache: bool

    def __call__(self, posed: PosedPhotos, photos: list[UsablePhoto]) -> PosedPhotos:
        """``posed`` with points that are found in ``photos``, or with a note on why there are none.

        Unchanged where photos are transparent: their silhouettes tell more of where to start.

        Raises:
            SplatError: a photo cannot be read, the cache cannot be written, or, with ``keep_cache``,
                it holds the points of other photos or cameras.
        """
        if _transparent(photos):
            return posed
        if max(max(photo.posed.lens.width, photo.posed.lens.height) for photo in photos) < _SMALLEST:
            note = f"The photos, under {_SMALLEST} pixels, are too small to find points in. {WITHOUT}"
            return replace(posed, notes=[*posed.notes, note])
        if self.cache is not None:
            return self._with_points(posed, photos, self.cache)
        with tempfile.TemporaryDirectory(prefix="splat-points-") as temporary:
            return self._with_points(posed, photos, Path(temporary))

    def _with_points(self, posed: PosedPhotos, photos: list[UsablePhoto], cache: Path) -> PosedPhotos:
        try:
            found = self._find(posed, photos, cache)
        except BrokeDown as error:
            return replace(posed, notes=[*posed.notes, f"{error} {WITHOUT}"])
        record = found.record
        return replace(
            posed,
            points=found.positions,
            point_colors=found.colors,
            reprojection_error=record.reprojection_error if record.points else posed.reprojection_error,
            seconds_sfm=record.seconds,
            notes=[*posed.notes, *record.notes],
        )

    def _find(self, posed: PosedPhotos, photos: list[UsablePhoto], cache: Path) -> Points:
        mark = fingerprint(photos)
        found = load_points(cache, mark)
        if found is not None:
            if found.record.points:
                self.say(f"Using the {found.record.points} points found before, in {model_folder(cache)}")
            return found
        if self.keep_cache and is_of_others(cache, mark):
            raise changed_since(posed.root, model_folder(cache), "photos, masks or cameras")
        with publish(cache, mark) as work:
            found = find_points(posed.source, photos, work, cache / "points.log", mark, self.say)
            save_points(work, found)
        return found


def _transparent(photos: list[UsablePhoto]) -> bool:
    """Whether any photo of a sample lets something through; a transparency channel may be all opaque."""
    for photo in photos[:: max(1, len(photos) // _LOOKED_AT)]:
        if photo.alpha:
            _, alpha = decode(photo.posed.path)
            if alpha is not None and alpha.min() < 255:
                return True
    return False
