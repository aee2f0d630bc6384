"""Ports and addresses."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from splat.errors import SplatError
from splat.viewer import server


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that something listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_in_use_is_passed_over(taken: int) -> None:
    found = server.free_port("127.0.0.1", taken)
    assert taken < found < taken + server.TRIES


def test_the_other_port_is_told(taken: int) -> None:
    lines: list[str] = []
    opened = server.open_server("127.0.0.1", taken, lines.append)
    try:
        assert opened.get_port() != taken
        assert lines[0] == f"Port {taken} is in use; taking {opened.get_port()} instead."
        assert lines[1] == f"Viewer: http://127.0.0.1:{opened.get_port()}"
        assert len(lines) == 2
        with socket.create_connection(("127.0.0.1", opened.get_port()), timeout=5):
            pass
    finally:
        opened.stop()


def test_all_in_use(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TRIES", 1)
    with pytest.raises(SplatError, match="all in use"):
        server.free_port("127.0.0.1", taken)


@pytest.mark.parametrize("port", [-1, 65536])
def test_no_such_port(port: int) -> None:
    with pytest.raises(SplatError, match="does not exist"):
        server.free_port("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "not a host"])
def test_a_host_that_is_not_ours(host: str) -> None:
    with pytest.raises(SplatError, match="Cannot listen on host"):
        server.free_port(host, 0)


def test_addresses() -> None:
    assert server.address("127.0.0.1", 80) == "http://127.0.0.1:80"
    assert server.address("::1", 80) == "http://[::1]:80"
    assert server.address("0.0.0.0", 80) == f"http://{socket.gethostname()}:80"
