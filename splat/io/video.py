"""MP4 video out, through OpenCV."""

from __future__ import annotations

import errno
import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from splat.errors import SplatError
from splat.io.atomic import atomic_path, write_error

_CODEC = "mp4v"


class VideoWriter:
    """Writes an MP4 (MPEG-4 Part 2) frame by frame; the file appears when the block ends well.

    Args:
        path: name ending in .mp4; missing folders are made.
        width: pixels.
        height: pixels.
        fps: frames a second.
        overwrite: whether a file that exists may be replaced.

    Raises:
        SplatError: no encoder, another suffix, the file exists, or what was written cannot be played.
    """

    def __init__(self, path: Path, width: int, height: int, fps: float, overwrite: bool = False) -> None:
        if path.suffix.lower() != ".mp4":
            raise SplatError(f"{path} cannot be written as a video", expected="a name ending in .mp4")
        self.path, self.size, self.fps = path, (width, height), fps
        self._overwrite = overwrite
        self._frames = 0

    def __enter__(self) -> VideoWriter:
        import cv2

        self._stack = ExitStack()
        self._temporary = self._stack.enter_context(atomic_path(self.path, self._overwrite))
        self._probe()
        code = cv2.VideoWriter.fourcc(*_CODEC)
        self._writer = cv2.VideoWriter(str(self._temporary), code, self.fps, self.size)
        if not self._writer.isOpened():
            error = SplatError(
                f"{self.path} cannot be encoded: this OpenCV has no MP4 ({_CODEC}) encoder",
                advice="Write pictures instead: give --out a folder. Or install opencv-python-headless",
            )
            self._close(error)
            raise error
        return self

    def _probe(self) -> None:
        """Let a folder that cannot be written be said as such, not as a missing encoder."""
        try:
            self._temporary.write_bytes(bytes(1 << 16))  # an empty file fits on a full disk
        except OSError as error:
            self._close(error)  # raises the message for it
            raise

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Append one frame, [height, width, 3] uint8 RGB."""
        if frame.shape != (self.size[1], self.size[0], 3):
            raise ValueError(f"frame is {frame.shape}, the video {self.size[0]}x{self.size[1]}")
        if shutil.disk_usage(self._temporary.parent).free < frame.nbytes:  # the encoder would not say
            raise write_error(self.path, OSError(errno.ENOSPC, "No space left on device"))
        self._writer.write(np.ascontiguousarray(frame[:, :, ::-1]))
        self._frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.release()
        if error is None and not _plays(self._temporary, self._frames):
            error = SplatError(
                f"{self.path} was written but cannot be read back",
                advice="Check that the disk is not full, or write pictures: give --out a folder",
            )
            self._close(error)
            raise error
        self._close(error)

    def _close(self, error: BaseException | None) -> None:
        """Put the file in place, or remove the temporary one if there was an error."""
        self._stack.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)


def _plays(path: Path, frames: int) -> bool:
    """Whether the file opens, has that many frames, and the first one decodes."""
    import cv2

    capture = cv2.VideoCapture(str(path))
    try:
        return int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == frames and capture.read()[0]
    finally:
        capture.release()
