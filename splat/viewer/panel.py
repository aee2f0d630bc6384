"""The controls beside the picture, one set for each browser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast, get_args

import viser

from splat.gaussians import Antialias
from splat.viewer.comparison import LAYOUTS, Layout
from splat.viewer.frames import MODES, Mode
from splat.viewer.scene import KnownView

FREE = "(free)"
"""Entry of the camera list for a camera that stands elsewhere."""
OWN_FILTER = "as trained"
FILTERS: tuple[str, ...] = (OWN_FILTER, *get_args(Antialias))
"""Entries of the list of pixel filters."""
FILTER_HINT = "How a splat is averaged over a pixel. Any but the one it was trained with changes the look"


@dataclass(frozen=True)
class Choices:
    """What a person has set.

    Attributes:
        mode: what is drawn.
        background: RGB 0 to 1.
        max_side: longest side of a still frame, pixels.
        view: index of the chosen camera, or None.
        layout: comparison with the chosen camera's photo.
        share: where the comparison's slider stands, 0 to 1.
        antialias: pixel filter, or None for the scene's own.
    """

    mode: Mode = "colour"
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    max_side: int = 1280
    view: int | None = None
    layout: Layout = "off"
    share: float = 0.5
    antialias: Antialias | None = None


@dataclass(frozen=True)
class PanelEvents:
    """What the panel reports.

    Attributes:
        changed: a choice changed.
        chosen: a camera was chosen, by index.
        save: the picture should be saved.
    """

    changed: Callable[[], None]
    chosen: Callable[[int], None]
    save: Callable[[], None]


class Panel:
    """Widgets of one browser.

    Args:
        client: the browser.
        views: cameras offered; without any, the camera and comparison folders are left out.
        defaults: what the widgets show at first.
        events: what to call.
    """

    def __init__(
        self,
        client: viser.ClientHandle,
        views: list[KnownView],
        defaults: Choices,
        events: PanelEvents,
    ) -> None:
        self._client, self._views, self._events = client, views, events
        self._labels = _distinct([view.label for view in views])
        self._add_picture(client.gui, defaults)
        self._camera: viser.GuiDropdownHandle[str] | None = None
        if views:
            self._add_cameras(client.gui)
            self._add_comparison(client.gui, defaults)

    def choices(self) -> Choices:
        """What is set now."""
        red, green, blue = self._background.value
        view = self._chosen()
        comparing = self._camera is not None
        return Choices(
            mode=cast(Mode, self._mode.value),
            background=(red / 255, green / 255, blue / 255),
            max_side=int(self._side.value),
            view=view,
            layout=cast(Layout, self._layout.value) if comparing else "off",
            share=float(self._share.value) / 100 if comparing else 0.5,
            antialias=None if self._filter.value == OWN_FILTER else cast(Antialias, self._filter.value),
        )

    def tell(self, text: str) -> None:
        """Show a line (plain text made by us, never a file's name) under the comparison."""
        if self._camera is not None and self._told.content != text:
            self._told.content = text

    def remove(self) -> None:
        """Take the widgets away."""
        for folder in self._folders:
            folder.remove()

    def _chosen(self) -> int | None:
        if self._camera is None or self._camera.value == FREE:
            return None
        return self._labels.index(self._camera.value)

    def _add_picture(self, gui: viser.GuiApi, defaults: Choices) -> None:
        folder = gui.add_folder("Picture", order=10)
        self._folders = [folder]
        with folder:
            self._mode = gui.add_dropdown("Show", MODES, initial_value=defaults.mode)
            self._filter = gui.add_dropdown(
                "Pixel filter", FILTERS, initial_value=defaults.antialias or OWN_FILTER, hint=FILTER_HINT
            )
            red, green, blue = (round(255 * v) for v in defaults.background)
            self._background = gui.add_rgb("Background", (red, green, blue))
            self._side = gui.add_slider(
                "Resolution", 320, 2560, 64, defaults.max_side, hint="Longest side of a still picture, pixels"
            )
            save = gui.add_button("Save picture", hint="As PNG, at this resolution")
        for widget in (self._mode, self._filter, self._background, self._side):
            widget.on_update(lambda _: self._events.changed())
        save.on_click(lambda _: self._events.save())

    def _add_cameras(self, gui: viser.GuiApi) -> None:
        folder = gui.add_folder("Cameras", order=20)
        self._folders.append(folder)
        with folder:
            camera = gui.add_dropdown("Go to", [FREE, *self._labels], initial_value=FREE)
            step = gui.add_button_group("Step", ["previous", "next"])
        self._camera = camera
        camera.on_update(lambda _: self._go())
        step.on_click(lambda _: self._step(1 if step.value == "next" else -1))

    def _add_comparison(self, gui: viser.GuiApi, defaults: Choices) -> None:
        folder = gui.add_folder("Compare with the photo", order=30)
        self._folders.append(folder)
        with folder:
            self._layout = gui.add_dropdown("Layout", LAYOUTS, initial_value=defaults.layout)
            self._share = gui.add_slider("Photo, %", 0, 100, 1, round(100 * defaults.share), visible=False)
            self._told = gui.add_markdown("")
        self._layout.on_update(lambda _: self._lay_out())
        self._share.on_update(lambda _: self._events.changed())

    def _lay_out(self) -> None:
        self._share.visible = self._layout.value == "slider"
        if self._layout.value != "off" and self._chosen() is None and self._camera is not None:
            self._camera.value = self._labels[0]  # type: ignore[misc]
        self._events.changed()

    def _go(self) -> None:
        index = self._chosen()
        if index is not None:
            self._events.chosen(index)
        self._events.changed()

    def _step(self, step: int) -> None:
        index = self._chosen()
        target = (0 if step > 0 else -1) if index is None else (index + step) % len(self._labels)
        if self._camera is not None:
            self._camera.value = self._labels[target]  # type: ignore[misc]


def _distinct(labels: list[str]) -> list[str]:
    """The labels, numbered where one occurs again."""
    seen: dict[str, int] = {FREE: 1}
    result = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        result.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return result
