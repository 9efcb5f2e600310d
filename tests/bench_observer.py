"""A member of projects, logged in, for the benches: whoever sees more costs more."""

from __future__ import annotations

import requests

from ost_vo.access.actor import OPERATOR
from ost_vo.services import people, projects
from ost_vo.services.archive import Archive
from ost_vo.settings import Settings

# Of the synthetic users: a member of a private project of two, and of all public ones.
NAME = "synth.draper"
# The lowest level in sight: what projects share, not what is the creator's own.
LEVEL = 2
_PASSWORD = "bench bench bench"  # of an archive that is thrown away


def session(settings: Settings) -> requests.Session:
    """Return a session of the member, looking at all projects from :data:`LEVEL`."""
    archive = Archive.open(settings)
    try:
        database = archive.accounts_database
        people.set_password(database, OPERATOR, NAME, _PASSWORD)
        projects.set_context(database, people.actor_named(database, NAME), "", LEVEL)
    finally:
        archive.close()
    logged_in = requests.Session()
    fields = {"username": NAME, "password": _PASSWORD}
    logged_in.post(f"{settings.base_url}/login", fields, timeout=60).raise_for_status()
    return logged_in
