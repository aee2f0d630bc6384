"""Missing, old and broken packages, simulated."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from splat.doctor.packages import REQUIRED, Package, check_optional, check_required, is_older

ABSENT = Package("splat_no_such_module", "no-such-distribution", "try this test")


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes an importable module whose body is the given source."""

    def make(source: str, module: str = "splat_broken_module") -> Package:
        (tmp_path / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, module, raising=False)
        return Package(module, "broken-thing", "break")

    return make


def test_missing_required_package_fails_and_names_the_command() -> None:
    check = check_required(ABSENT)
    assert (check.status, check.found) == ("fail", "not installed")
    assert "pip install no-such-distribution" in check.advice and "try this test" in check.advice


def test_missing_optional_package_is_no_fault() -> None:
    check = check_optional(ABSENT)
    assert check.status == "ok" and check.advice == ""
    assert "not installed" in check.found and "try this test" in check.found


def test_package_that_misses_a_part_of_its_own_is_broken_not_absent(broken) -> None:
    package = broken("import splat_no_such_part")
    required, optional = check_required(package), check_optional(package)
    assert required.status == "fail" and "splat_no_such_part" in required.found
    assert optional.status == "warn" and "--force-reinstall broken-thing" in optional.advice


def test_missing_system_library_is_named(broken) -> None:
    line = "libusb-1.0.so.0: cannot open shared object file: No such file or directory"
    check = check_required(broken(f"raise ImportError({line!r})"))
    assert check.status == "fail" and check.advice.startswith(
        "Install the system package that holds libusb-1.0.so.0"
    )


def test_any_exception_at_import_is_caught(broken) -> None:
    check = check_required(broken("raise RuntimeError('module compiled against another ABI')"))
    assert check.status == "fail"
    assert check.found == "does not load: RuntimeError: module compiled against another ABI"


def test_version_of_an_unregistered_distribution_comes_from_the_module(broken) -> None:
    check = check_required(broken("__version__ = '1.2.3'"))
    assert (check.status, check.found) == ("ok", "1.2.3")


def test_old_version_fails_and_says_which_is_needed(broken) -> None:
    package = broken("__version__ = '1.26.4'")
    check = check_required(Package(package.module, package.distribution, "count", (2, 0)))
    assert check.status == "fail" and check.found == "1.26.4" and "2.0" in check.advice


@pytest.mark.parametrize(
    ("version", "older"),
    [
        ("4.0.9", True),
        ("4.1", False),
        ("4.10.0", False),
        ("10.0", False),
        ("4.1rc1", True),
        ("4.2+cpu", False),
    ],
)
def test_versions_compare_as_numbers(version: str, older: bool) -> None:
    assert is_older(version, (4, 1)) is older


def test_no_minimum_is_never_older() -> None:
    assert not is_older("0", None)


def test_required_packages_of_this_environment_are_found() -> None:
    checks = [check_required(package) for package in REQUIRED]
    assert [check.name for check in checks if check.status != "ok"] == []
