"""The ``splat`` command: finds the subcommand, runs it, and turns errors into words and exit codes.

Exit codes: 0 done, 1 an error that a person can act on, 2 wrong usage or a bug, 130 interrupted.
"""

from __future__ import annotations

import difflib
import os
import sys
import tempfile
import traceback

from splat.errors import SplatError

COMMANDS = {
    "fit": "Make a 3D scene from photos or a video",
    "view": "Look at a scene in the browser",
    "render": "Render pictures or a video along a camera path",
    "eval": "Score a run on photos that it did not train on",
    "info": "Say what is in a splat file or run",
    "convert": "Rewrite a splat file: fewer coefficients, or plain Gaussians",
    "doctor": "Check this installation and say what to do",
}
"""What the program can do, in the order of its help; each is ``splat.cli.<name>.<Name>``."""

_EXAMPLES = """\
Examples:
  splat fit garden/                       a folder of photos in, runs/garden out
  splat fit garden/ --preset preview      a first look in a few minutes
  splat view runs/garden                  look at it in the browser
  splat render runs/garden --out tour.mp4

More:  splat COMMAND --help     --version     --debug (show tracebacks; or set SPLAT_DEBUG=1)"""

_OUT_OF_MEMORY = ("not enough memory", "out of memory")  # how torch says it


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code and prints every error itself."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = os.environ.get("SPLAT_DEBUG", "") not in ("", "0") or "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        return _dispatch(arguments)
    except SystemExit as stop:  # from the argument parser, which has said what was wrong
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `splat info x | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _explain(error, debug)


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0
    if arguments[0] in ("-V", "--version"):
        import splat

        print(f"splat {splat.__version__}")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        print(f"splat has no command {name!r}.", file=sys.stderr)
        print(f"Did you mean: splat {close[0]}" if close else help_text(), file=sys.stderr)
        return 2
    from splat.cli.parse import parse_command

    return parse_command(name, rest).run()


def help_text() -> str:
    """The help of ``splat`` itself, made without importing any command."""
    commands = "\n".join(f"  {name:<9} {summary}" for name, summary in COMMANDS.items())
    return (
        "splat: photos in, 3D Gaussian Splatting scenes out, on any machine.\n\n"
        f"Usage: splat COMMAND ...\n\nCommands:\n{commands}\n\n{_EXAMPLES}"
    )


def _explain(error: Exception, debug: bool) -> int:
    if isinstance(error, SplatError):
        _print_error(error)
        return 1
    if _is_out_of_memory(error):
        advice = "Close other programs, or give smaller photos (--max-size) or a smaller --max-memory"
        problem = "The computer ran out of memory"
        if "CUDA" in str(error):
            problem, advice = "The GPU ran out of memory", "Close other programs that use it, or --device cpu"
        _print_error(SplatError(problem, advice=advice))
        return 1
    brief = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    print(f"splat stopped on something it did not expect; this is a bug.\n  {brief}", file=sys.stderr)
    if not debug:
        print(f"  Please report it with this file: {_save_traceback(error)}", file=sys.stderr)
    return 2


def _is_out_of_memory(error: Exception) -> bool:
    said = isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)
    return said or isinstance(error, MemoryError)


def _print_error(error: SplatError) -> None:
    """Problem, what was expected and what to do, a line each, never wrapped (paths stay whole)."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(Text.assemble(("Error: ", "bold red"), error.problem))
    for label, text in (("Expected", error.expected), ("What to do", error.advice)):
        if text:
            console.print(Text.assemble((f"  {label}: ", "bold"), text))


def _save_traceback(error: Exception) -> str:
    lines = [" ".join(sys.argv) + "\n\n", *traceback.format_exception(error)]
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="splat-error-", suffix=".log", delete=False, encoding="utf-8"
        ) as file:
            file.writelines(lines)
        return file.name
    except OSError:
        return "(it could not be saved; set SPLAT_DEBUG=1 to see it)"


if __name__ == "__main__":
    sys.exit(main())
