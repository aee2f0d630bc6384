"""Opening a viser server on a port that is free, saying plainly when that fails."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import socket
from collections.abc import Callable

import viser

from splat.errors import SplatError

TRIES = 20
"""Ports tried upwards from the one asked for."""
LOCAL = ("127.0.0.1", "localhost", "::1")


def open_server(host: str, port: int, say: Callable[[str], None] = print) -> viser.ViserServer:
    """A viser server on ``port`` or the next free one, and a line that says where.

    Args:
        host: address to listen on; "127.0.0.1" lets only this machine in.
        port: 0 lets the system choose.
        say: receives lines for a person.

    Raises:
        SplatError: the host is not this machine's, the port is not one that can be used, or none of
            the ``TRIES`` ports from it on is free.
    """
    free = free_port(host, port)
    if port not in (0, free):
        say(f"Port {port} is in use; taking {free} instead.")
    with contextlib.redirect_stdout(io.StringIO()):  # its banner; the address is said below
        server = viser.ViserServer(host=host, port=free, verbose=False)
    server.scene.set_up_direction("-y")
    server.gui.configure_theme(show_logo=False, show_share_button=False, dark_mode=True)
    server.gui.main_panel.dock_right()
    say(f"Viewer: {address(host, server.get_port())}")
    if host not in LOCAL:
        say("It can be opened, and training stopped, by anyone who can reach this machine.")
    return server


def address(host: str, port: int) -> str:
    """The URL a person opens."""
    shown = socket.gethostname() if host in ("0.0.0.0", "::") else host
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def free_port(host: str, port: int) -> int:
    """The first port from ``port`` on that can be listened on; 0 gives any.

    Raises:
        SplatError: see ``open_server``.
    """
    if not 0 <= port <= 65535:
        raise SplatError(f"Port {port} does not exist", expected="a port from 1024 to 65535")
    candidates = range(port, min(port + TRIES, 65536)) if port else range(1)
    for candidate in candidates:
        found = _try_port(host, candidate)
        if found is not None:
            return found
    raise SplatError(
        f"Ports {port} to {candidates[-1]} on {host} are all in use",
        advice="Close another viewer, or choose another --port",
    )


def _try_port(host: str, port: int) -> int | None:
    """The port if it can be listened on, None if it is in use."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            return probe.getsockname()[1]
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise SplatError(
                f"Port {port} may not be used ({error.strerror})", expected="a port from 1024 to 65535"
            ) from error
        raise SplatError(
            f"Cannot listen on host {host!r} ({error.strerror or error})",
            expected="127.0.0.1 (this machine only), 0.0.0.0 (everyone), or an address of this machine",
        ) from error
