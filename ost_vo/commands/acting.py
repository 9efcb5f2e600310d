"""What these commands share: the archive, in whose name they act, and how they talk."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from ost_vo.access.actor import OPERATOR, Actor
from ost_vo.access.context import Choice, Context
from ost_vo.faults import UsageFault

if TYPE_CHECKING:
    from ost_vo.services.archive import Archive
    from ost_vo.store.connections import Database

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

As = Annotated[
    str | None, typer.Option("--as", metavar="USER", help="Act as this user. [default: the operator]")
]
Reason = Annotated[str, typer.Option(help="Why, for the audit log.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
FromStdin = Annotated[bool, typer.Option("--stdin", help="Read the password from standard input.")]


@dataclass(frozen=True, slots=True)
class Acting:
    """The archive in the hands of somebody.

    Attributes:
        archive: the open archive.
        actor: who acts.
    """

    archive: Archive
    actor: Actor

    @property
    def database(self) -> Database:
        """The connections that people and projects are looked up and changed through."""
        return self.archive.accounts_database

    def context(self) -> Context:
        """Return the context that products are looked at in: the user's own, or the operator's."""
        from ost_vo.services import contexts
        from ost_vo.services.products import operator_context

        if self.actor.is_operator:
            return operator_context(self.archive)
        return contexts.resolve(self.archive, self.actor.user_id, Choice())


class _Deferred(ModuleType):
    """Stands for a module until something of it is used, without a trace among the loaded ones."""

    def __getattr__(self, name: str) -> object:
        return getattr(importlib.import_module(self.__name__), name)


def deferred(name: str) -> ModuleType:
    """Return a module that is loaded when something of it is used.

    Every start knows all commands, and most need nothing of the services, which take a second to load.
    """
    return _Deferred(name)


@contextmanager
def acting(user: str | None) -> Iterator[Acting]:
    """Open the archive for a user; for the operator if None.

    Raises:
        NotFoundFault: there is no active user of that name.
    """
    from ost_vo.services import people
    from ost_vo.services.archive import Archive
    from ost_vo.settings import Settings

    archive = Archive.open(Settings())
    try:
        actor = people.actor_named(archive.accounts_database, user) if user is not None else OPERATOR
        yield Acting(archive, actor)
    finally:
        archive.close()


def read_password(from_stdin: bool) -> str:
    """Return a new password: the line on standard input, or what is typed, twice and unseen.

    Raises:
        UsageFault: standard input is empty.
    """
    if not from_stdin:
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise UsageFault("There is no password on standard input.", "Write it there as one line.")
    return line


def confirm(question: str, yes: bool) -> None:
    """Go on only if the question is answered with yes.

    Raises:
        typer.Abort: it is not.
    """
    if not yes:
        typer.confirm(question, abort=True, err=True)


def show(columns: Sequence[str], rows: Sequence[Sequence[object]], nothing: str) -> None:
    """Print a table, or what to say where there is none."""
    if not rows:
        out.print(nothing)
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    # In a file or a pipe nothing has to fit a screen.
    out.print(table, markup=False) if out.is_terminal else Console(width=250, highlight=False).print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
