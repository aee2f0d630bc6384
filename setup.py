"""Builds the native core (``splat._native``) with CMake; everything else is in pyproject.toml.

The build folder ``build/native-<tag>`` is kept, so a second build compiles only what changed.
``SPLAT_CUDA=0|1|auto`` leaves CUDA out, demands it, or (the default) takes it if nvcc is there.
``SPLAT_CUDA_ARCHS`` says for which GPUs: compute capabilities without their dot ("80;90"), "native" for
those in this machine, or nothing for all that the module is released for; ``CUDAARCHS`` is CMake's own word
and goes before it.
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
ARCHITECTURES = ("75", "80", "86", "89", "90", "100", "120")
"""Turing, Ampere (data centre, desktop), Ada, Hopper, Blackwell (data centre, desktop); later ones run the
PTX of the last."""
ONE_ARCHITECTURE = "80"


def cuda_choice() -> str:
    """What ``SPLAT_CUDA`` asks for, as CMake's option."""
    found = os.environ.get("SPLAT_CUDA", "auto")
    if found.lower() not in CUDA_CHOICES:
        raise SystemExit(f"SPLAT_CUDA is {found!r}. Expected 0, 1 or auto.")
    return CUDA_CHOICES[found.lower()]


def words_of(command: list[str]) -> list[str]:
    """What a program prints, in words; none where it is missing or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return []


def find_nvcc() -> str | None:
    """The CUDA compiler that CMake would take."""
    usual = "/usr/local/cuda/bin/nvcc"
    return shutil.which(os.environ.get("CUDACXX") or "nvcc") or shutil.which(usual)


def known_architectures(nvcc: str) -> list[str]:
    """Those of ``ARCHITECTURES`` that this nvcc compiles for; says which it does not."""
    printed = words_of([nvcc, "--list-gpu-arch"])
    known = [one for one in ARCHITECTURES if not printed or f"compute_{one}" in printed]
    dropped = [one for one in ARCHITECTURES if one not in known]
    if dropped:
        print(f"-- {nvcc} does not know the architectures {', '.join(dropped)}: left out", flush=True)
    return known or [ONE_ARCHITECTURE]


def architectures(nvcc: str) -> str:
    """CMake's list of CUDA architectures: machine code for each, and PTX for what comes after the last."""
    if given := os.environ.get("CUDAARCHS"):
        return given
    asked = os.environ.get("SPLAT_CUDA_ARCHS", "")
    if asked == "native":
        found = words_of(["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"])
        wanted = sorted({one.replace(".", "") for one in found if one.replace(".", "").isdigit()}, key=int)
        if not wanted:
            print(f"-- no CUDA device in this machine: compiling for {ONE_ARCHITECTURE}", flush=True)
    else:
        wanted = asked.replace(",", ";").split(";") if asked else known_architectures(nvcc)
        if not all(one.isalnum() for one in wanted):
            raise SystemExit(f"SPLAT_CUDA_ARCHS is {asked!r}. Expected native, or numbers as in 80;90.")
    *others, last = wanted or [ONE_ARCHITECTURE]
    return ";".join([*(f"{one}-real" for one in others), last])


def cuda_options(cuda: str) -> list[str]:
    """CMake's options for the CUDA part."""
    nvcc = None if cuda == "OFF" else find_nvcc()
    if nvcc is None:
        return []
    wanted = architectures(nvcc)
    # Ninja compiles the files side by side; where cores are left, nvcc takes architectures side by side.
    threads = max(1, min(wanted.count(";") + 1, (os.cpu_count() or 1) // 8))
    return [f"-DCMAKE_CUDA_ARCHITECTURES={wanted}", f"-DSPLAT_NVCC_THREADS={threads}"]


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
        *cuda_options(cuda),
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


if __name__ == "__main__":
    setup(ext_modules=[Extension("splat._native", sources=[])], cmdclass={"build_ext": CMakeBuild})
