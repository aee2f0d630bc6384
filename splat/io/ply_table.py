"""The PLY container: header, and the numbers of the element called "vertex"."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from splat.errors import SplatError

_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_MAX_HEADER = 1 << 20


@dataclass(frozen=True)
class Element:
    """One element of a PLY header.

    Attributes:
        name: for example "vertex".
        count: rows.
        properties: numpy type code (no byte order) by property name, in file order.
        lists: names of properties that are lists, whose rows have no fixed size.
    """

    name: str
    count: int
    properties: dict[str, str]
    lists: tuple[str, ...] = ()

    def row(self, order: str) -> np.dtype:
        """The numpy record of one row, in byte order "<" or ">"."""
        return np.dtype([(name, order + code) for name, code in self.properties.items()])


@dataclass(frozen=True)
class Header:
    """A parsed PLY header.

    Attributes:
        order: "<", ">" or "" for text.
        comments: text of the comment lines, without the word "comment".
        elements: in file order.
        size: bytes up to and including the end_header line.
    """

    order: str
    comments: tuple[str, ...]
    elements: tuple[Element, ...]
    size: int

    def element(self, name: str) -> Element | None:
        """The element of that name, or None."""
        return next((element for element in self.elements if element.name == name), None)


def read_header(path: Path) -> Header:
    """Parse the header of a PLY file, text or binary.

    Raises:
        SplatError: the file cannot be read, is not a PLY file, or its header is malformed.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(_MAX_HEADER)
    except OSError as error:
        raise SplatError(f"{path} cannot be read: {error.strerror or error}") from error
    if not start.startswith((b"ply\n", b"ply\r")):
        found = "is empty" if not start else f"starts with {start[:8]!r}"
        raise SplatError(f"{path} is not a PLY file: it {found}", expected='"ply" on the first line')
    lines = _header_lines(path, start)
    text = [line.decode("utf-8", "replace").strip() for line in lines]
    try:
        return _parse_header(text, size=sum(map(len, lines)))
    except (ValueError, KeyError, IndexError) as error:
        raise SplatError(f"{path} has a malformed PLY header: {error}", advice=_COPY_AGAIN) from error


_COPY_AGAIN = "Copy or export the file again"


def _header_lines(path: Path, start: bytes) -> list[bytes]:
    lines = []
    for line in start.splitlines(keepends=True):
        lines.append(line)
        if line.strip() == b"end_header":
            return lines
    raise SplatError(f"{path} has no end_header line: the file is cut off or no PLY", advice=_COPY_AGAIN)


def _parse_header(lines: list[str], size: int) -> Header:
    order: str | None = None
    comments: list[str] = []
    elements: list[Element] = []
    for line in lines[1:-1]:
        keyword, _, rest = line.partition(" ")
        if keyword in ("comment", "obj_info"):
            comments.append(rest.strip())
        elif keyword == "format":
            order = _ORDERS[rest.split()[0]]
        elif keyword == "element":
            name, count = rest.split()
            if int(count) < 0:
                raise ValueError(f"element {name} has {count} rows")
            elements.append(Element(name, int(count), {}))
        elif keyword == "property":
            elements[-1] = _with_property(elements[-1], rest.split())
        elif keyword:
            raise ValueError(f"unknown line {line!r}")
    if order is None:
        raise ValueError("no format line")
    return Header(order, tuple(comments), tuple(elements), size)


def _with_property(element: Element, words: list[str]) -> Element:
    name = words[-1]
    if name in element.properties or name in element.lists:
        raise ValueError(f"property {name!r} appears twice")
    if words[0] == "list":
        return Element(element.name, element.count, element.properties, (*element.lists, name))
    if len(words) != 2 or words[0] not in _TYPES:
        raise ValueError(f"unknown property {' '.join(words)!r}")
    return Element(element.name, element.count, {**element.properties, name: _TYPES[words[0]]}, element.lists)


def read_columns(path: Path, header: Header, names: list[str]) -> NDArray[np.float32]:
    """The named properties of the element "vertex" as [count, len(names)] float32.

    Numbers of any other type (double, integers) are converted; other properties are passed over.

    Raises:
        SplatError: the file is shorter or longer than its header says, or text is not numbers.
    """
    position = [element.name for element in header.elements].index("vertex")
    before, vertex = header.elements[:position], header.elements[position]
    if vertex.lists or any(element.lists for element in before):
        raise SplatError(
            f"{path} has list properties in or before its vertices", expected="plain numbers for each splat"
        )
    if header.order == "":
        table = _read_text(path, header, vertex, skip=sum(element.count for element in before))
        columns = list(vertex.properties)
        return table[:, [columns.index(name) for name in names]].astype(np.float32)
    rows = _read_binary(path, header, position)
    if all(code == "f4" for code in vertex.properties.values()):  # the usual file: one gather
        columns = list(vertex.properties)
        plain = rows.view(f"{header.order}f4").reshape(len(rows), len(columns))
        return np.take(plain, [columns.index(name) for name in names], axis=1).astype(np.float32, copy=False)
    table32 = np.empty((len(rows), len(names)), np.float32)
    with np.errstate(over="ignore"):
        for column, name in enumerate(names):
            table32[:, column] = rows[name]
    return table32


def _read_binary(path: Path, header: Header, position: int) -> NDArray[np.void]:
    sizes = [element.count * element.row(header.order).itemsize for element in header.elements]
    offset = header.size + sum(sizes[:position])
    vertex = header.elements[position]
    row = vertex.row(header.order)
    found = path.stat().st_size - offset
    if found < sizes[position]:
        raise SplatError(
            f"{path} is cut off: its header promises {vertex.count:,} splats of {row.itemsize} bytes, "
            f"its data ends after {max(found, 0) // row.itemsize:,}",
            advice=_COPY_AGAIN,
        )
    last = not any(element.lists for element in header.elements[position:])
    surplus = found - sum(sizes[position:])
    if last and surplus > 2:  # some writers end the file with an empty line
        raise SplatError(
            f"{path} holds {surplus:,} bytes more than its header promises ({vertex.count:,} splats)",
            advice=_COPY_AGAIN,
        )
    return np.fromfile(path, dtype=row, count=vertex.count, offset=offset)


def _read_text(path: Path, header: Header, vertex: Element, skip: int) -> NDArray[np.float64]:
    body = path.read_bytes()[header.size :]
    lines = body.decode("ascii", "replace").split("\n")
    rows = [line for line in lines if line.strip()][skip : skip + vertex.count]
    if len(rows) < vertex.count:
        raise SplatError(
            f"{path} is cut off: its header promises {vertex.count:,} splats, it has {len(rows):,}",
            advice=_COPY_AGAIN,
        )
    try:
        table = np.loadtxt(io.StringIO("\n".join(rows)), dtype=np.float64, comments=None, ndmin=2)
    except ValueError as error:
        raise SplatError(f"{path} has a line that is not numbers: {error}", advice=_COPY_AGAIN) from error
    if table.shape[1] != len(vertex.properties):
        raise SplatError(
            f"{path} has {table.shape[1]} numbers a line",
            expected=f"{len(vertex.properties)}, as its header says",
        )
    return table
