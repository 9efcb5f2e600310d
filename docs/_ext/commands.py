"""The commands of `ost-vo`, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

import typer
from markdown_cells import cell, table
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from ost_vo.cli import app

_Parameter = TyperArgument | TyperOption

# What Typer adds to each command, and says nothing of ours.
_USUAL = {"help", "install_completion", "show_completion"}


def as_markdown() -> str:
    """Return a section for each command, in the order of `ost-vo --help`."""
    root = typer.main.get_command(app)
    return "\n\n".join(_sections(root, "ost-vo", typer.Context(root)))


def _sections(command: TyperGroup, path: str, context: typer.Context) -> Iterator[str]:
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        yield from _section(found, f"{path} {name}", context)


def _section(command: TyperCommand, path: str, parent: typer.Context) -> Iterator[str]:
    context = typer.Context(command, parent=parent)
    yield f"## {path}\n\n{command.help or ''}"
    if isinstance(command, TyperGroup):
        yield from _sections(command, path, context)
        return
    parameters = [parameter for parameter in command.params if parameter.name not in _USUAL]
    yield f"```\n{' '.join((path, *_usage(parameters)))}\n```"
    rows = [_row(parameter, context) for parameter in parameters]
    if rows:
        yield table(("argument or option", "meaning"), rows)


def _usage(parameters: list[_Parameter]) -> Iterator[str]:
    if any(isinstance(parameter, TyperOption) for parameter in parameters):
        yield "[OPTIONS]"
    for parameter in parameters:
        if isinstance(parameter, TyperArgument):
            yield _name(parameter) if parameter.required else f"[{_name(parameter)}]"


def _row(parameter: _Parameter, context: typer.Context) -> tuple[str, str]:
    record = parameter.get_help_record(context)
    meaning = cell(record[1]) if record else ""
    if isinstance(parameter, TyperArgument):
        return f"`{_name(parameter)}`", meaning
    return f"`{cell(record[0])}`" if record else f"`{parameter.opts[0]}`", meaning


def _name(argument: TyperArgument) -> str:
    """Return what stands for an argument, in capitals, with dots where there may be several."""
    name = (argument.metavar or argument.name or "").strip("[].").upper()
    return f"{name}..." if argument.nargs == -1 else name
