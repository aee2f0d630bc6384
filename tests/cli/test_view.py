"""splat view: a page that answers, and a clean end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import splat
from splat.cli.main import main

ROOT = Path(splat.__file__).parents[1]
APP = [sys.executable, str(ROOT / "apps" / "viewer.py")]
COMMAND = [sys.executable, "-m", "splat.cli.main", "view"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
@pytest.mark.parametrize("program", [COMMAND, APP], ids=["command", "app"])
def test_view_serves_until_interrupted(program: list[str], run_folder: Path) -> None:
    command = [*program, str(run_folder), "--port", "0", "--device", "cpu"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        assert "60 Gaussians" in said
        url = re.search(r"http://\S+", said)
        assert url is not None
        assert b"<html" in urllib.request.urlopen(url[0], timeout=20).read().lower()
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[0]
    assert process.returncode in (0, 130)
    assert "Traceback" not in said + rest


def test_the_app_refuses_as_the_command_does(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [str(run_folder), "--device", "gpu"]
    app = subprocess.run([*APP, *wrong], env=ENVIRONMENT, capture_output=True, text=True)
    assert app.returncode == 1
    assert "Error: --device is 'gpu'\n  Expected: auto, cpu, cuda" in app.stderr
    assert main(["view", *wrong]) == 1
    assert capsys.readouterr().err == app.stderr


def test_a_run_is_shown_over_what_it_was_trained_on(
    run_folder: Path, splat_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[object] = []
    monkeypatch.setattr("splat.viewer.serve", lambda *_, **options: shown.append(options["background"]))
    for path in (run_folder, run_folder / "splat.ply", splat_file):
        assert main(["view", str(path), "--device", "cpu"]) == 0
    assert shown == [(1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)]
