"""Who may do something to a job that is somebody else's.

Source: the access control list in `reference/ostdata.md` of the project.
"""

from __future__ import annotations

from ost_vo.access.actor import Actor
from ost_vo.faults import AuthorizationFault

# To see jobs of others is needed for the other two as well.
VIEW_ALL, CANCEL_ANY, MODIFY_TTL = "jobs_view_all", "jobs_cancel_any", "jobs_ttl_modify"


def require(actor: Actor | None, job_id: str, *permissions: str) -> Actor:
    """Return who acts on somebody else's job.

    Args:
        actor: who asks; None is anonymous.
        job_id: as it was asked for.
        permissions: those that are needed besides seeing it.

    Raises:
        AuthorizationFault: one of them is not held, or the token has not the scope admin.
    """
    if actor is None or not actor.may(VIEW_ALL):
        raise AuthorizationFault(f"The job {job_id} is somebody else's.")
    for permission in (VIEW_ALL, *permissions):
        actor.require(permission)
    return actor
