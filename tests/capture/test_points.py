"""Sparse points from PLY files: every encoding, and what is no PLY."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from splat.capture.points import read_points
from splat.errors import SplatError

XYZ = np.array([[1.0, -2.0, 3.5], [0.25, 0.0, -8.0]])
RGB = np.array([[255, 0, 7], [1, 2, 3]], np.uint8)


def header(encoding: str, kind: str, rest: str = "") -> bytes:
    """A header with a property between position and colour, and faces after the vertices."""
    axes = "".join(f"property {kind} {axis}\n" for axis in "xyz")
    colors = "".join(f"property uchar {name}\n" for name in ("red", "green", "blue"))
    faces = "element face 0\nproperty list uchar int vertex_indices\n"
    text = f"ply\nformat {encoding} 1.0\ncomment x\nelement vertex 2\n{axes}{rest}{colors}{faces}end_header\n"
    return text.encode()


@pytest.mark.parametrize(("encoding", "order"), [("binary_little_endian", "<"), ("binary_big_endian", ">")])
@pytest.mark.parametrize(("kind", "code"), [("float", "f4"), ("double", "f8")])
def test_binary(tmp_path: Path, encoding: str, order: str, kind: str, code: str) -> None:
    dtype = np.dtype([("p", order + code, 3), ("n", order + "i2"), ("c", "u1", 3)])
    table = np.zeros(2, dtype)
    table["p"], table["n"], table["c"] = XYZ, 5, RGB
    (tmp_path / "a.ply").write_bytes(header(encoding, kind, "property short n\n") + table.tobytes())
    points, colors = read_points(tmp_path / "a.ply")
    assert (points == XYZ).all() and (colors == RGB).all()


def test_ascii(tmp_path: Path) -> None:
    rows = "".join(f"{x} {y} {z} {r} {g} {b}\n" for (x, y, z), (r, g, b) in zip(XYZ, RGB, strict=True))
    (tmp_path / "a.ply").write_bytes(header("ascii", "float") + rows.encode())
    points, colors = read_points(tmp_path / "a.ply")
    assert (points == XYZ).all() and (colors == RGB).all()


def test_without_colours_points_are_grey(tmp_path: Path) -> None:
    axes = "".join(f"property float {axis}\n" for axis in "xyz")
    text = f"ply\nformat ascii 1.0\nelement vertex 1\n{axes}end_header\n1 2 3\n"
    (tmp_path / "a.ply").write_text(text)
    assert read_points(tmp_path / "a.ply")[1].tolist() == [[128, 128, 128]]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no ply",
        header("binary_little_endian", "float") + b"short",
        header("ascii", "float") + b"1 2 3 4 5 6\n",
        header("binary_middle_endian", "float"),
        b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n1\n",
    ],
)
def test_what_is_no_ply_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.ply").write_bytes(data)
    with pytest.raises(SplatError, match=r"a\.ply"):
        read_points(tmp_path / "a.ply")
    with pytest.raises(SplatError, match=r"b\.ply"):
        read_points(tmp_path / "b.ply")
