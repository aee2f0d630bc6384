"""Which packages can be imported, and what is missing without them."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from importlib import metadata

from splat.doctor.check import Check


@dataclass(frozen=True)
class Package:
    """A package by the name it is imported under.

    Attributes:
        module: import name.
        distribution: what pip calls it.
        purpose: what it is for, completing "is needed to ...".
        minimum: oldest major and minor version that will do, or None.
    """

    module: str
    distribution: str
    purpose: str
    minimum: tuple[int, int] | None = None


REQUIRED = (
    Package("numpy", "numpy", "do anything at all", (2, 0)),
    Package("cv2", "opencv-python-headless", "read photos and video"),
    Package("PIL", "pillow", "read and write images"),
    Package("pycolmap", "pycolmap", "find the cameras of photos", (4, 1)),
    Package("safetensors", "safetensors", "write checkpoints"),
    Package("tyro", "tyro", "read the command line"),
    Package("rich", "rich", "show progress"),
    Package("viser", "viser", "look at scenes in the browser"),
)
OPTIONAL = (
    Package("pillow_heif", "pillow-heif", "read HEIC photos (iPhone)"),
    Package("open3d", "open3d", "check meshes and point clouds against another program"),
    Package("gsplat", "gsplat", "compare with gsplat"),
)


def version_of(package: Package) -> str:
    """Import the package and say its version.

    Raises:
        ImportError: it is not installed, or it is and does not load (the message tells which).
    """
    try:
        module = importlib.import_module(package.module)
    except ImportError:
        raise
    except Exception as error:  # a broken install can fail with anything while it is imported
        raise ImportError(f"{type(error).__name__}: {error}") from error
    try:
        return metadata.version(package.distribution)
    except metadata.PackageNotFoundError:  # another distribution of the same module, e.g. opencv-python
        return str(getattr(module, "__version__", "version unknown"))


def is_older(version: str, minimum: tuple[int, int] | None) -> bool:
    """Whether a version such as "4.2.1+cpu" lies below (major, minor)."""
    if minimum is None:
        return False
    numbers = [int(part) if part.isdigit() else 0 for part in version.split("+")[0].split(".")[:2]]
    return tuple(numbers) < minimum


def check_required(package: Package) -> Check:
    """A package without which fitting cannot run."""
    install = f"pip install {package.distribution}"
    try:
        version = version_of(package)
    except ModuleNotFoundError as error:
        if error.name == package.module:
            advice = f"{package.distribution} is needed to {package.purpose}: run `{install}`."
            return Check(package.distribution, "fail", "not installed", advice)
        return _does_not_load(package, error)
    except ImportError as error:
        return _does_not_load(package, error)
    if is_older(version, package.minimum):
        wanted = ".".join(str(number) for number in package.minimum or ())
        advice = f"Version {wanted} or newer is needed: run `{install} --upgrade`."
        return Check(package.distribution, "fail", version, advice)
    return Check(package.distribution, "ok", version)


def check_optional(package: Package) -> Check:
    """A package that one feature needs; its absence is no fault and gets no more than a hint."""
    try:
        return Check(package.distribution, "ok", version_of(package))
    except ModuleNotFoundError as error:
        if error.name == package.module:
            return Check(package.distribution, "ok", f"not installed (optional: to {package.purpose})")
        problem: ImportError = error
    except ImportError as error:
        problem = error
    found = f"does not load: {first_line(problem)}"
    return Check(package.distribution, "warn", found, _mend(package, problem))


def first_line(error: Exception) -> str:
    """An error's own words, cut to one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _does_not_load(package: Package, error: ImportError) -> Check:
    return Check(package.distribution, "fail", f"does not load: {first_line(error)}", _mend(package, error))


def _mend(package: Package, error: ImportError) -> str:
    """What to do about a package that is installed but does not load."""
    library = re.search(r"(\S+\.so[.\d]*): cannot open shared object file", str(error))
    if library is None:
        return f"It is installed but broken: run `pip install --force-reinstall {package.distribution}`."
    if package.module == "cv2":
        return (
            f"OpenCV for screens is installed and {library[1]} is not: run `pip uninstall -y opencv-python "
            "opencv-contrib-python`, then `pip install --force-reinstall opencv-python-headless`."
        )
    return f"Install the system package that holds {library[1]} (apt, dnf or brew)."
