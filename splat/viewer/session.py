"""One browser: where it looks, what it wants to see, and the frame that answers it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import viser

from splat.cameras import Camera
from splat.errors import SplatError
from splat.gaussians import Gaussians
from splat.rasterize import Backend
from splat.viewer.client_camera import camera_from_client, client_from_camera
from splat.viewer.comparison import arrange, fitted, letterbox, psnr, stack_is_larger
from splat.viewer.frames import Image, render_frame
from splat.viewer.pace import Drawn, Wanted, draft_size, full_size
from splat.viewer.panel import Choices, Panel, PanelEvents
from splat.viewer.scene import KnownView, LatestScene, turning_distance

JPEG_DRAFT, JPEG_FULL = 70, 92


@dataclass(frozen=True)
class Window:
    """A browser's camera and the size of its window.

    Attributes:
        wxyz: quaternion, camera to world.
        position: camera centre.
        fov: vertical field of view, radians.
        width: pixels.
        height: pixels.
    """

    wxyz: tuple[float, ...]
    position: tuple[float, ...]
    fov: float
    width: int
    height: int

    @classmethod
    def of(cls, camera: viser.CameraHandle) -> Window:
        """What the browser said last."""
        return cls(
            tuple(camera.wxyz.tolist()),
            tuple(camera.position.tolist()),
            float(camera.fov),
            max(int(camera.image_width), 1),
            max(int(camera.image_height), 1),
        )

    def camera(self, width: int, height: int) -> Camera:
        """Our camera for a picture of this size."""
        return camera_from_client(self.wxyz, self.position, self.fov, width, height)


@dataclass(frozen=True)
class Drawing:
    """How pictures are made, the same for everybody.

    Attributes:
        backend: of the rasteriser.
        near: splats closer than this are not drawn, world units.
    """

    backend: Backend = "auto"
    near: float = 0.01


@dataclass(frozen=True)
class Picture:
    """A frame and what is to be said of it."""

    image: Image
    words: str = ""


def draw(
    gaussians: Gaussians,
    window: Window,
    choices: Choices,
    views: list[KnownView],
    size: tuple[int, int],
    drawing: Drawing,
) -> Picture:
    """The frame a browser should see at ``size`` (width, height).

    With a comparison chosen, it is drawn from the chosen photo's own camera, not from the window's.
    """
    width, height = size
    if choices.layout == "off" or choices.view is None:
        image = render_frame(
            gaussians,
            window.camera(width, height),
            choices.mode,
            choices.background,
            drawing.backend,
            drawing.near,
            choices.antialias,
        )
        return Picture(image)
    view = views[choices.view]
    stacked = stack_is_larger(view.camera.width, view.camera.height, width, height)
    scale = min(width / view.camera.width, height / view.camera.height, 1.0)
    camera = view.camera.resized(
        max(round(view.camera.width * scale), 1), max(round(view.camera.height * scale), 1)
    )
    render = render_frame(
        gaussians, camera, "colour", choices.background, drawing.backend, drawing.near, choices.antialias
    )
    photo = view.photo()
    if photo is None:
        words = "There is no photo of this view here; only the render is shown."
        return Picture(letterbox(render, width, height), words)
    photo = fitted(photo, camera.width, camera.height)
    arranged = arrange(photo, render, choices.layout, choices.share, stacked)
    words = f"{psnr(photo, render):.2f} dB at {camera.width} × {camera.height}, as shown."
    return Picture(letterbox(arranged, width, height), words)


class Session:
    """State of one browser.

    Args:
        client: the browser.
        views: cameras offered.
        wake: called when there may be something to draw.
        scene: the newest scene.
        backend: of the rasteriser.
    """

    def __init__(
        self,
        client: viser.ClientHandle,
        views: list[KnownView],
        wake: Callable[[], None],
        scene: LatestScene,
        backend: Backend,
    ) -> None:
        self.client, self.views, self._wake, self._scene = client, views, wake, scene
        self._backend: Backend = backend
        self.drawn = Drawn()
        self._request, self._moved_at = 0, 0.0
        self._seconds_per_pixel: float | None = None
        self.panel = self._make_panel(Choices(background=scene.background))
        client.camera.on_update(lambda _: self.changed())

    def show_views(self, views: list[KnownView]) -> None:
        """Offer other cameras from now on."""
        kept = self.panel.choices()
        self.panel.remove()
        self.views = views
        self.panel = self._make_panel(
            Choices(kept.mode, kept.background, kept.max_side, antialias=kept.antialias)
        )
        self.changed()

    def _make_panel(self, defaults: Choices) -> Panel:
        return Panel(self.client, self.views, defaults, PanelEvents(self.changed, self.go_to, self.save))

    def wanted(self, version: int, live: bool) -> Wanted:
        """What this browser wants to see."""
        return Wanted(self._request, self._moved_at, version, live)

    def changed(self) -> None:
        """The camera or a choice changed."""
        self._request, self._moved_at = self._request + 1, time.monotonic()
        self._wake()

    def go_to(self, index: int) -> None:
        """Stand where a known camera stands."""
        view = self.views[index]
        stand_at(self.client, view.camera, turning_distance(view.camera, self.views, self._scene.get()[0]))

    def answer(self, gaussians: Gaussians, wanted: Wanted, full: bool) -> None:
        """Draw and send one frame."""
        window, choices = Window.of(self.client.camera), self.panel.choices()
        size = full_size(window.width, window.height, choices.max_side)
        if not full:
            size = draft_size(*size, self._seconds_per_pixel)
        start = time.monotonic()
        picture = draw(gaussians, window, choices, self.views, size, self._drawing())
        now = time.monotonic()
        self._seconds_per_pixel = (now - start) / (size[0] * size[1])
        quality = JPEG_FULL if full else JPEG_DRAFT
        self.client.scene.set_background_image(picture.image, format="jpeg", jpeg_quality=quality)
        self.panel.tell(picture.words)
        self.drawn = Drawn(wanted.request, wanted.version, full, now, now - start)

    def _drawing(self) -> Drawing:
        return Drawing(self._backend, self._scene.near)

    def save(self) -> None:
        """Send the picture as a PNG file, at the resolution that is set."""
        gaussians, _ = self._scene.get()
        if gaussians is None:
            return
        window, choices = Window.of(self.client.camera), self.panel.choices()
        size = full_size(window.width, window.height, choices.max_side)
        try:
            picture = draw(gaussians, window, choices, self.views, size, self._drawing())
        except SplatError as error:
            self.complain(error)
            return
        self.client.send_file_download("splat.png", png(picture.image), save_immediately=True)

    def complain(self, error: Exception) -> None:
        """Show an error in the browser."""
        text = str(error) if isinstance(error, SplatError) else f"{type(error).__name__}: {error}"
        self.client.add_notification("This cannot be drawn", text, color="red")


def stand_at(client: viser.ClientHandle, camera: Camera, distance: float) -> None:
    """Put a browser's camera at ``camera``, turning about a point ``distance`` ahead."""
    pose = client_from_camera(camera, client.camera.aspect)
    rotation = camera.world_to_camera[:3, :3].detach().double().numpy()
    position = np.array(pose.position)
    with client.atomic():
        client.camera.up_direction = tuple(-rotation[1])
        client.camera.position = tuple(position)
        client.camera.look_at = tuple(position + distance * rotation[2])
        client.camera.fov = pose.fov


def png(image: Image) -> bytes:
    """The image as a PNG file."""
    import io

    from PIL import Image as pillow

    stream = io.BytesIO()
    pillow.fromarray(image).save(stream, "PNG")
    return stream.getvalue()
