"""Commands for products: who sees them, whether they are valid, what they were made from; the audit log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ost_vo.access.publishing import ARCHIVE
from ost_vo.commands.acting import Acting, As, Reason, Yes, acting, confirm, deferred, err, out, show
from ost_vo.faults import UsageFault
from ost_vo.settings import Settings

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

    from ost_vo.services import products, projects, publishing
    from ost_vo.store import ingesting, references
else:
    products = deferred("ost_vo.services.products")
    projects = deferred("ost_vo.services.projects")
    publishing = deferred("ost_vo.services.publishing")
    ingesting = deferred("ost_vo.store.ingesting")
    references = deferred("ost_vo.store.references")

lineage = typer.Typer(help="What products were made from.", no_args_is_help=True)

Identifiers = Annotated[
    list[str] | None, typer.Argument(metavar="[IDENTIFIER]...", help="Products, by obs_publisher_did.")
]
Query = Annotated[str | None, typer.Option(help="ADQL that yields them as obs_publisher_did.")]
Identifier = Annotated[str, typer.Argument(help="A product, by obs_publisher_did.")]

# Identifiers and a rehearsal or not; returns the identifiers of what changes.
Change = Callable[[Acting, Sequence[str], bool], list[str]]
# So many are listed one by one.
_LISTED = 50


def publish(
    privileges: Annotated[int, typer.Option(help="2 project, 3 users, 4 world, 5 VO.")],
    identifiers: Identifiers = None,
    query: Query = None,
    reason: Reason = "",
    yes: Yes = False,
    as_user: As = None,
) -> None:
    """Raise products to a level, up to level 3 with everything that they were made from."""

    def change(here: Acting, wanted: Sequence[str], is_rehearsal: bool) -> list[str]:
        return publishing.publish(
            here.database, here.actor, wanted, privileges, reason, is_rehearsal=is_rehearsal
        )

    title = f"To be published to level {privileges}"
    if privileges > ARCHIVE:
        title += f", and what they were made from to level {ARCHIVE}"
    _change(as_user, identifiers, query, yes, title, change)


def unpublish(
    identifiers: Identifiers = None,
    privileges: Annotated[int, typer.Option(help="Down to this level, 2 at the lowest.")] = 2,
    query: Query = None,
    reason: Reason = "",
    yes: Yes = False,
    as_user: As = None,
) -> None:
    """Lower products to a level."""

    def change(here: Acting, wanted: Sequence[str], is_rehearsal: bool) -> list[str]:
        return publishing.unpublish(
            here.database, here.actor, wanted, privileges, reason, is_rehearsal=is_rehearsal
        )

    _change(as_user, identifiers, query, yes, f"To be lowered to level {privileges}", change)


def invalidate(
    identifiers: Identifiers = None,
    query: Query = None,
    reason: Reason = "",
    yes: Yes = False,
    as_user: As = None,
) -> None:
    """Invalidate products: they are kept, flagged, and left out of ivoa.obscore."""
    _change(as_user, identifiers, query, yes, "To be invalidated", _validity(False, reason))


def revalidate(
    identifiers: Identifiers = None,
    query: Query = None,
    reason: Reason = "",
    yes: Yes = False,
    as_user: As = None,
) -> None:
    """Make invalidated products valid again."""
    _change(as_user, identifiers, query, yes, "To be made valid again", _validity(True, reason))


def release(
    date: Annotated[
        str, typer.Option(help="UTC, as in 2027-01-01 or 2027-01-01T12:00:00; none takes it back.")
    ],
    identifiers: Identifiers = None,
    query: Query = None,
    reason: Reason = "",
    yes: Yes = False,
    as_user: As = None,
) -> None:
    """Say from when on everybody sees products."""
    moment = _moment(date, "--date") if date != "none" else None

    def change(here: Acting, wanted: Sequence[str], is_rehearsal: bool) -> list[str]:
        return publishing.release(
            here.database, here.actor, wanted, moment, reason, is_rehearsal=is_rehearsal
        )

    title = f"To be released on {moment:%Y-%m-%d %H:%M} UTC" if moment else "To lose their release date"
    _change(as_user, identifiers, query, yes, title, change)


def delete(
    identifiers: Identifiers = None,
    query: Query = None,
    reason: Reason = "",
    yes: Yes = False,
    as_user: As = None,
) -> None:
    """Delete the records of products; their files stay, and are not ingested again as they are."""

    def change(here: Acting, wanted: Sequence[str], is_rehearsal: bool) -> list[str]:
        return publishing.delete(here.database, here.actor, wanted, reason, is_rehearsal=is_rehearsal)

    _change(as_user, identifiers, query, yes, "To be deleted", change)


@lineage.command("show")
def show_lineage(identifier: Identifier, as_user: As = None) -> None:
    """Show what a product was made from, and what was made from it."""
    with acting(as_user) as here:
        found = products.lineage(here.archive, here.context(), identifier)
    rows = [("made from", other) for other in found.progenitors]
    rows += [("became", other) for other in found.derivations]
    show(("", "product"), rows, "Nothing is known.")


@lineage.command("set")
def set_lineage(
    identifier: Identifier,
    progenitors: Annotated[list[str] | None, typer.Argument(help="What it was made from.")] = None,
    reason: Reason = "",
    as_user: As = None,
) -> None:
    """Say what a product was made from, in place of what was said before."""
    with acting(as_user) as here:
        publishing.set_progenitors(here.database, here.actor, identifier, progenitors or [], reason)
    out.print(f"{identifier} was made from {len(progenitors or [])} others.", markup=False, soft_wrap=True)


@lineage.command("waiting")
def waiting_references() -> None:
    """List what files name as their progenitors and the archive does not have."""
    with _ingest() as cursor:
        found = references.waiting(cursor)
    show(("file", "names"), found, "Nothing waits.")


@lineage.command("resolve")
def resolve_references() -> None:
    """Look again for all that waits, as after the level of a progenitor was raised."""
    with _ingest() as cursor:
        found, waiting = references.resolve_waiting(cursor)
    out.print(f"{found} found, {waiting} waiting.")


def audit(
    actor: Annotated[str | None, typer.Option(help="Who did it.")] = None,
    subject: Annotated[str | None, typer.Option(help="To what: an identifier or a name.")] = None,
    project: Annotated[str | None, typer.Option(help="In which project.")] = None,
    since: Annotated[str | None, typer.Option(help="From that moment on, UTC.")] = None,
    limit: Annotated[int, typer.Option(help="The newest so many.")] = 50,
    before: Annotated[int | None, typer.Option(help="Those before this number.")] = None,
    as_user: As = None,
) -> None:
    """Show who changed what that decides over access."""
    moment = _moment(since, "--since") if since is not None else None
    with acting(as_user) as here:
        entries = projects.audit_log(
            here.database,
            here.actor,
            by=actor,
            subject=subject,
            project=project,
            before=before,
            since=moment,
            limit=limit,
        )
    rows = [
        (
            e.audit_id,
            f"{e.moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            e.actor,
            e.action,
            e.subject,
            _values(e.old_value),
            _values(e.new_value),
            e.reason,
        )
        for e in entries
    ]
    show(("number", "UTC", "who", "what", "subject", "from", "to", "why"), rows, "No entries.")


def _change(
    user: str | None,
    identifiers: Sequence[str] | None,
    query: str | None,
    yes: bool,
    title: str,
    change: Change,
) -> None:
    """List what a change would change, ask, and change it."""
    with acting(user) as here:
        wanted = _wanted(here, identifiers or [], query)
        changing = change(here, wanted, True)
        if not changing:
            out.print("Nothing changes.")
            return
        err.print(f"{title}:", markup=False)
        for identifier in changing[:_LISTED]:
            err.print(f"  {identifier}", markup=False, soft_wrap=True)
        if len(changing) > _LISTED:
            err.print(f"  and {len(changing) - _LISTED} more")
        confirm(f"{len(changing)} products. Go on?", yes)
        changed = change(here, wanted, False)
    out.print(f"{len(changed)} products changed.")


def _wanted(here: Acting, identifiers: Sequence[str], query: str | None) -> Sequence[str]:
    if bool(identifiers) == (query is not None):
        raise UsageFault("Which products?", "Give identifiers, or --query with ADQL that yields them.")
    if query is None:
        return identifiers
    return products.chosen(here.archive, here.context(), query, publishing.MAX_PRODUCTS)


def _validity(is_valid: bool, reason: str) -> Change:
    def change(here: Acting, wanted: Sequence[str], is_rehearsal: bool) -> list[str]:
        return publishing.update_is_valid(
            here.database, here.actor, wanted, is_valid, reason, is_rehearsal=is_rehearsal
        )

    return change


@contextmanager
def _ingest() -> Iterator[Cursor]:
    """Yield the cursor of a transaction as ingest has it."""
    with ingesting.open_connection(Settings()) as connection, ingesting.transaction(connection) as cursor:
        yield cursor


def _moment(text: str, option: str) -> datetime:
    """Return a moment, which is UTC where it does not say otherwise.

    Raises:
        UsageFault: it is not one of ISO 8601.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageFault(f"{option} {text!r} is no date.", "Write it as 2027-01-01T12:00:00.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _values(values: dict[str, object] | None) -> str:
    return ", ".join(f"{key} {json.dumps(value)}" for key, value in sorted((values or {}).items()))
