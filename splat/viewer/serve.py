"""Showing a finished scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from splat.errors import SplatError
from splat.fit.evaluate import safe_stem
from splat.fit.run import RunFolder, trained_background
from splat.gaussians import Gaussians
from splat.rasterize import Backend, RenderSettings
from splat.viewer.frames import Image
from splat.viewer.scene import RGB, KnownView, guessed_near
from splat.viewer.shell import ViewerShell


@dataclass(frozen=True)
class ShownScene:
    """A scene to look at.

    Attributes:
        gaussians: original world.
        views: cameras of its capture, original world; empty for a lone splat file.
        near: splats closer than this are not drawn, original world.
        background: RGB 0 to 1 that transparent photos were trained over; black where there were none.
    """

    gaussians: Gaussians
    views: list[KnownView]
    near: float
    background: RGB = (0.0, 0.0, 0.0)


def load_scene(path: Path) -> ShownScene:
    """A run folder's scene with its cameras and held-out photos, or a splat file's scene.

    Raises:
        SplatError: there is no scene at ``path``, or a file of it is malformed.
    """
    from splat import io

    if not path.is_dir():
        gaussians = io.read(path)
        return ShownScene(gaussians, [], guessed_near(gaussians), trained_background(path))
    run = RunFolder.open(path)
    if not run.splat.is_file():
        raise SplatError(f"{run.splat} does not exist", advice="Let the run finish, or go on with --resume")
    gaussians, background = io.read(run.splat), trained_background(path)
    if not run.cameras.is_file():
        return ShownScene(gaussians, [], guessed_near(gaussians), background)
    views, scale = read_cameras(run.cameras, run.renders)
    return ShownScene(gaussians, views, RenderSettings.near / scale, background)


def serve(
    gaussians: Gaussians,
    cameras: Sequence[KnownView] = (),
    port: int = 8080,
    block: bool = True,
    host: str = "127.0.0.1",
    near: float | None = None,
    backend: Backend | None = None,
    say: Callable[[str], None] = print,
    background: RGB = (0.0, 0.0, 0.0),
) -> ViewerShell:
    """Open a viewer on a scene.

    Args:
        gaussians: the scene.
        cameras: cameras to offer, in the same world.
        port: port to listen on; the next free one if it is in use. 0 lets the system choose.
        block: return only after Ctrl-C, with the viewer closed; else at once, with it open.
        host: address to listen on; by default only this machine can look.
        near: splats closer than this are not drawn, world units; None: a guess from the scene.
        backend: of the rasteriser; None: the native core if it is built, else the reference.
        say: receives lines for a person.
        background: RGB 0 to 1 behind the scene, until a person chooses another.

    Raises:
        SplatError: the scene is empty, or the server cannot be opened.
    """
    if len(gaussians) == 0:
        raise SplatError("The scene holds no Gaussians; there is nothing to look at")
    shell = ViewerShell(host, port, live=False, backend=backend, say=say)
    shell.scene.near = guessed_near(gaussians) if near is None else near
    shell.scene.background = background
    shell.show(gaussians, copy=False)
    shell.show_views(cameras)
    if block:
        say("Press Ctrl-C to close it.")
        try:
            shell.server.sleep_forever()
        except KeyboardInterrupt:
            say("Closed.")
        finally:
            shell.close()
    return shell


def read_cameras(path: Path, renders: Path) -> tuple[list[KnownView], float]:
    """The cameras of a run's ``cameras.json``, with the photos that evaluation kept in ``renders``.

    Returns:
        views, and the scale of the run's normalised world: normalised = scale * original + shift.

    Raises:
        SplatError: the file is malformed.
    """
    from splat.io.cameras import read_views

    known = read_views(path)
    photos = (renders / f"{safe_stem(view.name)}.photo.png" for view in known.views)
    views = [
        KnownView(view.name, view.camera, view.split == "test", partial(read_photo, photo))
        for view, photo in zip(known.views, photos, strict=True)
    ]
    return views, known.scale


def read_photo(path: Path) -> Image | None:
    """[H, W, 3] uint8 of an image file, or None if it is not there or cannot be read."""
    from PIL import Image as pillow

    try:
        with pillow.open(path) as opened:
            return np.asarray(opened.convert("RGB"))
    except (OSError, ValueError):
        return None
