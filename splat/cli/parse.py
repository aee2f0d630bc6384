"""From a command's dataclass to its parsed arguments and its help text, by tyro."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Annotated, Any, Protocol, get_type_hints


class Command(Protocol):
    """One subcommand: its fields are its options."""

    def run(self) -> int:
        """Do it; returns the exit code."""
        ...


def parse_command(name: str, arguments: list[str]) -> Command:
    """The dataclass ``splat.cli.<name>.<Name>`` filled from the command line.

    Raises:
        SystemExit: wrong usage, or help was asked for; it has been printed.
        SplatError: a value that an option's own check refuses.
    """
    import tyro

    command = getattr(importlib.import_module(f"splat.cli.{name}"), name.capitalize())
    _silence_empty_defaults(command)
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone)
    return tyro.cli(command, prog=f"splat {name}", args=arguments, config=config)


def _silence_empty_defaults(command: type) -> None:
    """Let help not say "(default: None)" or "(default: False)", here and in nested option groups.

    tyro reads annotations when it parses; the dataclasses themselves are made already.
    """
    import tyro

    hints = get_type_hints(command, include_extras=True)
    for field in dataclasses.fields(command):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            _silence_empty_defaults(hint)  # type: ignore[arg-type]
        elif field.default is None or field.default is False:
            quiet: Any = Annotated[hint, tyro.conf.arg(help_behavior_hint="")]
            command.__annotations__[field.name] = quiet
