"""Help, wrong usage, and what a person sees when something fails."""

from __future__ import annotations

import dataclasses
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import splat
from splat.cli import parse
from splat.cli.fit import Fit
from splat.cli.main import COMMANDS, help_text, main
from splat.errors import SplatError
from splat.fit.options import FitOptions
from splat.fit.presets import checkpoint_interval, evaluation_interval
from splat.fit.schedules import Rates
from splat.gaussians import Antialias, Kernel


class Failing:
    """Stands for a command that fails."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def run(self) -> int:
        raise self.error


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """``splat info`` fails with the error given."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("SPLAT_DEBUG", raising=False)

    def fail_with(error: BaseException) -> None:
        monkeypatch.setattr(parse, "parse_command", lambda name, rest: Failing(error))

    return fail_with


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"], ["help"]])
def test_help_lists_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    out = capsys.readouterr().out
    for name, summary in COMMANDS.items():
        assert re.search(rf"^  {name} +{summary}$", out, re.MULTILINE)


def test_help_does_not_load_torch() -> None:
    code = "import sys; from splat.cli.main import main; main(['--help']); assert 'torch' not in sys.modules"
    environment = {**os.environ, "PYTHONPATH": str(Path(splat.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"splat {splat.__version__}\n"


def options(command: type) -> list[str]:
    """Option flags of a command, nested groups included."""
    found = []
    for field in dataclasses.fields(command):
        kind = get_type_hints(command)[field.name]
        if dataclasses.is_dataclass(kind):
            found += options(kind)  # type: ignore[arg-type]
        elif field.default is not dataclasses.MISSING:
            found.append("--" + field.name.replace("_", "-"))
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = getattr(importlib.import_module(f"splat.cli.{name}"), name.capitalize())
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: splat {name}")
    assert "None" not in out
    plain = re.sub(r"[│╭╰─╮╯]", " ", out)
    for option in options(command):
        explained = re.search(rf"^ +{option}( \S+)*\s+[A-Za-z0-9]", plain, re.MULTILINE)
        assert explained, f"{option} is not in the help, or has no text"


def test_the_help_s_example_names_the_folder_that_a_fit_takes() -> None:
    words = re.search(r"splat fit (\S+) +a folder of photos in, (\S+) out", help_text())
    assert words is not None
    assert Fit(Path(words[1])).folder() == Path(words[2])


def test_defaults_that_the_help_of_fit_tells(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    assert main(["fit", "--help"]) == 0
    said = capsys.readouterr().out
    assert f"falls towards the end as the others do. Default: {Rates.shape:g}." in said
    assert "only at the end. Default: a tenth of all, at least 50." in said
    assert (evaluation_interval(3000), evaluation_interval(60)) == (300, 50)
    plan, plain = FitOptions().filled(), " ".join(re.sub(r"[│╭╰─╮╯]", " ", said).split())
    for option in ("preset", "strategy", "sh_degree", "frequency_weight", "sh_every", "seed"):
        text = re.search(rf"--{option.replace('_', '-')} (?:(?!--).)*?Default: (\S+)\.", plain)
        assert text is not None and text[1] == str(getattr(plan, option)).removesuffix(".0"), option
    assert "or when stopped. Default: an eighth of all, at least 50." in said
    assert (checkpoint_interval(3200), checkpoint_interval(60)) == (400, 50)


@pytest.mark.parametrize(
    ("option", "choices"),
    [
        ("--preset", ("preview", "default", "quality")),
        ("--kernel", get_args(Kernel)),
        ("--antialias", get_args(Antialias)),
        ("--background", ("white", "black")),
    ],
)
@pytest.mark.parametrize("wrong", ["None", "other"])
def test_only_what_can_be_chosen_is_offered(
    option: str,
    choices: tuple[str, ...],
    wrong: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["fit", "photos", option, wrong]) == 2
    assert (
        f"invalid choice '{wrong}' for argument '{option}'. Expected one of {choices}"
        in capsys.readouterr().err
    )
    parsed = [parse.parse_command("fit", ["photos", option, word]) for word in choices]
    found = [
        getattr(part, option[2:])
        for fit in parsed
        for part in (fit.fit, fit.capture)
        if hasattr(part, option[2:])
    ]  # type: ignore[attr-defined]
    assert found == list(choices)


def test_help_runs_on_over_line_breaks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["fit", "--help"]) == 0
    assert "transforms.json, or a Blender (NeRF-synthetic) folder" in capsys.readouterr().out


def test_every_command_is_a_frozen_dataclass() -> None:
    for name in COMMANDS:
        command = getattr(importlib.import_module(f"splat.cli.{name}"), name.capitalize())
        assert command.__dataclass_params__.frozen
        assert command.__doc__


def test_unknown_command_suggests_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rendr"]) == 2
    assert capsys.readouterr().err == "splat has no command 'rendr'.\nDid you mean: splat render\n"


@pytest.mark.parametrize("arguments", [["convert", "a.ply"], ["info", "a.ply", "--jsn"], ["render"]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    assert f"splat {arguments[0]} --help" in captured.out + captured.err


def test_error_is_three_lines(failing, capsys: pytest.CaptureFixture[str]) -> None:
    long = Path("/a folder/" + "very/" * 40 + "[bold]file.ply")
    failing(SplatError(f"{long} is broken", expected="a whole one", advice="Copy it again"))
    assert main(["info"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"Error: {long} is broken\n  Expected: a whole one\n  What to do: Copy it again\n"
    )


def test_bug_is_called_one_and_kept(failing, capsys: pytest.CaptureFixture[str]) -> None:
    failing(ZeroDivisionError("division by zero"))
    assert main(["info"]) == 2
    err = capsys.readouterr().err
    assert "this is a bug" in err and "ZeroDivisionError: division by zero" in err
    assert "Traceback" not in err
    log = Path(err.split("with this file: ")[1].strip())
    assert "Traceback" in log.read_text() and "in run" in log.read_text()


@pytest.mark.parametrize("way", ["flag", "environment"])
def test_debug_shows_the_traceback(
    failing, way: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(SplatError("no"))
    if way == "environment":
        monkeypatch.setenv("SPLAT_DEBUG", "1")
    assert main(["info", *(["--debug"] if way == "flag" else [])]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_interrupt(failing, capsys: pytest.CaptureFixture[str]) -> None:
    failing(KeyboardInterrupt())
    assert main(["info"]) == 130
    assert capsys.readouterr().err.strip() == "Interrupted."


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 TB")],
)
def test_out_of_memory_is_no_bug(failing, error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    failing(error)
    assert main(["info"]) == 1
    assert "ran out of memory" in capsys.readouterr().err
