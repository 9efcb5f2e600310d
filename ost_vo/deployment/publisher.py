"""DaCHS as the publisher: its configuration, and the import of the descriptors in `resdir/`.

DaCHS runs under the system's Python in processes of its own; nothing here imports it.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from ost_vo.deployment import cluster
from ost_vo.deployment.accounts import Account
from ost_vo.faults import FatalFault
from ost_vo.settings import Settings
from ost_vo.store import provision, schema

PROGRAM = Path("/usr/bin/dachs")
# Those with tables; the registry's has records only, and DaCHS keeps two of them among its own.
DESCRIPTORS = ("obscore/q", "ost/q")
RECORDS = ("registry/q", "//services")
# What DaCHS gives in one answer at the most: more than there will ever be.
PAGE_SIZE = 10_000
# Of a short name in VOResource, less what the descriptors append.
SHORT_NAME = 16 - len(" registry")
# Below those that Linux gives to whoever connects (ip_local_port_range), of which one may be taken any time.
_PORTS = range(20_000, 32_768)
_PROFILES = {"feed": "ost_publisher", "trustedquery": "ost_dachs", "untrustedquery": "adql"}


def descriptors() -> Path:
    """Return the directory of the resource descriptors."""
    return Path(__file__).resolve().parents[2] / "resdir"


def root(settings: Settings) -> Path:
    """Return the directory of everything that DaCHS writes."""
    return settings.state / "dachs"


def environment(settings: Settings) -> dict[str, str]:
    """Return what a DaCHS process needs in its environment."""
    keep = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    return {**keep, "GAVOSETTINGS": str(root(settings) / "gavorc"), "HOME": str(root(settings))}


def configure(settings: Settings, account: Account) -> str:
    """Write DaCHS' configuration with a port that is free now.

    Returns:
        The URL of the DaCHS server, on loopback.
    """
    account.own(root(settings))
    url = f"http://127.0.0.1:{free_port()}"
    (root(settings) / "gavorc").write_text(_gavorc(settings, account, url))
    profiles = account.own(root(settings) / "etc")
    (profiles / "defaultmeta.txt").write_text(_site(settings))
    shutil.copy(descriptors() / "registry" / "userconfig.rd", profiles / "userconfig.rd")
    where = f"host = {settings.sockets}\nport = 5432\ndatabase = {cluster.DATABASE}\n"
    (profiles / "dsn").write_text(where)
    for profile, role in _PROFILES.items():
        # DaCHS insists on a password; the cluster asks for none, its socket is closed to others.
        (profiles / profile).write_text(f"include dsn\nuser = {role}\npassword = unused\n")
    return url


def is_current(settings: Settings) -> bool:
    """Say whether the descriptors were imported as they are now."""
    mark = root(settings) / "imported"
    return mark.exists() and mark.read_text() == _digest(settings)


def initialise(settings: Settings, account: Account, *, database: bool) -> None:
    """Make DaCHS' directories and, once in the life of a database, its tables there."""
    dsn = f"host='{settings.sockets}' port=5432 user={cluster.SUPERUSER} dbname={cluster.DATABASE}"
    _dachs(settings, account, "init", "-d", dsn, *([] if database else ["--nodb"]))


def import_descriptors(settings: Settings, account: Account) -> None:
    """Create the views and fill TAP_SCHEMA; data is not touched.

    Raises:
        FatalFault: DaCHS refused a descriptor; with what it said.
    """
    mark = root(settings) / "imported"
    mark.unlink(missing_ok=True)
    inputs = account.own(root(settings) / "inputs")
    for descriptor in descriptors().iterdir():
        shutil.copytree(descriptor, inputs / descriptor.name, dirs_exist_ok=True)
    for descriptor_id in DESCRIPTORS:
        _dachs(settings, account, "imp", descriptor_id)
    publish(settings, account)
    mark.write_text(_digest(settings))


def publish(settings: Settings, account: Account) -> None:
    """Have DaCHS make the records of its registry; those that its descriptors no longer have are withdrawn.

    Raises:
        FatalFault: DaCHS refused one; with what it said.
    """
    said = _dachs(settings, account, "pub", *RECORDS)
    # DaCHS goes on without a descriptor that is faulty, as if its records were withdrawn.
    if "*X*X*" in said:
        raise FatalFault(f"dachs pub failed:\n{said.strip()}")


def validate(settings: Settings, account: Account) -> str:
    """Return what `dachs val` says of the descriptors."""
    return _dachs(settings, account, "val", *DESCRIPTORS, RECORDS[0])


def command(account: Account) -> list[str]:
    """Return the command of the DaCHS server."""
    return account.command(PROGRAM, "serve", "start", "--foreground")


def free_port() -> int:
    """Return a TCP port of the loopback address that nothing listens on, and that nobody is about to get.

    Raises:
        FatalFault: there is none.
    """
    chance = random.SystemRandom()
    for _ in _PORTS:
        port = chance.choice(_PORTS)
        with suppress(OSError):
            with socket.socket() as other:
                other.bind(("127.0.0.1", port))
            # After a connection a port is left alone for a minute, but by a server that asks for it by its
            # number (RFC 9293 section 3.3.2, TIME-WAIT): nobody else who looks for a free one gets it.
            with (
                socket.create_server(("127.0.0.1", port)) as listener,
                socket.create_connection(("127.0.0.1", port)),
            ):
                listener.accept()[0].close()
            return port
    raise FatalFault("No port of the loopback address is free.", "End what listens there.")


def _digest(settings: Settings) -> str:
    # A migration may have replaced what the views read: they are made anew for each revision, and with roles
    # and grants that have changed.
    digest = hashlib.sha256(f"{schema.head()} {settings.authority}".encode())
    digest.update(Path(provision.__file__).read_bytes())
    for path in sorted(descriptors().rglob("*.rd")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _dachs(settings: Settings, account: Account, *arguments: str) -> str:
    result = subprocess.run(
        account.command(PROGRAM, *arguments),
        cwd=root(settings),
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = result.stdout + result.stderr
    if result.returncode or "*** Error" in said:
        raise FatalFault(f"dachs {arguments[0]} failed:\n{said.strip()}")
    return said


def _gavorc(settings: Settings, account: Account, url: str) -> str:
    directory = str(root(settings)).replace("%", "%%")
    return f"""[general]
rootDir: {directory}
gavoGroup: {account.group}
group: {account.group}

[web]
serverURL: {url}
serverPort: {url.rsplit(":", 1)[1]}
bindAddress: 127.0.0.1
user: {account.user}
sitename: {settings.facility}

[ivoa]
authority: {settings.authority}
oaipmhPageSize: {PAGE_SIZE}
"""


def _site(settings: Settings) -> str:
    """Return what DaCHS' records tell of the installation (etc/defaultmeta.txt)."""
    metadata = {
        "publisher": settings.organisation,
        "contact.name": settings.contact_name,
        "contact.email": settings.registry_email,
        "creator.name": settings.creator,
        "site.description": f"The archive of the observatory {settings.facility}.",
        # Descriptors of DaCHS' own ask for these.
        "authority.creationDate": "2026-11-22T00:00:00Z",
        "authority.shortName": settings.facility[:SHORT_NAME],
        "ost.facility": settings.facility,
        "ost.publicURL": settings.base_url,
        "ost.organisationURL": settings.organisation_url,
    }
    return "".join(f"{name}: {value}\n" for name, value in metadata.items())
