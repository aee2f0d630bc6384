"""The whole list, the machine's own checks, and the command's exit code and outputs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from splat.cli.doctor import Doctor
from splat.doctor import Check, can_fit, checks, machine, run_checks
from splat.doctor.show import verdict
from splat.fit.machine import Machine

ROOT = Path(__file__).parents[2]
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


def test_opencv_without_an_encoder_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    class DeadWriter:
        fourcc = staticmethod(lambda *letters: 0)

        def __init__(self, *arguments: object) -> None: ...

        def isOpened(self) -> bool:
            return False

        def release(self) -> None: ...

    monkeypatch.setattr("cv2.VideoWriter", DeadWriter)
    check = checks.check_video()
    assert check.status == "warn" and check.found.startswith("mp4 cannot be written")


def test_little_memory_one_core_and_a_full_disk_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    poor = machine.check_machine(Machine(cores=1, memory_gib=1.5))
    good = machine.check_machine(Machine(cores=2, memory_gib=8.0))
    assert [check.status for check in poor + good] == ["warn", "warn", "ok", "ok"]
    assert poor[1].found == "1.5 GiB free"
    for free, status in ((GIB // 4, "warn"), (2 * GIB, "ok")):
        monkeypatch.setattr("shutil.disk_usage", lambda folder, free=free: SimpleNamespace(free=free))
        assert machine.check_disk(Path.cwd()).status == status


def test_doctor_runs_and_answers_without_torch_and_numpy() -> None:
    """Where it is needed most: a broken installation, in a fresh process."""
    block = "import sys; sys.modules.update(torch=None, numpy=None)"
    program = f"{block}; from splat.cli.doctor import Doctor; sys.exit(Doctor(json=True).run())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    failed = [check["name"] for check in json.loads(done.stdout)["checks"] if check["status"] == "fail"]
    assert {"torch", "numpy"} <= set(failed)
