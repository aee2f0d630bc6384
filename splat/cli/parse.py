"""From a command's dataclass to its parsed arguments and its help text, by tyro."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import textwrap
from itertools import pairwise
from typing import Annotated, Any, Literal, Protocol, get_args, get_origin, get_type_hints


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
    _tidy_help(command)
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone)
    return tyro.cli(command, prog=f"splat {name}", args=arguments, config=config)


def _tidy_help(command: type) -> None:
    """Let help run on over line breaks of docstrings, and not say "(default: None)" or "(default: False)".

    tyro reads annotations when it parses; the dataclasses themselves, nested ones too, are made already.
    """
    import tyro

    hints = get_type_hints(command, include_extras=True)
    texts = _field_docstrings(command)
    for field in dataclasses.fields(command):
        hint = hints[field.name]
        how: dict[str, Any] = {}
        if dataclasses.is_dataclass(hint):
            _tidy_help(hint)  # type: ignore[arg-type]
            continue
        if "\n" in texts.get(field.name, ""):
            how["help"] = " ".join(texts[field.name].split())
        if field.default is None or field.default is False:
            how["help_behavior_hint"] = ""
        choices = _choices(hint)
        if choices:
            tidy: Any = Annotated[hint, _one_of(choices), tyro.conf.arg(**how)]
            command.__annotations__[field.name] = tidy
        elif how:
            tidy = Annotated[hint, tyro.conf.arg(**how)]
            command.__annotations__[field.name] = tidy


def _choices(hint: Any) -> tuple[str, ...]:
    """The words of ``Literal["a", "b"] | None``; none of any other type."""
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    if len(kinds) != 1 or len(get_args(hint)) != 2 or get_origin(kinds[0]) is not Literal:
        return ()
    return get_args(kinds[0])


def _one_of(choices: tuple[str, ...]) -> Any:
    """How such an option is parsed: by itself, tyro would offer "None" where a word is wrong."""
    from tyro.constructors import PrimitiveConstructorSpec

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="{" + ",".join(choices) + "}",
        instance_from_str=lambda words: words[0],
        is_instance=lambda value: value is None or value in choices,
        str_from_instance=lambda value: [str(value)],
        choices=choices,
    )


def _field_docstrings(command: type) -> dict[str, str]:
    """The string below each field of a dataclass; none where there is no source to look at."""
    try:
        source = inspect.getsource(command)
    except OSError:
        return {}
    body = ast.parse(textwrap.dedent(source)).body[0].body  # type: ignore[attr-defined]
    return {
        field.target.id: text.value.value
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
