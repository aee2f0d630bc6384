"""Video: the sharpest frame of each stretch of time, without repeats, as photos."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from splat.capture.options import CaptureOptions
from splat.capture.photos import counted
from splat.capture.posed import PosedPhotos
from splat.capture.raw import FEWEST, changed_since, read_raw_photos
from splat.capture.sfm_cache import sample
from splat.errors import SplatError
from splat.io.atomic import write_error

Say = Callable[[str], None]

_LOOKS = 8
"""Frames looked at in each window, evenly spaced."""

_SHARPNESS_SIDE = 640
_MOTION_SIDE = 160
_STILL = 0.004
"""A frame that has moved less than this fraction of its longer side since the last is a repeat."""

_RECORD = "frames.json"


@dataclass(frozen=True)
class Frame:
    """A frame of a video: its number from 0, and BGR pixels [H, W, 3], upright."""

    number: int
    pixels: NDArray[np.uint8]


def read_video(
    source: Path, options: CaptureOptions, cache: Path | None, say: Say, keep_cache: bool = False
) -> PosedPhotos:
    """Take frames out of a video, then find their cameras (neighbours in time are matched).

    Raises:
        SplatError: the video cannot be decoded, or its frames do not overlap or do not move; or, with
            ``keep_cache``, the cache is of another video.
    """
    # Frames are read again during training, so without a cache the temporary folder stays.
    place = cache if cache is not None else Path(tempfile.mkdtemp(prefix="splat-video-"))
    folder, note = extract_frames(source, options.video_frames, place, say, keep_cache)
    posed = read_raw_photos(folder, options, place, say, "video", "sequential", keep_cache)
    return replace(posed, notes=[note, *posed.notes])


def extract_frames(
    source: Path, most: int, cache: Path, say: Say, keep_cache: bool = False
) -> tuple[Path, str]:
    """Write the chosen frames to ``cache/frames``, all or none, and say how many were chosen.

    Raises:
        SplatError: the video cannot be decoded, too few frames differ, or the cache cannot be written.
    """
    folder = cache / "frames"
    mark = _fingerprint(source, most)
    try:
        known = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        if known["fingerprint"] == mark:
            return folder, known["note"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    if keep_cache and folder.exists():
        raise changed_since(source, folder)
    say(f"Choosing the sharpest frames of {source}")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="working-frames-", dir=cache) as temporary:
            new = Path(temporary) / "frames"
            new.mkdir()
            note = _write_frames(source, most, new)
            record = {"fingerprint": mark, "note": note}
            (new / _RECORD).write_text(json.dumps(record), encoding="utf-8")
            if folder.exists():
                shutil.move(folder, Path(temporary) / "old")
            new.rename(folder)
    except OSError as error:
        raise write_error(folder, error) from error
    say(note)
    return folder, note


def choose_frames(frames: Iterator[Frame], total: int, most: int) -> Iterator[Frame]:
    """The sharpest frame of each of ``most`` windows, except those that repeat the one before.

    Sharpness is compared only within a window, where the frames show nearly the same thing.

    Args:
        frames: in order.
        total: how many frames the video has.
        most: number of windows.
    """
    windows = max(1, min(most, total))
    last: Frame | None = None
    for best in _best_of_windows(frames, total, windows):
        if last is None or motion(last.pixels, best.pixels) >= _STILL:
            last = best
            yield best


def sharpness(pixels: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian over the variance of the image: blur lowers it, contrast does not."""
    grey = _small_grey(pixels, _SHARPNESS_SIDE).astype(np.float32)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var() / (grey.var() + 1.0))


def motion(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Mean optical flow between two frames, as a fraction of the longer side."""
    a, b = _small_grey(first, _MOTION_SIDE), _small_grey(second, _MOTION_SIDE)
    flow = cv2.calcOpticalFlowFarneback(a, b, np.zeros((*a.shape, 2), np.float32), 0.5, 4, 15, 3, 5, 1.1, 0)
    return float(np.linalg.norm(flow, axis=2).mean() / max(a.shape))


def _best_of_windows(frames: Iterator[Frame], total: int, windows: int) -> Iterator[Frame]:
    current, best, best_score = 0, None, -1.0
    for frame in frames:
        window = min(frame.number * windows // max(total, 1), windows - 1)
        if window != current and best is not None:
            yield best
            best, best_score = None, -1.0
        current = window
        score = sharpness(frame.pixels)
        if score > best_score:
            best, best_score = frame, score
    if best is not None:
        yield best


def _write_frames(source: Path, most: int, folder: Path) -> str:
    total = _count_frames(source)
    step = max(1, total // (max(1, most) * _LOOKS))
    kept = 0
    for frame in choose_frames(_decode(source, step), total, most):
        done, data = cv2.imencode(".jpg", frame.pixels, [cv2.IMWRITE_JPEG_QUALITY, 97])
        if done:
            (folder / f"frame_{frame.number:06d}.jpg").write_bytes(data.tobytes())
            kept += 1
    if kept < FEWEST:
        raise SplatError(
            f"{source} gives only {counted(kept, 'frame')} that differ, out of {total}",
            expected="a video in which the camera moves around the thing",
        )
    return f"{kept} sharp frames were chosen out of {total}."


def _decode(source: Path, step: int) -> Iterator[Frame]:
    """Every ``step``-th frame; OpenCV turns them upright as the video's rotation tag says."""
    video = _open(source)
    number = 0
    while video.grab():
        if number % step == 0:
            done, pixels = video.retrieve()
            if done:
                yield Frame(number, np.asarray(pixels, np.uint8))
        number += 1
    video.release()


def _count_frames(source: Path) -> int:
    video = _open(source)
    total = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    if total <= 0:  # some containers do not say
        total = 0
        while video.grab():
            total += 1
    video.release()
    if total <= 0:
        raise _cannot_decode(source)
    return total


def _open(source: Path) -> cv2.VideoCapture:
    video = cv2.VideoCapture(str(source))
    if not video.isOpened():
        raise _cannot_decode(source)
    video.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return video


def _cannot_decode(source: Path) -> SplatError:
    return SplatError(
        f"{source} cannot be decoded as a video",
        expected="MP4, MOV, MKV, WebM or AVI with a usual codec",
        advice="Convert it (ffmpeg -i in -c:v libx264 out.mp4), or take photos out of it yourself",
    )


def _small_grey(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    scale = min(1.0, side / max(pixels.shape[:2]))
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)


def _fingerprint(source: Path, most: int) -> str:
    return hashlib.sha256(f"frames 2 {sample(source)} {most}".encode()).hexdigest()
