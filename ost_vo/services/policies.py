"""What a kind of job may take: how long its jobs live, how many there may be, and how many run at a time.

Downloads have limits of their own, since each keeps the disk busy; of other jobs, any number may wait.
"""

from __future__ import annotations

from dataclasses import dataclass

from ost_vo.faults import TransientFault
from ost_vo.settings import Settings
from ost_vo.store.jobs import Active, Admission

DOWNLOAD, CUTOUTS = "download", "soda"

_HOURS_A_DAY = 24.0


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits of a kind.

    Attributes:
        days: after which a job is destroyed [d].
        max_days: to which its owner may extend that, from then on [d].
        counts_addresses: whether anonymous callers are counted by where they come from.
        is_looked_through: whether results are compared, when they are sent, with what whoever asks may see.
    """

    days: float
    max_days: float
    counts_addresses: bool = False
    is_looked_through: bool = False


def of(settings: Settings, kind: str) -> Policy:
    """Return the limits of a kind."""
    if kind == DOWNLOAD:
        days = settings.download_hours / _HOURS_A_DAY
        return Policy(days, days, counts_addresses=True, is_looked_through=True)
    return Policy(settings.job_days, settings.job_max_days)


def places(settings: Settings) -> dict[str, int]:
    """Return how many jobs run at a time of each kind that has places of its own; others share theirs."""
    return {DOWNLOAD: settings.download_slots, CUTOUTS: settings.cutout_job_slots}


def all_places(settings: Settings) -> int:
    """Return how many jobs of all kinds run at a time."""
    return settings.job_slots + sum(places(settings).values())


def admission(settings: Settings, kind: str, owner_id: int | None) -> Admission | None:
    """Return what refuses one more job of somebody, where a kind limits those that are active; else None."""
    if kind != DOWNLOAD:
        return None

    def admit(active: Active) -> None:
        """Refuse by a TransientFault where there are enough."""
        if owner_id is not None and active.of_owner >= settings.download_jobs_user:
            raise _enough(f"You have {active.of_owner} downloads in preparation")
        if owner_id is None and active.of_address >= settings.download_jobs_address:
            raise _enough(f"From your address, {active.of_address} downloads are in preparation")
        if active.total >= settings.download_jobs:
            raise _enough(f"The archive has {active.total} downloads in preparation")

    return admit


def _enough(what: str) -> TransientFault:
    return TransientFault(
        f"{what}, as many as there may be at a time.", "Try again when one of them has ended, or abort one."
    )
