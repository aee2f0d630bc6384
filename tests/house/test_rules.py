"""The rules of docs/architecture.md that a program can check: layers, sizes, names, what is installed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODEL = ("gaussians", "cameras", "sh", "morton", "native_core", "device_core", "devices")
LAYERS = (
    ("_native",),
    ("errors",),
    MODEL,
    ("rasterize",),
    ("io",),
    ("capture",),
    ("fit",),
    ("viewer", "report"),
    ("doctor",),
    ("cli",),
)
"""Bottom to top. A module imports from below; only those of the data model know each other."""
HEIGHT = {name: height for height, names in enumerate(LAYERS) for name in names}
PACKAGE = sorted((ROOT / "splat").rglob("*.py"))
OTHERS = [path for folder in ("apps", "benchmarks", "datasets") for path in (ROOT / folder).rglob("*.py")]
PYTHON = [*PACKAGE, *OTHERS]
NATIVE = [path for path in sorted((ROOT / "cuda").rglob("*")) if path.suffix in (".h", ".cpp", ".cu", ".cuh")]


def imported(path: Path) -> Iterator[str]:
    """First name below ``splat`` of every import in a file, wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "splat" and len(parts) > 1 and parts[1] in HEIGHT:
                yield parts[1]


def test_every_module_has_a_layer() -> None:
    found = {path.relative_to(ROOT / "splat").parts[0].removesuffix(".py") for path in PACKAGE}
    assert found - {"__init__"} <= set(HEIGHT)


def test_imports_point_down() -> None:
    wrong = []
    for path in PACKAGE:
        own = path.relative_to(ROOT / "splat").parts[0].removesuffix(".py")
        for other in imported(path):
            sideways = other != own and HEIGHT[other] == HEIGHT.get(own) and own not in MODEL
            if own != "__init__" and (HEIGHT[other] > HEIGHT[own] or sideways):
                wrong.append(f"{path.relative_to(ROOT)} imports splat.{other}")
    assert wrong == []


def test_no_file_is_over_400_lines() -> None:
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PYTHON + NATIVE}
    assert [f"{path.relative_to(ROOT)}: {size}" for path, size in sizes.items() if size > 400] == []


def test_no_function_is_over_80_lines() -> None:
    long = []
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > 80:
                    long.append(f"{path.relative_to(ROOT)}: {node.name} has {size} lines")
    assert long == []


def test_no_file_for_whatever_is_left_over() -> None:
    assert [path for path in PYTHON if path.stem in ("utils", "util", "common", "helpers", "misc")] == []


@pytest.mark.parametrize("heavy", ["torch", "pycolmap", "cv2", "viser"])
def test_help_loads_nothing_heavy(heavy: str) -> None:
    program = (
        "import sys; from splat.cli.main import main; main(['--help']); "
        f"sys.exit('{heavy} was imported' if '{heavy}' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
