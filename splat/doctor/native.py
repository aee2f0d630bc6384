"""How the native core was built, and what it chose on this machine."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import splat
from splat.doctor.check import Check
from splat.errors import SplatError

REBUILD = "run `pip install .` again in the source folder and read what the compiler says"

BuildInfo = Mapping[str, Any]
"""What ``splat.native_core.build_info`` returns."""


def read_build() -> BuildInfo:
    """What the compiled core says of itself.

    Raises:
        SplatError: it is not built, or does not load.
    """
    from splat import native_core

    native_core.load()
    return native_core.build_info()


def check_native() -> list[Check]:
    """The compiled core: built at all, instruction set, threads."""
    try:
        build = read_build()
    except Exception as error:  # a core left over from other sources can fail with anything
        problem = error.problem if isinstance(error, SplatError) else f"{type(error).__name__}: {error}"
        advice = f"Fitting needs the compiled core: {REBUILD}."
        return [Check("native core", "fail", problem, advice)]
    return [
        check_version(build, splat.__version__),
        check_isa(build, platform.machine()),
        Check("threads", "ok", str(build["threads"])),
    ]


def check_version(build: BuildInfo, package: str) -> Check:
    """The core and the Python around it must come from the same sources."""
    found = f"version {build['version']}"
    if build["version"] == package:
        return Check("native core", "ok", found)
    advice = f"The Python part is version {package}: {REBUILD}."
    return Check("native core", "warn", found, advice)


def check_isa(build: BuildInfo, machine: str) -> Check:
    """The instruction set in use; the portable one is far slower than the others on a PC."""
    found = f"{build['isa']} (built: {', '.join(build['isas'])})"
    if build["isa"] != "portable":
        return Check("instruction set", "ok", found)
    if machine.lower() not in ("x86_64", "amd64"):
        advice = f"There is no faster code for {machine} processors yet, so fits take several times longer."
    elif "avx2" in build["isas"]:
        advice = "This processor has no AVX2, so fits take several times longer than on a newer computer."
    else:
        advice = f"The faster AVX2 code was not built (compiler too old?): {REBUILD}."
    return Check("instruction set", "warn", found, advice)
