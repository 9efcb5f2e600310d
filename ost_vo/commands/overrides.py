"""Commands for what people say of products, and for what ingest found doubtful in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ost_vo.commands.acting import As, Reason, acting, deferred, out, show

if TYPE_CHECKING:
    from ost_vo.services import overrides
else:
    overrides = deferred("ost_vo.services.overrides")

override = typer.Typer(help="What people say of products, over what ingest finds.", no_args_is_help=True)

FieldName = Annotated[str, typer.Argument(metavar="FIELD", help="exposure_type, spectrograph or target.")]
Identifiers = Annotated[list[str], typer.Argument(help="Products, by obs_publisher_did.")]
_PAGE = 1000


@override.command("set")
def set_override(
    field: FieldName,
    value: Annotated[
        str,
        typer.Argument(
            help="bias, dark, flat, light, wave; DADOS, BACHES, EINSTEIN_TOWER, none; a target or none."
        ),
    ],
    identifiers: Identifiers,
    reason: Reason = "",
    as_user: As = None,
) -> None:
    """Say what products are; ingest leaves that alone from then on."""
    with acting(as_user) as here:
        overrides.put(here.archive, here.context(), here.actor, identifiers, field, value, reason)
    out.print(f"{field} of {len(identifiers)} products is {value} now.", markup=False)


@override.command("clear")
def clear_overrides(
    identifiers: Identifiers,
    field: Annotated[str | None, typer.Option(help="Of this alone. [default: of all]")] = None,
    reason: Reason = "",
    as_user: As = None,
) -> None:
    """Take back what was said of products: they are what ingest found again."""
    with acting(as_user) as here:
        changed = overrides.clear(here.database, here.actor, identifiers, field, reason)
    out.print(f"{len(changed)} products are what ingest found.", markup=False)


@override.command("list")
def list_overrides(
    field: Annotated[str | None, typer.Option(help="Of this alone. [default: of all]")] = None,
    as_user: As = None,
) -> None:
    """List what people said of products."""
    rows: list[tuple[object, ...]] = []
    after: int | None = None
    with acting(as_user) as here:
        while True:
            page, after = overrides.listing(here.database, here.actor, field=field, after=after, limit=_PAGE)
            rows += [
                (o.identifier, o.path, o.field, o.shown, o.automatic, o.user, f"{o.moment:%Y-%m-%d %H:%M}")
                for o in page
            ]
            if after is None:
                break
    show(("product", "path", "field", "is", "was", "who", "when"), rows, "Nobody has said anything.")


def discrepancies(
    run: Annotated[str | None, typer.Option(help="Of this run alone.")] = None,
    keyword: Annotated[str | None, typer.Option(help="Of this keyword alone.")] = None,
    as_user: As = None,
) -> None:
    """List what ingest found doubtful in the files that it took."""
    rows: list[tuple[object, ...]] = []
    after: int | None = None
    with acting(as_user) as here:
        while True:
            page, after = overrides.discrepancies(
                here.database, here.actor, run=run, keyword=keyword, after=after, limit=_PAGE
            )
            rows += [(d.path, d.keyword, d.reason) for d in page]
            if after is None:
                break
    show(("path", "keyword", "reason"), rows, "Nothing is doubtful.")
