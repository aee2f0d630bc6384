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


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_view_serves_until_interrupted(run_folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(splat.__file__).parents[1]), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "splat.cli.main", "view", str(run_folder), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
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
