"""Commands for targets: what was observed, and what it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ost_vo.commands.acting import Acting, As, Reason, acting, deferred, err, out, show
from ost_vo.settings import Settings

if TYPE_CHECKING:
    from ost_vo.services import simbad, targets
else:
    simbad = deferred("ost_vo.services.simbad")
    targets = deferred("ost_vo.services.targets")

target = typer.Typer(help="What was observed, and what it is called.", no_args_is_help=True)

Wanted = Annotated[str, typer.Argument(metavar="TARGET", help="Its number, or a name in any spelling.")]
_COLUMNS = ("number", "name", "kind", "ra [deg]", "dec [deg]", "known to")
_PAGE = 1000


@target.command("list")
def list_targets(
    name: Annotated[str | None, typer.Option(help="The one with this name, in any spelling.")] = None,
    as_user: As = None,
) -> None:
    """List targets."""
    _list(as_user, name, None)


@target.command("unresolved")
def list_unresolved(as_user: As = None) -> None:
    """List the targets that no catalogue knows: files name them, and their place is unknown."""
    _list(as_user, None, True)


@target.command("show")
def show_target(wanted: Wanted, as_user: As = None) -> None:
    """Show a target with its names; one that was merged leads to what it is now."""
    with acting(as_user) as here:
        number = _number(here, wanted)
        found = targets.get(here.archive, here.context(), here.actor, number)
    rows = [
        (name, value)
        for name in type(found.target).__slots__
        if (value := getattr(found.target, name)) is not None
    ]
    show(("", "value"), [*rows, *(("alias", alias) for alias in found.aliases)], "")


@target.command("add")
def add_target(
    name: Annotated[str, typer.Argument(help="Its name.")], reason: Reason = "", as_user: As = None
) -> None:
    """Add a target before any file names it, with what catalogues have of it."""
    with acting(as_user) as here:
        number = targets.add(here.database, here.actor, name, reason)
    out.print(f"{name} is target {number}.", markup=False)


@target.command("merge")
def merge_targets(
    sources: Annotated[list[str], typer.Argument(help="Targets that turned out to be another one.")],
    into: Annotated[str, typer.Option(help="That one.")],
    reason: Reason = "",
    as_user: As = None,
) -> None:
    """Make targets one: their names and products go to it, and their numbers lead to it."""
    with acting(as_user) as here:
        numbers = [_number(here, source) for source in sources]
        kept = _number(here, into)
        targets.merge(here.database, here.actor, numbers, kept, reason)
    out.print(f"Target {kept} is {', '.join(map(str, numbers))}, too.", markup=False)


@target.command("split")
def split_target(
    wanted: Wanted,
    aliases: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names that are to leave it.")],
    reason: Reason = "",
    as_user: As = None,
) -> None:
    """Let names of a target be another one's, with the products whose files have one of them."""
    with acting(as_user) as here:
        number = targets.split(here.database, here.actor, _number(here, wanted), aliases, reason)
    out.print(f"{', '.join(aliases)}: target {number}.", markup=False)


@target.command("alias")
def change_alias(
    wanted: Wanted,
    alias: Annotated[str, typer.Argument(metavar="NAME", help="A further name.")],
    remove: Annotated[bool, typer.Option("--remove", help="It is none any more.")] = False,
    reason: Reason = "",
    as_user: As = None,
) -> None:
    """Call a target by a further name: files that have it are of that target from then on."""
    with acting(as_user) as here:
        number = _number(here, wanted)
        change = targets.remove_alias if remove else targets.add_alias
        change(here.database, here.actor, number, alias, reason)
    out.print(f"Target {number} is {'not ' if remove else ''}called {alias} now.", markup=False)


@target.command("resolve")
def resolve_targets(
    with_simbad: Annotated[
        bool, typer.Option("--simbad", help="Ask SIMBAD about what the catalogues here do not know.")
    ] = False,
    reason: Reason = "",
    as_user: As = None,
) -> None:
    """Ask catalogues again about the targets that none knew."""
    ask = simbad.Simbad(Settings()).ask if with_simbad else None
    counts = {True: 0, False: 0}
    with acting(as_user) as here:
        for done in targets.resolve(here.database, here.actor, ask, reason):
            counts[done.catalogue is not None] += 1
            if done.catalogue:
                merged = f", as target {done.merged_into}" if done.merged_into else ""
                out.print(f"{done.target.target_name}: {done.catalogue}{merged}", markup=False)
    err.print(f"{counts[True]} targets are known now, {counts[False]} are still unknown.")


def _list(user: str | None, name: str | None, is_unresolved: bool | None) -> None:
    rows: list[tuple[object, ...]] = []
    after: int | None = None
    with acting(user) as here:
        context = here.context()
        while True:
            filters = targets.Filters(name, is_unresolved)
            page = targets.page(here.archive, context, here.actor, filters, after, _PAGE)
            rows += [
                (t.target_id, t.target_name, t.target_class, t.s_ra, t.s_dec, t.resolved_by)
                for t in page.targets
            ]
            if (after := page.cursor) is None:
                break
    show(_COLUMNS, rows, "No target.")


def _number(here: Acting, wanted: str) -> int:
    return targets.find(here.archive, here.context(), here.actor, wanted)
