"""The system account that services run as, and how a command comes to run as it.

PostgreSQL refuses to run as root, and nothing else here needs root: a deployment that root starts gives its
services to an account that Debian's PostgreSQL package has made. An ordinary user keeps his own.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from ost_vo.faults import FatalFault

SERVICE_USER = "postgres"

# Capabilities that let an account read below directories that are closed to it, as a checkout in the home
# of root is; the narrower first (capabilities(7)).
_READING = (("dac_read_search", 2), ("dac_override", 1))


@dataclass(frozen=True)
class Account:
    """Who services run as.

    Attributes:
        user, group: names.
        uid, gid: numbers.
        capability: what the account needs to read its files; None almost always.
    """

    user: str
    group: str
    uid: int
    gid: int
    capability: str | None = None

    def command(self, *arguments: str | Path, parent_death: str = "TERM") -> list[str]:
        """Return a command that runs as this account and gets a signal when its parent dies.

        Args:
            arguments: the program and its arguments.
            parent_death: name of the signal (prctl(2), PR_SET_PDEATHSIG): nothing outlives its supervisor,
                not even when that is killed.
        """
        command = ["/usr/bin/setpriv", "--no-new-privs", "--pdeathsig", parent_death]
        if os.getuid() == 0:
            command += ["--reuid", str(self.uid), "--regid", str(self.gid), "--init-groups"]
            if self.capability:
                grant = f"+{self.capability}"
                command += ["--inh-caps", grant, "--ambient-caps", grant]
        return [*command, "--", *map(str, arguments)]

    def own(self, directory: Path, mode: int = 0o755) -> Path:
        """Make a directory that belongs to this account, with everything above it, and return it."""
        directory.mkdir(parents=True, exist_ok=True)
        if directory.stat().st_uid not in (self.uid, os.getuid()):
            raise FatalFault(f"{directory} belongs to somebody else.", "Choose another OST_VO_STATE.")
        os.chmod(directory, mode)
        if os.getuid() == 0:
            shutil.chown(directory, self.uid, self.gid)
        return directory


def account(*paths: Path) -> Account:
    """Return the account for services that must read the given directories.

    Raises:
        FatalFault: started by root, and no account can be used.
    """
    if os.getuid() != 0:
        me = pwd.getpwuid(os.getuid())
        return Account(me.pw_name, grp.getgrgid(me.pw_gid).gr_name, me.pw_uid, me.pw_gid)
    try:
        entry = pwd.getpwnam(SERVICE_USER)
    except KeyError:
        raise FatalFault(
            f"There is no account {SERVICE_USER} to run the services as.", "Install Debian's postgresql-15."
        ) from None
    closed = [path for path in paths if not _readable(path, entry)]
    capability = _capability(closed[0]) if closed else None
    group = grp.getgrgid(entry.pw_gid).gr_name
    return Account(SERVICE_USER, group, entry.pw_uid, entry.pw_gid, capability)


def _readable(path: Path, entry: pwd.struct_passwd) -> bool:
    """Say whether an account can pass through every directory down to a path."""
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    for directory in [path, *path.parents]:
        try:
            status = directory.stat()
        except FileNotFoundError:
            continue
        if status.st_uid == entry.pw_uid:
            needed = stat.S_IXUSR
        elif status.st_gid in groups:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not status.st_mode & needed:
            return False
    return True


def _capability(closed: Path) -> str:
    with open("/proc/self/status") as status:
        effective = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff"))
    for name, bit in _READING:
        if effective >> bit & 1:
            return name
    raise FatalFault(
        f"The account {SERVICE_USER} cannot read {closed}.",
        "Move the checkout, the state and the data to directories that it can pass through.",
    )
