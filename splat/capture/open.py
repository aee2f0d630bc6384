"""The one door of this package: any source to a ``Capture``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from splat.capture.blender import TRAIN_FILE, read_blender
from splat.capture.build import build_capture
from splat.capture.colmap import find_model, read_colmap
from splat.capture.options import CaptureOptions, Kind
from splat.capture.photos import list_photos, photo_folder
from splat.capture.posed import PosedPhotos
from splat.capture.transforms import read_transforms
from splat.capture.triangulate import Triangulator
from splat.capture.types import Capture
from splat.errors import SplatError

Say = Callable[[str], None]

VIDEO_SUFFIXES = {".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mts", ".3gp"}
"""Files that are taken for videos, lower case."""


def open_capture(
    source: Path,
    options: CaptureOptions,
    cache: Path | None = None,
    progress: Say = print,
    keep_cache: bool = False,
) -> Capture:
    """Read photos and their cameras, finding the cameras first where the source has none.

    Args:
        source: folder of photos, video file, COLMAP model (or the folder with ``sparse``), a
            transforms.json (or the folder with it), or a Blender folder.
        options: how to read.
        cache: folder for what is slow to make (cameras or points found, video frames); opening the same
            source with the same cache again is quick. None: a temporary one.
        progress: receives lines for a person.
        keep_cache: refuse a source that is not the one the cache was filled from, rather than fill it
            anew; for going back to a run that was made before.

    Returns:
        Views sorted by name in the normalised world; photos are decoded only when asked for.

    Raises:
        SplatError: the source cannot be used, and what to do about it.
    """
    source = Path(source)
    _check_options(options)
    if not source.exists():
        raise SplatError(f"{source} does not exist", expected="a folder of photos, a video or a capture")
    kind = detect_kind(source) if options.kind == "auto" else options.kind
    _check_file_or_folder(source, kind)
    if kind != "video" and options.video_frames != CaptureOptions.video_frames:
        raise SplatError(f"--video-frames was given, but {source} is no video", expected="a video file")
    posed = _read(source, kind, options, cache, progress, keep_cache)
    find_points = Triangulator(cache, progress, keep_cache) if options.points == "find" else None
    return build_capture(posed, options, find_points)


def detect_kind(source: Path) -> Kind:
    """What a source is, by what lies in it; cameras that are there are used.

    Raises:
        SplatError: it is none of the kinds.
    """
    if source.is_file():
        return _file_kind(source)
    if (source / TRAIN_FILE).is_file():
        return "blender"
    if (source / "transforms.json").is_file():
        return "transforms"
    if find_model(source) is not None:
        return "colmap"
    if list_photos(photo_folder(source)):
        return "photos"
    videos = [path for path in sorted(source.iterdir()) if path.suffix.lower() in VIDEO_SUFFIXES]
    if videos:
        raise SplatError(f"{source} has no photos, but a video", advice=f"Give the video itself: {videos[0]}")
    raise SplatError(
        f"{source} has no photos in it",
        expected="JPEG, PNG, TIFF, BMP, WebP or HEIC files, a COLMAP model or a transforms.json",
    )


def _file_kind(source: Path) -> Kind:
    if source.suffix.lower() in VIDEO_SUFFIXES:
        return "video"
    if source.name.lower() == TRAIN_FILE:
        return "blender"
    if source.suffix.lower() == ".json":
        return "transforms"
    raise SplatError(
        f"{source} is a file of no known kind",
        expected=f"a folder, a .json, or a video ({' '.join(sorted(VIDEO_SUFFIXES))})",
        advice="To use photos, give the folder they are in",
    )


def _check_file_or_folder(source: Path, kind: Kind) -> None:
    if kind in ("photos", "colmap") and not source.is_dir():
        raise SplatError(f"{source} is a file", expected=f"a folder for --kind {kind}")
    if kind == "video" and source.is_dir():
        raise SplatError(f"{source} is a folder", expected="a video file for --kind video")


def _read(
    source: Path, kind: Kind, options: CaptureOptions, cache: Path | None, say: Say, keep_cache: bool
) -> PosedPhotos:
    folder = source if source.is_dir() else source.parent
    if kind == "transforms":
        return read_transforms(source if source.is_file() else source / "transforms.json", options)
    if kind == "blender":
        return read_blender(folder, options)
    if kind == "colmap":
        return read_colmap(folder)
    # Only now: pycolmap and OpenCV's video reader are slow to import.
    if kind == "video":
        from splat.capture.video import read_video

        return read_video(source, options, cache, say, keep_cache)
    from splat.capture.raw import read_raw_photos

    return read_raw_photos(photo_folder(folder), options, cache, say, keep_cache=keep_cache)


def _check_options(options: CaptureOptions) -> None:
    if options.max_size is not None and options.max_size < 16:
        raise SplatError(f"--max-size {options.max_size} is too small", expected="16 pixels or more")
    if options.test_every < 0 or options.test_every == 1:
        raise SplatError(
            f"--test-every {options.test_every} leaves no photo to train on",
            expected="0 (hold out none) or 2 or more",
        )
    if options.video_frames < 3:
        raise SplatError(f"--video-frames {options.video_frames} is too few", expected="3 or more")
