"""Commands for projects, their members, the directories they take products from, and users' contexts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ost_vo.commands.acting import As, Reason, Yes, acting, confirm, deferred, out, show

if TYPE_CHECKING:
    from ost_vo.services import projects
else:
    projects = deferred("ost_vo.services.projects")

project = typer.Typer(help="Projects.", no_args_is_help=True)
directory = typer.Typer(help="Directories whose new products belong to a project.", no_args_is_help=True)
member = typer.Typer(help="Members and managers of projects.", no_args_is_help=True)
context = typer.Typer(help="The context that is kept for a user.", no_args_is_help=True)
project.add_typer(directory, name="directory")

Name = Annotated[str, typer.Argument(metavar="PROJECT", help="Name of the project.")]
UserName = Annotated[str, typer.Argument(metavar="USER", help="Name of the user.")]
Directory = Annotated[str, typer.Argument(help="Path below the data root.")]
Description = Annotated[str | None, typer.Option(help="What it is about.")]
Instrument = Annotated[str | None, typer.Option(help="Its instrument; none for any.")]
Public = Annotated[bool | None, typer.Option("--public/--private", help="Whether every user is a member.")]
Maximum = Annotated[int | None, typer.Option(help="Highest level that members may give.")]
Level = Annotated[int, typer.Option(help="Privileges level, 1 to 5.")]


@project.command("add")
def add_project(
    name: Name,
    description: Description = None,
    instrument: Instrument = None,
    public: Public = False,
    max_privileges: Maximum = None,
    manager: Annotated[str | None, typer.Option(help="Name of its first manager.")] = None,
    reason: Reason = "",
    as_user: As = None,
) -> None:
    """Make a project."""
    with acting(as_user) as here:
        projects.create(
            here.database,
            here.actor,
            name,
            description=description,
            instrument=instrument,
            is_public=bool(public),
            max_privileges=max_privileges,
            manager=manager,
            reason=reason,
        )
    out.print(f"There is a project {name} now.", markup=False)


@project.command("list")
def list_projects(as_user: As = None) -> None:
    """List the projects."""
    with acting(as_user) as here:
        found = projects.listing(here.database, here.actor)
    rows = [(p.name, p.is_public, p.max_privileges, p.instrument, p.description) for p in found]
    show(("project", "public", "maximum level", "instrument", "description"), rows, "No projects.")


@project.command("show")
def show_project(name: Name, as_user: As = None) -> None:
    """Show a project with its members."""
    with acting(as_user) as here:
        found = projects.get(here.database, here.actor, name)
        members = projects.members(here.database, here.actor, name)
    out.print(f"{found.name}: {found.description or 'no description'}", markup=False)
    kind = "public" if found.is_public else "private"
    instrument = found.instrument or "any instrument"
    out.print(f"{kind}, maximum level {found.max_privileges}, {instrument}", markup=False)
    show(("member", "manager"), [(m.user, m.is_manager) for m in members], "No named members.")


@project.command("change")
def change_project(
    name: Name,
    description: Description = None,
    instrument: Instrument = None,
    public: Public = None,
    max_privileges: Maximum = None,
    reason: Reason = "",
    as_user: As = None,
) -> None:
    """Change a project; what is left out stays, and an empty text takes the old one away."""
    texts = {"description": description, "instrument": instrument}
    changes: dict[str, object] = {key: text or None for key, text in texts.items() if text is not None}
    decisive = {"is_public": public, "max_privileges": max_privileges}
    changes |= {key: value for key, value in decisive.items() if value is not None}
    with acting(as_user) as here:
        projects.update(here.database, here.actor, name, changes, reason)
    out.print(f"{name} is changed.", markup=False)


@project.command("delete")
def delete_project(name: Name, yes: Yes = False, reason: Reason = "", as_user: As = None) -> None:
    """Delete a project that nothing belongs to."""
    confirm(f"Delete the project {name}?", yes)
    with acting(as_user) as here:
        projects.delete(here.database, here.actor, name, reason)
    out.print(f"{name} is deleted.", markup=False)


@directory.command("list")
def list_directories(as_user: As = None) -> None:
    """List the directories whose new products have a project, creator and level of their own."""
    with acting(as_user) as here:
        found = projects.creation_scopes(here.database, here.actor)
    rows = [(s.directory, s.project, s.creator, s.privileges) for s in found]
    show(("directory", "project", "creator", "level"), rows, "No directories.")


@directory.command("set")
def set_directory(
    path: Directory,
    name: Name,
    creator: Annotated[str, typer.Option(help="User who counts as the creator.")],
    privileges: Level,
    reason: Reason = "",
    as_user: As = None,
) -> None:
    """Say what new products below a directory are created as; those that there are stay what they are."""
    with acting(as_user) as here:
        scope = projects.CreationScope(path, name, creator, privileges)
        kept = projects.set_creation_scope(here.database, here.actor, scope, reason)
    out.print(
        f"New products below {kept.directory} are {kept.creator}'s, in {kept.project} at level "
        f"{kept.privileges}.",
        markup=False,
    )


@directory.command("remove")
def remove_directory(path: Directory, reason: Reason = "", as_user: As = None) -> None:
    """Let a directory be like those around it."""
    with acting(as_user) as here:
        projects.remove_creation_scope(here.database, here.actor, path, reason)
    out.print(f"{path} is like the directories around it.", markup=False)


@member.command("add")
def add_member(
    name: Name,
    user: UserName,
    manager: Annotated[bool, typer.Option("--manager", help="As one who manages the project.")] = False,
    reason: Reason = "",
    as_user: As = None,
) -> None:
    """Take a user into a project, or change what the user is in it."""
    with acting(as_user) as here:
        projects.set_member(here.database, here.actor, name, user, is_manager=manager, reason=reason)
    out.print(f"{user} is a {'manager' if manager else 'member'} of {name}.", markup=False)


@member.command("remove")
def remove_member(name: Name, user: UserName, reason: Reason = "", as_user: As = None) -> None:
    """Take a user out of a project."""
    with acting(as_user) as here:
        projects.remove_member(here.database, here.actor, name, user, reason)
    out.print(f"{user} is no named member of {name} any more.", markup=False)


@member.command("list")
def list_members(name: Name, as_user: As = None) -> None:
    """List the members of a project; of a public one, those who were taken in by name."""
    with acting(as_user) as here:
        found = projects.members(here.database, here.actor, name)
    show(("member", "manager"), [(m.user, m.is_manager) for m in found], "No named members.")


@context.command("show")
def show_context(user: UserName) -> None:
    """Show the context that is kept for a user."""
    with acting(user) as here:
        _print_context(user, *projects.get_context(here.database, here.actor))


@context.command("set")
def set_context(
    user: UserName,
    name: Annotated[
        str | None, typer.Option("--project", help="To make current; '' for all of the user's.")
    ] = None,
    privileges: Annotated[int | None, typer.Option(help="Lowest level, 1 to 5.")] = None,
) -> None:
    """Keep a context for a user; a project without a level comes with level 1."""
    with acting(user) as here:
        _print_context(user, *projects.set_context(here.database, here.actor, name, privileges))


def _print_context(user: str, name: str | None, privileges: int) -> None:
    out.print(f"{user}: {name or 'all projects'}, from level {privileges} on", markup=False)
