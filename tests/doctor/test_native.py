"""What the doctor says of the compiled core in every state it can be in."""

from __future__ import annotations

import sys
import types

import pytest

import splat
from splat.doctor import native
from splat.errors import SplatError

BUILD = {
    "version": "0.1.0",
    "isa": "avx512",
    "isas": ["avx512", "avx2", "portable"],
    "cuda_compiled": False,
    "cuda_device": "",
    "cuda_reason": "built without CUDA (nvcc was not found at build time)",
    "threads": 2,
}


def test_core_that_is_not_built_fails_with_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    core = types.ModuleType("splat.native_core")

    def load() -> None:
        raise SplatError("the native core is not built", advice="build it")

    core.load = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "splat.native_core", core)
    monkeypatch.setattr("splat.native_core", core, raising=False)
    (check,) = native.check_native()
    assert check.status == "fail" and "not built" in check.found and "pip install ." in check.advice


def test_core_left_over_from_other_sources_fails_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_build() -> None:
        raise AttributeError("module 'splat._native' has no attribute 'build_info'")

    monkeypatch.setattr(native, "read_build", read_build)
    (check,) = native.check_native()
    assert check.status == "fail" and "build_info" in check.found and "pip install ." in check.advice


def test_built_core_reports_isa_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "read_build", lambda: {**BUILD, "version": splat.__version__})
    checks = {check.name: check for check in native.check_native()}
    assert all(check.status == "ok" for check in checks.values())
    assert checks["instruction set"].found == "avx512 (built: avx512, avx2, portable)"
    assert checks["threads"].found == "2"


def test_core_of_another_version_warns() -> None:
    assert native.check_version(BUILD, "0.1.0").status == "ok"
    check = native.check_version(BUILD, "0.2.0")
    assert check.status == "warn" and check.found == "version 0.1.0" and "0.2.0" in check.advice


@pytest.mark.parametrize(
    ("machine", "isas", "words"),
    [
        ("x86_64", ["avx512", "avx2", "portable"], "no AVX2"),
        ("x86_64", ["portable"], "was not built"),
        ("aarch64", ["portable"], "aarch64"),
    ],
)
def test_portable_core_warns_with_the_true_reason(machine: str, isas: list[str], words: str) -> None:
    check = native.check_isa({**BUILD, "isa": "portable", "isas": isas}, machine)
    assert check.status == "warn" and words in check.advice
