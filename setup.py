"""Builds the native core (``splat._native``) with CMake; everything else is in pyproject.toml.

The build folder ``build/native-<tag>`` is kept, so a second build compiles only what changed.
``SPLAT_CUDA=0|1|auto`` leaves CUDA out, demands it, or (the default) takes it if nvcc is there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import nanobind
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent.resolve()
CUDA_CHOICES = {"0": "OFF", "off": "OFF", "1": "ON", "on": "ON", "auto": "AUTO", "": "AUTO"}


def cuda_choice() -> str:
    """What ``SPLAT_CUDA`` asks for, as CMake's option."""
    found = os.environ.get("SPLAT_CUDA", "auto")
    if found.lower() not in CUDA_CHOICES:
        raise SystemExit(f"SPLAT_CUDA is {found!r}. Expected 0, 1 or auto.")
    return CUDA_CHOICES[found.lower()]


def build_folder(cuda: str) -> Path:
    """A folder of its own for each platform, Python and CUDA choice."""
    tag = f"{sysconfig.get_platform()}-{sys.implementation.cache_tag}-cuda-{cuda.lower()}"
    return ROOT / "build" / f"native-{tag}"


def nanobind_folder(build: Path) -> Path:
    """nanobind's sources at a path that lasts.

    An isolated build finds nanobind in a new temporary folder each time, which would make every
    object file out of date; a copy in the kept build folder does not move.
    """
    kept = build / f"nanobind-{nanobind.__version__}"
    if not kept.is_dir():
        shutil.copytree(Path(nanobind.__file__).parent, kept, ignore=shutil.ignore_patterns("__pycache__"))
    return kept


def configure_command(build: Path, output: Path, cuda: str, version: str) -> list[str]:
    """The CMake call that prepares ``build`` to write ``_native`` into ``output``."""
    command = [
        shutil.which("cmake") or "cmake",
        "-S", str(ROOT / "cuda"),
        "-B", str(build / "cmake"),
        "-DCMAKE_BUILD_TYPE=Release",
        f"-DPython_EXECUTABLE={sys.executable}",
        f"-Dnanobind_DIR={nanobind_folder(build) / 'cmake'}",
        f"-DSPLAT_CUDA={cuda}",
        f"-DCMAKE_CUDA_ARCHITECTURES={os.environ.get('CUDAARCHS', '80')}",
        f"-DSPLAT_OUTPUT_DIR={output}",
        f"-DSPLAT_VERSION={version}",
    ]  # fmt: skip
    ninja = shutil.which("ninja")
    if ninja:
        command += ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
    return command


def run(command: list[str], step: str) -> None:
    """Run one build step with its output in view; on failure say which step and what can be done."""
    print(f"-- {step}: {' '.join(command)}", flush=True)
    try:
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except FileNotFoundError:
        raise SystemExit(f"{step} failed: {command[0]} was not found. Run: pip install cmake ninja") from None
    print(result.stdout, flush=True)
    if result.returncode:
        raise SystemExit(
            f"{step} of the native core failed (exit code {result.returncode}); the "
            "compiler's own words are above. A C++17 compiler is needed (Linux: g++ or clang++; macOS: "
            "xcode-select --install; Windows: Visual Studio Build Tools). If it is the CUDA part that "
            "fails, build without it: SPLAT_CUDA=0 pip install ."
        )


class CMakeBuild(build_ext):
    """Builds the one extension with CMake and puts it where setuptools wants it."""

    def build_extension(self, ext: Extension) -> None:
        """Configure, compile, and copy ``_native*`` to its place in the package."""
        cuda = cuda_choice()
        build = build_folder(cuda)
        output = build / "out"
        output.mkdir(parents=True, exist_ok=True)
        version = self.distribution.get_version()
        run(configure_command(build, output, cuda, version), "Configuring")
        compile_command = ["cmake", "--build", str(build / "cmake"), "--config", "Release"]
        compile_command += ["--target", "_native", "--parallel", str(self.parallel or os.cpu_count() or 1)]
        run(compile_command, "Compiling")
        built = [path for path in output.rglob("_native*") if path.suffix in {".so", ".pyd"}]
        if not built:
            raise SystemExit(f"The native core was compiled, but there is no _native module in {output}.")
        target = Path(self.get_ext_fullpath(ext.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        newest = max(built, key=lambda path: path.stat().st_mtime)
        # Replaced, not overwritten: a program that has the old module loaded keeps it unharmed.
        temporary = target.with_name(target.name + ".new")
        shutil.copy2(newest, temporary)
        os.replace(temporary, target)


setup(ext_modules=[Extension("splat._native", sources=[])], cmdclass={"build_ext": CMakeBuild})
