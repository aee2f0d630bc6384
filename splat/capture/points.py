"""Sparse points from PLY files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from splat.errors import SplatError

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1",
    "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
_ORDER = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "="}


def read_points(path: Path) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Positions [P, 3] and colours [P, 3] of a PLY's vertices (grey where it has no colours).

    Raises:
        SplatError: the file is missing or is not a PLY with x, y, z as its first element.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SplatError(f"{path} cannot be read ({error.strerror})", expected="a PLY of points") from error
    try:
        table = _vertices(data)
    except (ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise SplatError(
            f"{path} is not a PLY that can be read ({error})",
            expected="a PLY whose vertices have x, y, z and maybe red, green, blue",
        ) from error
    names = table.dtype.names or ()
    if not {"x", "y", "z"} <= set(names):
        raise SplatError(f"{path} has no x, y, z", expected="a PLY of points")
    points = np.stack([table[axis].astype(np.float64) for axis in "xyz"], axis=1)
    if {"red", "green", "blue"} <= set(names):
        return points, np.stack([_byte(table[name]) for name in ("red", "green", "blue")], axis=1)
    return points, np.full(points.shape, 128, np.uint8)


def _byte(values: NDArray) -> NDArray[np.uint8]:
    scaled = values * 255.0 if values.dtype.kind == "f" else values
    return np.clip(scaled, 0, 255).astype(np.uint8)


def _vertices(data: bytes) -> NDArray:
    end = data.find(b"end_header")
    if not data.startswith(b"ply") or end < 0:
        raise ValueError("no PLY header")
    start = data.index(b"\n", end) + 1
    encoding, count, fields = _header(data[:end].decode("ascii", "replace").splitlines())
    dtype = np.dtype([(name, _ORDER[encoding] + _TYPES[kind]) for name, kind in fields])
    if encoding == "ascii":
        rows = data[start:].decode("ascii").splitlines()[:count]
        if len(rows) < count:
            raise ValueError(f"{len(rows)} of {count} points are there")
        return np.array([tuple(row.split()[: len(fields)]) for row in rows], dtype=dtype)
    if len(data) - start < count * dtype.itemsize:
        raise ValueError(f"cut short: fewer than {count} points are there")
    return np.frombuffer(data, dtype, count, start)


def _header(lines: list[str]) -> tuple[str, int, list[tuple[str, str]]]:
    """Encoding, number of vertices and (name, type) of their properties; vertices must come first."""
    encoding, count, fields = "", -1, []
    for words in (line.split() for line in lines):
        if words[:1] == ["format"]:
            encoding = words[1]
        elif words[:1] == ["element"]:
            if count >= 0:
                break
            if words[1] != "vertex":
                raise ValueError("the first element is not vertex")
            count = int(words[2])
        elif words[:1] == ["property"] and count >= 0:
            fields.append((words[-1], words[1]))
    if count < 0:
        raise ValueError("no vertex element")
    return encoding, count, fields
