"""The context that a query runs in: who asks, and how much of what they may see they want to see.

Source: `reference/privileges.md` of the project, after the Context of Astro-WISE. The database decides with
these settings (schema `context`); nothing set is an anonymous caller.
"""

from __future__ import annotations

from dataclasses import dataclass

from ost_vo.faults import UsageFault

LOWEST, HIGHEST = 1, 5


@dataclass(frozen=True, slots=True)
class Choice:
    """What a caller asks for in place of the context that is kept for the user; None leaves that as it is.

    Attributes:
        project: name of the project whose level 2 the scope is to cover; '' covers all of the user's.
        privileges: the lowest level of the scope, 1 to 5; 1 where a project comes without one.
        prefix: of the URLs that lead to this choice, as in ``/context/BLUES/2``; '' where none does.
    """

    project: str | None = None
    privileges: int | None = None
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """Who asks, and in which scope.

    Attributes:
        user_id: the user; 0 is anonymous.
        scope_project_ids: the projects whose level 2 the scope covers.
        member_project_ids: the projects that the user is a member of.
        min_privileges: the lowest level in the scope, 1 to 5.
        base_url: what URLs in rows begin with; '' is the archive's public URL.
        choice: what the caller asked for, from which a job finds the context anew when it runs.
    """

    user_id: int = 0
    scope_project_ids: tuple[int, ...] = ()
    member_project_ids: tuple[int, ...] = ()
    min_privileges: int = LOWEST
    base_url: str = ""
    choice: Choice = Choice()

    def database_settings(self) -> dict[str, str]:
        """Return the transaction's settings that make the views show this scope, and nothing be written.

        The role comes last: after it, nothing can be set any more.
        """
        return {
            **self.visibility_settings(),
            "ost.base_url": self.base_url,
            "transaction_read_only": "on",
            "role": "adql",
        }

    def visibility_settings(self) -> dict[str, str]:
        """Return those of the settings that `context.in_scope` decides by."""
        return {
            "ost.user_id": str(self.user_id),
            "ost.scope_project_ids": array(self.scope_project_ids),
            "ost.member_project_ids": array(self.member_project_ids),
            "ost.min_privileges": str(self.min_privileges),
        }


ANONYMOUS = Context()


def level(text: str, parameter: str = "OST_PRIVILEGES") -> int:
    """Return a privileges level from its number.

    Raises:
        UsageFault: it is none of 1 to 5.
    """
    if text.strip() not in {"1", "2", "3", "4", "5"}:
        raise UsageFault(
            f"{parameter}={text!r} is no privileges level.",
            "Give 1 (creator), 2 (project), 3 (users of the archive), 4 (world) or 5 (VO).",
        )
    return int(text)


def array(ids: tuple[int, ...]) -> str:
    """Write numbers as PostgreSQL reads an array."""
    return "{" + ",".join(map(str, ids)) + "}"
