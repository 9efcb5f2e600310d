"""Commands for users and their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ost_vo.commands.acting import (
    As,
    FromStdin,
    Reason,
    Yes,
    acting,
    confirm,
    deferred,
    out,
    read_password,
    show,
)
from ost_vo.faults import UsageFault

if TYPE_CHECKING:
    from ost_vo.services import people
else:
    people = deferred("ost_vo.services.people")

user = typer.Typer(help="Users.", no_args_is_help=True)
token = typer.Typer(help="API tokens.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="USER", help="Name of the user.")]
Owner = Annotated[
    str | None, typer.Option("--of", metavar="USER", help="Whose tokens. [default: those of --as]")
]


@user.command("add")
def add_user(
    name: Name,
    role: Annotated[str, typer.Option(help="staff, supervisor or student.")] = "student",
    full_name: Annotated[str | None, typer.Option(help="For people.")] = None,
    superuser: Annotated[bool, typer.Option("--superuser", help="Hold every permission.")] = False,
    no_password: Annotated[bool, typer.Option("--no-password", help="No log-in with one.")] = False,
    stdin: FromStdin = False,
    reason: Reason = "",
    as_user: As = None,
) -> None:
    """Make an account; the password is asked for."""
    with acting(as_user) as here:
        password = None if no_password else read_password(stdin)
        people.create(
            here.database,
            here.actor,
            name,
            password,
            full_name=full_name,
            role=role,
            is_superuser=superuser,
            reason=reason,
        )
    out.print(f"{name} has an account.", markup=False)


@user.command("list")
def list_users(as_user: As = None) -> None:
    """List the users."""
    with acting(as_user) as here:
        found = people.listing(here.database, here.actor)
    rows = [
        (u.name, u.full_name, u.role, u.is_superuser, u.is_active, u.has_password, f"{u.created:%Y-%m-%d}")
        for u in found
    ]
    show(("user", "full name", "role", "superuser", "active", "password", "since"), rows, "No users.")


@user.command("password")
def set_password(name: Name, stdin: FromStdin = False, reason: Reason = "", as_user: As = None) -> None:
    """Give a user another password, which is asked for; the user's sessions end."""
    with acting(as_user) as here:
        people.set_password(here.database, here.actor, name, read_password(stdin), reason)
    out.print(f"{name} has another password.", markup=False)


@user.command("role")
def set_role(
    name: Name,
    role: Annotated[str | None, typer.Argument(help="staff, supervisor or student.")] = None,
    superuser: Annotated[
        bool | None, typer.Option("--superuser/--no-superuser", help="Whether every permission is held.")
    ] = None,
    reason: Reason = "",
    as_user: As = None,
) -> None:
    """Give a user another role, or make one a superuser."""
    if (role is None) == (superuser is None):
        raise UsageFault(
            "One thing can be changed at a time.", "Give a role, or --superuser or --no-superuser."
        )
    with acting(as_user) as here:
        if role is not None:
            people.set_role(here.database, here.actor, name, role, reason)
        else:
            people.set_superuser(here.database, here.actor, name, bool(superuser), reason)
    out.print(f"{name} is {_rank(role, superuser)} now.", markup=False)


@user.command("activate")
def activate(name: Name, reason: Reason = "", as_user: As = None) -> None:
    """Let a user log in again."""
    with acting(as_user) as here:
        people.set_active(here.database, here.actor, name, True, reason)
    out.print(f"{name} is active.", markup=False)


@user.command("deactivate")
def deactivate(name: Name, reason: Reason = "", as_user: As = None) -> None:
    """Let a user log in no more; what belongs to the user stays."""
    with acting(as_user) as here:
        people.set_active(here.database, here.actor, name, False, reason)
    out.print(f"{name} is not active any more.", markup=False)


@user.command("delete")
def delete_user(name: Name, yes: Yes = False, reason: Reason = "", as_user: As = None) -> None:
    """Delete a user who has left nothing behind."""
    confirm(f"Delete the user {name}?", yes)
    with acting(as_user) as here:
        people.delete(here.database, here.actor, name, reason)
    out.print(f"{name} is deleted.", markup=False)


@token.command("add")
def add_token(
    name: Annotated[str, typer.Argument(help="To know it by.")],
    scopes: Annotated[str, typer.Option(help="Of read, write and admin, with commas.")] = "read",
    days: Annotated[float, typer.Option(help="After which it expires.")] = 30.0,
    reason: Reason = "",
    as_user: As = None,
) -> None:
    """Make a token for the user of --as, and print it: nobody sees it again."""
    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    with acting(as_user) as here:
        secret, _ = people.create_token(
            here.database, here.archive.settings, here.actor, name, wanted, days, reason
        )
    out.print(secret, markup=False, soft_wrap=True)


@token.command("list")
def list_tokens(of: Owner = None, as_user: As = None) -> None:
    """List the tokens of a user, without their secrets."""
    with acting(as_user) as here:
        found = people.tokens(here.database, here.actor, _owner(of, as_user))
    rows = [
        (t.name, ", ".join(t.scopes), f"{t.created:%Y-%m-%d}", f"{t.expires:%Y-%m-%d}", t.revoked is not None)
        for t in found
    ]
    show(("token", "scopes", "since", "until", "revoked"), rows, "No tokens.")


@token.command("revoke")
def revoke_token(
    name: Annotated[str, typer.Argument(help="Name of the token.")],
    of: Owner = None,
    reason: Reason = "",
    as_user: As = None,
) -> None:
    """Revoke a token at once."""
    with acting(as_user) as here:
        people.revoke_token(here.database, here.actor, name, _owner(of, as_user), reason)
    out.print(f"The token {name} is revoked.", markup=False)


def _owner(of: str | None, as_user: str | None) -> str:
    owner = of or as_user
    if owner is None:
        raise UsageFault("The operator has no tokens.", "Say whose with --of USER.")
    return owner


def _rank(role: str | None, superuser: bool | None) -> str:
    if role is not None:
        return role
    return "a superuser" if superuser else "no superuser"
