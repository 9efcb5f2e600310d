"""Who is asking: a user who has logged in, or the operator at the machine.

Source: `reference/privileges.md` and the access control list of `reference/ostdata.md` of the project.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ost_vo.faults import AuthorizationFault

READ, WRITE, ADMIN = "read", "write", "admin"
SCOPES = (READ, WRITE, ADMIN)
ROLES = ("staff", "supervisor", "student")


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who wants to do something.

    Attributes:
        user_id: the user.
        name: by which the user logs in, and which the audit log shows.
        role: staff, supervisor or student.
        is_superuser: whether every permission is held without being granted.
        permissions: codenames of what the role may do.
        scopes: what this way of logging in is good for: read, write (products, projects, the own account) and
            admin (people and permissions); a token may have fewer than its user.
        is_operator: whether this is the operator at the machine, who manages every project.
    """

    user_id: int
    name: str
    role: str = "student"
    is_superuser: bool = False
    permissions: frozenset[str] = field(default_factory=frozenset)
    scopes: frozenset[str] = frozenset(SCOPES)
    is_operator: bool = False

    def may(self, permission: str) -> bool:
        """Say whether a permission is held; superusers hold all."""
        return self.is_superuser or permission in self.permissions

    def require(self, permission: str) -> None:
        """Refuse to go on without a permission, and, with a token, without the scope admin.

        Raises:
            AuthorizationFault: it is not held.
        """
        self.require_scope(ADMIN)
        if not self.may(permission):
            raise AuthorizationFault(
                f"{self.name} has not the permission {permission}.", "A superuser can grant it to your role."
            )

    def require_scope(self, scope: str) -> None:
        """Refuse to go on with a token that was not made for this.

        Raises:
            AuthorizationFault: the token lacks the scope.
        """
        if scope not in self.scopes:
            raise AuthorizationFault(
                f"This token is good for {', '.join(sorted(self.scopes))}, not for {scope}.",
                "Make a token with that scope, or log in with your password.",
            )


OPERATOR = Actor(0, "(operator)", is_superuser=True, is_operator=True)
