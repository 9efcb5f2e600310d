"""The context that a query runs in: who asks, and how much of what they may see they want to see.

Source: `reference/privileges.md` of the project, after the Context of Astro-WISE. The database decides with
these settings (schema `context`); nothing set is an anonymous caller.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Context:
    """Who asks, and in which scope.

    Attributes:
        user_id: the user; 0 is anonymous.
        scope_project_ids: the projects whose level 2 the scope covers.
        member_project_ids: the projects that the user is a member of.
        min_privileges: the lowest level in the scope, 1 to 5.
    """

    user_id: int = 0
    scope_project_ids: tuple[int, ...] = ()
    member_project_ids: tuple[int, ...] = ()
    min_privileges: int = 1

    def database_settings(self) -> dict[str, str]:
        """Return the transaction's settings that make the views show this scope, and nothing be written.

        The role comes last: after it, nothing can be set any more.
        """
        return {
            "ost.user_id": str(self.user_id),
            "ost.scope_project_ids": _array(self.scope_project_ids),
            "ost.member_project_ids": _array(self.member_project_ids),
            "ost.min_privileges": str(self.min_privileges),
            "transaction_read_only": "on",
            "role": "adql",
        }


ANONYMOUS = Context()


def _array(ids: tuple[int, ...]) -> str:
    return "{" + ",".join(map(str, ids)) + "}"
