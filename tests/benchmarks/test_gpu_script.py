"""The flow of benchmarks/gpu.sh, with programs that only pretend."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu.sh"
STEPS = ["environment", "wheels", "gsplat-build", "core-build", "memcheck", "racecheck", "tests", "million",
         "benchmark", "training"]  # fmt: skip

pytestmark = pytest.mark.skipif(
    shutil.which("bash") is None or sys.platform != "linux", reason="a bash script for Linux"
)

PYTHON = """#!/bin/bash
echo "$*" | head -c 300 >>"$FAKE/calls"; echo >>"$FAKE/calls"
case "$*" in
    *gpu_collect.py*) exec "$REAL" "$@" ;;
    *is_available*) [[ -z $NO_DEVICE ]]; exit ;;
    *"pip install"*) while (($#)); do [[ $1 == --target ]] && mkdir -p "$2"; shift; done; exit 0 ;;
    *"$BREAK"*) echo "it broke"; exit 3 ;;
    *"$HANG"*) sleep 60 ;;
    *benchmarks/gpu.py*) while (($#)); do [[ $1 == --markdown ]] && echo "a fast table" >"$2"; shift; done ;;
esac
echo fine
"""


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def call(tmp_path: Path, *options: str, **environment: str) -> subprocess.CompletedProcess:
    fake = tmp_path / "fake"
    fake.mkdir(exist_ok=True)
    for name in ("wheels", "data"):
        (tmp_path / name).mkdir(exist_ok=True)
    (tmp_path / "wheels" / "gsplat-1.0-py3-none-any.whl").touch()
    program(fake / "python", PYTHON)
    program(fake / "nvidia-smi", "#!/bin/bash\necho 9.0\n")
    program(fake / "compute-sanitizer", '#!/bin/bash\necho "$*" >>"$FAKE/calls"\nexit "${SANITIZER:-0}"\n')
    settings = {"BREAK": "nothing breaks", "HANG": "nothing hangs", "NO_DEVICE": "", **environment}
    settings |= {"FAKE": str(fake), "REAL": sys.executable, "PYTHON": str(fake / "python")}
    settings["PATH"] = f"{fake}{os.pathsep}{os.environ['PATH']}"
    folders = ["--wheels", str(tmp_path / "wheels"), "--data", str(tmp_path / "data")]
    command = ["bash", str(SCRIPT), *folders, "--out", str(tmp_path / "out"), "--jobs", "3", *options]
    return subprocess.run(
        command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=120
    )


def statuses(tmp_path: Path) -> dict[str, str]:
    steps = json.loads((tmp_path / "out" / "results.json").read_text())["steps"]
    return {step["name"]: step["status"] for step in steps}


def test_a_dry_run_names_the_steps_and_runs_nothing(tmp_path: Path) -> None:
    done = call(tmp_path, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == STEPS
    assert not (tmp_path / "out").exists() and not (tmp_path / "fake" / "calls").exists()


def test_without_a_device_every_step_says_so(tmp_path: Path) -> None:
    done = call(tmp_path, NO_DEVICE="1")
    assert done.returncode == 77, done.stderr
    assert done.stdout.count("skipped: no CUDA device") == 2 * (
        len(STEPS) - 1
    )  # as it runs, and in the summary
    assert statuses(tmp_path) == {"environment": "ok", **dict.fromkeys(STEPS[1:], "skipped")}


def test_all_well(tmp_path: Path) -> None:
    done = call(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert statuses(tmp_path) == dict.fromkeys(STEPS, "ok")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "logs.txt",
        "results.json",
        "summary.md",
    ]
    assert "a fast table" in (tmp_path / "out" / "summary.md").read_text()
    calls = (tmp_path / "fake" / "calls").read_text()
    assert "--no-gsplat" not in calls
    assert "setup.py build_ext --inplace --parallel 3" in calls
    assert calls.count("gpu_sanitize.py") == 2


def test_a_step_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    done = call(tmp_path, BREAK="gsplat.cuda", SANITIZER="1")
    assert done.returncode == 1
    broken = dict.fromkeys(("gsplat-build", "memcheck", "racecheck"), "failed")
    assert statuses(tmp_path) == {**dict.fromkeys(STEPS, "ok"), **broken}
    assert "--no-gsplat" in (tmp_path / "fake" / "calls").read_text()
    assert "it broke" in (tmp_path / "out" / "logs.txt").read_text()
    assert "it broke" in (tmp_path / "out" / "summary.md").read_text()


def test_without_the_core_nothing_is_measured(tmp_path: Path) -> None:
    done = call(tmp_path, BREAK="setup.py")
    assert done.returncode == 1
    found = statuses(tmp_path)
    assert found["core-build"] == "failed"
    assert {found[name] for name in STEPS[4:]} == {"skipped"}
    assert "skipped: the core was not built" in done.stdout


def test_a_step_is_cut_off_and_what_comes_later_says_why_not(tmp_path: Path) -> None:
    done = call(tmp_path, "--budget-seconds", "67", HANG="--ignore")
    found = statuses(tmp_path)
    late = found["tests"] == "skipped"  # the machine was slow before
    assert found["tests"] == ("skipped" if late else "timeout")
    assert done.returncode == (0 if late else 1)
    assert "skipped: no time left" in done.stdout and ("cut off after" in done.stdout) != late
    assert found["million"] == "skipped" and found["benchmark"] == "ok"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--wheel", "x"], "unknown option --wheel"),
        (["--out"], "--out needs a value"),
        (["--data", "/no/such/folder"], "is not a folder"),
        (["--budget-seconds", "soon"], "whole numbers"),
    ],
)
def test_a_wrong_call(tmp_path: Path, options: list[str], said: str) -> None:
    done = call(tmp_path, *options)
    assert done.returncode == 2
    assert said in done.stderr
