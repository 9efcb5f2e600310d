"""`ost-vo upgrade`: an archive of an earlier version becomes one of this version, looked over twice."""

from __future__ import annotations

from ost_vo.deployment import cluster
from ost_vo.deployment.archive import Archive, Say
from ost_vo.faults import FatalFault
from ost_vo.services import doctor
from ost_vo.settings import Settings
from ost_vo.store import schema
from ost_vo.store.diagnosis import Finding


def upgrade(settings: Settings, say: Say) -> None:
    """Bring the tables and the descriptors up to date, with PostgreSQL started for that time.

    Args:
        settings: of the archive, whose other services do not run.
        say: tells people what goes on.

    Raises:
        FatalFault: something is wrong before, and nothing has been changed; or after, and what to do.
    """
    archive = Archive(settings)
    try:
        archive.start_cluster(say)
        if cluster.has_archive(settings):
            _check("before", doctor.before_upgrade(settings), say)
        archive.migrate(say)
        _check("after", doctor.after_upgrade(settings), say)
        archive.warm()
        archive.write_environment(settings.state / "services.env")
        say(f"The tables are at revision {schema.head()}")
    finally:
        archive.stop()


def _check(moment: str, findings: list[Finding], say: Say) -> None:
    for finding in findings:
        say(f"{finding.subject}: {finding.problem} {finding.remedy}")
    if findings:
        told = "Nothing has been changed." if moment == "before" else "A backup is what helps in doubt."
        raise FatalFault(f"{len(findings)} checks failed {moment} the upgrade.", told)
