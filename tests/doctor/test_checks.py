"""The whole list, the machine's own checks, and the command's exit code and outputs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from splat.cli.doctor import Doctor
from splat.doctor import Check, can_fit, checks, machine, run_checks
from splat.doctor.show import verdict

GIB = 1024**3
GOOD = Check("good", "ok", "1.0")
SLOW = Check("slow", "warn", "old", "Buy another one.")
BAD = Check("torch", "fail", "not installed", "Install it.")


def test_advice_is_one_sentence_and_there_exactly_when_something_is_off() -> None:
    for check in run_checks():
        assert (check.advice == "") == (check.status == "ok"), check
        assert not check.advice or check.advice.endswith("."), check


def test_only_a_failure_keeps_fit_from_running() -> None:
    assert can_fit([GOOD, SLOW]) and not can_fit([GOOD, BAD])
    assert verdict([GOOD, SLOW]).startswith("splat fit can run.")
    assert "torch" in verdict([BAD, SLOW])


@pytest.mark.parametrize(("found", "code"), [([GOOD, SLOW], 0), ([GOOD, SLOW, BAD], 1)])
def test_exit_code_table_and_json_agree(
    found: list[Check], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("splat.doctor.run_checks", lambda: found)
    assert Doctor().run() == code
    table = capsys.readouterr().out
    assert all(check.name in table and check.advice in table for check in found)
    assert Doctor(json=True).run() == code
    answer = json.loads(capsys.readouterr().out)
    assert answer["can_fit"] is (code == 0)
    assert answer["checks"][1] == {
        "name": "slow",
        "status": "warn",
        "found": "old",
        "advice": "Buy another one.",
    }


@pytest.mark.parametrize(
    ("version", "status"), [((3, 9, 18), "fail"), ((3, 10, 0), "ok"), ((3, 13, 1), "ok")]
)
def test_python_version(version: tuple[int, ...], status: str) -> None:
    assert checks.check_python(version).status == status


def test_missing_torch_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    check = checks.check_torch()
    assert (check.status, check.found) == ("fail", "not installed") and "pip install" in check.advice


def test_missing_opencv_leaves_video_untried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    check = checks.check_video()
    assert check.status == "warn" and check.found.startswith("not tried")


def test_video_writer_that_opens_no_file_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    class DeadWriter:
        fourcc = staticmethod(lambda *letters: 0)

        def __init__(self, *arguments: object) -> None: ...

        def write(self, frame: object) -> None: ...

        def release(self) -> None: ...

    monkeypatch.setattr("cv2.VideoWriter", DeadWriter)
    assert checks.check_video().status == "warn"


def test_memory_of_a_container_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(machine, "CGROUP_LIMITS", (str(limit),))
    limit.write_text("max\n")
    whole = machine.memory_bytes()
    limit.write_text(f"{GIB // 2}\n")
    assert machine.memory_bytes() == GIB // 2 != whole


def test_little_memory_one_core_and_a_full_disk_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.check_memory(2 * GIB).status == "warn"
    assert machine.check_memory(16 * GIB).status == "ok"
    assert machine.check_memory(None).status == "ok"
    assert [machine.check_cores(cores).status for cores in (1, 2)] == ["warn", "ok"]
    assert machine.check_disk(Path("/")).status in ("ok", "warn")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": GIB // 4}))
    assert machine.check_disk(Path.cwd()).status == "warn"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs CPU affinity")
def test_cores_follow_the_affinity_of_the_process() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert machine.usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
