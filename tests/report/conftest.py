from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from splat.fit.run import RunFolder

_SPEC = importlib.util.spec_from_file_location("report_fake_run", Path(__file__).with_name("fake_run.py"))
assert _SPEC and _SPEC.loader
_FAKE_RUN = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = _FAKE_RUN
_SPEC.loader.exec_module(_FAKE_RUN)


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., RunFolder]:
    """Call with the names of the held-out views, best first; gives a complete run folder."""

    def make(*names: str, folder: str = "run", **size: int) -> RunFolder:
        return RunFolder(_FAKE_RUN.write_fake_run(tmp_path / folder, list(names), **size))

    return make
