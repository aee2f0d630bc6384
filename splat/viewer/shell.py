"""The viewer: a viser server, one thread that draws, and a session for each browser."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import viser

from splat.cameras import Camera
from splat.gaussians import Gaussians
from splat.rasterize import Backend
from splat.viewer.client_camera import client_from_camera
from splat.viewer.pace import Drawn, due
from splat.viewer.scene import KnownView, LatestScene, common_up, overview, turning_distance
from splat.viewer.server import address, open_server
from splat.viewer.session import Session


class ViewerShell:
    """Draws the newest scene for every browser that is connected.

    Frames are drawn by one thread, so a viewer takes at most one render's worth of time and memory.

    Args:
        host: address to listen on.
        port: port to listen on; the next free one if it is in use.
        live: the scene is being trained, so drawing leaves most of the time to training.
        backend: of the rasteriser; None: the native core if it is built, else the reference.
        say: receives lines for a person.

    Raises:
        SplatError: as ``splat.viewer.server.open_server``.
    """

    def __init__(
        self, host: str, port: int, live: bool, backend: Backend | None, say: Callable[[str], None] = print
    ) -> None:
        self.scene = LatestScene()
        self.live = live
        self._backend: Backend = backend or built_backend(say)
        self._views: list[KnownView] = []
        self._sessions: dict[int, Session] = {}
        self._placed = False
        self._changed = threading.Condition()
        self._closed = False
        self.server = open_server(host, port, say)
        self.url = address(host, self.server.get_port())
        self.server.on_client_connect(self._connect)
        self.server.on_client_disconnect(self._disconnect)
        self._thread = threading.Thread(target=self._run, name="splat-viewer", daemon=True)
        self._thread.start()

    @property
    def watched(self) -> bool:
        """True while a browser is connected."""
        return bool(self._sessions)

    def show(self, gaussians: Gaussians, copy: bool) -> None:
        """Show this scene; ``copy`` if the caller will go on changing it."""
        self.scene.put(gaussians, copy)
        if not self._placed and not self._views and len(gaussians):
            self._start_at(overview(gaussians))
        self._wake()

    def show_views(self, views: Sequence[KnownView]) -> None:
        """Offer these cameras, and let browsers start at the first of them."""
        with self._changed:
            self._views = list(views)
            sessions = list(self._sessions.values())
        if views:
            self.server.scene.set_up_direction(common_up([view.camera for view in views]))
            self._start_at(views[0].camera)
        for session in sessions:
            session.show_views(self._views)

    def close(self) -> None:
        """Stop drawing and listening; may be called more than once."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self.server.stop()

    def _start_at(self, camera: Camera) -> None:
        """Where browsers that connect from now on stand at first."""
        distance = turning_distance(camera, self._views, self.scene.get()[0])
        pose, start = client_from_camera(camera), self.server.initial_camera
        rotation = camera.world_to_camera[:3, :3].detach().double().numpy()
        start.position = pose.position
        start.look_at = np.array(pose.position) + distance * rotation[2]
        start.up = -rotation[1]
        start.fov = pose.fov
        start.near, start.far = distance * 1e-3, distance * 1e3
        self._placed = True

    def _connect(self, client: viser.ClientHandle) -> None:
        session = Session(client, self._views, self._wake, self.scene, self._backend)
        with self._changed:
            self._sessions[client.client_id] = session
            views = self._views
        if views is not session.views:  # they were exchanged while the browser connected
            session.show_views(views)
        self._wake()

    def _disconnect(self, client: viser.ClientHandle) -> None:
        with self._changed:
            self._sessions.pop(client.client_id, None)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                gaussians, version = self.scene.get()
                now = time.monotonic()
                session, wait, full = (
                    self._next(version, now) if gaussians is not None else (None, None, False)
                )
                if session is None or gaussians is None or (wait is not None and wait > 0):
                    self._changed.wait(wait)
                    continue
                wanted = session.wanted(version, self.live)
            try:
                session.answer(gaussians, wanted, full)
            except Exception as error:  # one browser's trouble must not end drawing for the others
                session.complain(error)
                session.drawn = Drawn(wanted.request, wanted.version, True, time.monotonic())

    def _next(self, version: int, now: float) -> tuple[Session | None, float | None, bool]:
        """The session whose frame is due first, in how many seconds, and whether at full size."""
        first: tuple[Session | None, float | None, bool] = (None, None, False)
        for session in self._sessions.values():
            found = due(session.wanted(version, self.live), session.drawn, now)
            if found is not None and (first[1] is None or found[0] - now < first[1]):
                first = (session, found[0] - now, found[1])
        return first


def built_backend(say: Callable[[str], None]) -> Backend:
    """The native core where it is built; else the reference, and a line that says so."""
    from splat.fit.engine import choose_engine

    name = choose_engine().name
    if name == "reference":
        say("The native core is not built, so pictures are drawn slowly. `splat doctor` says what to do.")
    return name
