"""The settings: read once by the composition roots, frozen, validated; an unknown key is an error.

Every setting is an environment variable with the prefix ``OST_VO_``, as in ``OST_VO_PORT=8001``.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import tempfile
import textwrap
from datetime import time
from functools import cached_property
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, FilePath, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ost_vo.faults import UsageFault

# The kernel takes 108 bytes for the path of a Unix socket, its closing NUL included (unix(7)).
SOCKET_PATH_BYTES = 107

# What DaCHS can hold in a line of its configuration, where a backslash would begin a macro.
_ONE_LINE = r"^[^\\\r\n]*[^\\\s][^\\\r\n]*$"
# How PostgreSQL calls a process that has not said which it is by PGAPPNAME.
_NAME = "fallback_application_name=ost_vo"
_HTTP_URL = r"^https?://[^\\\s]+$"


class Settings(BaseSettings):
    """What an installation decides.

    Attributes are documented by their descriptions, which `docs/settings.md` repeats.
    """

    model_config = SettingsConfigDict(env_prefix="OST_VO_", frozen=True, extra="forbid")

    state: Path = Field(Path("var"), description="Directory of everything that the services write.")
    data_root: Path | None = Field(
        None, description="Root of the data files, only ever read. Default: the demo data below the state."
    )
    host: str = Field("127.0.0.1", description="Address that the web service listens on.")
    port: int = Field(8000, ge=1, le=65535, description="Port that the web service listens on.")
    public_url: str = Field(
        "", description="URL under which the world sees the archive. Default: http://HOST:PORT."
    )
    authority: str = Field(
        "ost.uni-potsdam.de",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{2,}$",
        description="IVOA authority, the first part of every identifier that the archive gives.",
    )
    facility: str = Field("OST", description="Name of the observatory in facility_name.")
    organisation: str = Field(
        "University of Potsdam",
        pattern=_ONE_LINE,
        description="Organisation that runs the archive, as registries show it.",
    )
    organisation_url: str = Field(
        "https://www.uni-potsdam.de/", pattern=_HTTP_URL, description="Page about that organisation."
    )
    contact_name: str = Field(
        "Operators of the archive", pattern=_ONE_LINE, description="Whom users of the archive can ask."
    )
    contact_email: str = Field(
        "",
        pattern=r"^([^\s@\\]+@[^\s@.\\]+(\.[^\s@.\\]+)+)?$",
        description="Mail address for them, which registries show. Default: webmaster at the authority.",
    )
    creator: str = Field(
        "OST observatory", pattern=_ONE_LINE, description="Who made the data, as registries show it."
    )
    rights: str = Field(
        "", pattern=r"^[^\\\r\n]*$", description="Terms of use of the public data, in a sentence."
    )
    rights_url: str = Field("", pattern=f"{_HTTP_URL}|^$", description="The same as the URL of a licence.")
    publisher_url: str = Field(
        "", description="DaCHS' own URL, whose records `/oai.xml` gives; `ost-vo run` knows it."
    )
    registry_seconds: float = Field(
        60.0, gt=0, description="Pause between two looks for what the registry should tell anew [s]."
    )
    registry_page: int = Field(
        100, ge=1, le=10_000, description="Records in one answer of the registry; further ones follow on."
    )
    site_latitude: float = Field(
        52.409184, ge=-90, le=90, description="Latitude of the observatory, for files that have none [deg]."
    )
    site_longitude: float = Field(
        12.973185, ge=-180, le=180, description="Its longitude, east positive [deg]."
    )
    site_elevation: float = Field(39.0, ge=-500, le=9000, description="Its height above the sea [m].")
    time_zone: str = Field(
        "Europe/Berlin",
        description="Time zone of its clocks, by the name of the tz database: of local times in headers, SER "
        "and EXIF, and of times of the day in settings.",
    )
    names: FilePath | None = Field(
        None,
        description="Table of the names of telescopes, instruments, filters and observers. "
        "Default: `etc/names.toml` of the installation.",
    )
    documentation_url: str = Field(
        "", description="Page about the data, which all links name. Default: the archive's first page."
    )
    database: str = Field(
        "", description="libpq connection string without a user. Default: the private cluster."
    )
    pooler: str = Field(
        "",
        description="The same of a pgbouncer in front of it, through which web processes and workers then "
        "query. Default: none.",
    )
    web_processes: int = Field(2, ge=1, le=64, description="Processes that answer requests.")
    connections: int = Field(16, ge=2, le=500, description="Database connections of one web process.")
    default_maxrec: int = Field(20_000, ge=1, description="Rows of a result when MAXREC is not given.")
    max_maxrec: int = Field(10_000_000, ge=1, description="Rows of a result at the most.")
    sync_seconds: int = Field(
        60, ge=1, description="Time that the database may work on a synchronous query [s]."
    )
    stall_seconds: int = Field(
        60, ge=1, description="Time that a client may leave a stream unread before its query ends [s]."
    )
    transfer_seconds: int = Field(
        3600,
        ge=1,
        le=2_000_000,
        description="Time that a synchronous query and its transfer to a slow client may take in all [s].",
    )
    upload_bytes: int = Field(
        536_870_912, ge=1, description="Size of a request with uploads, and of a fetched table [bytes]."
    )
    upload_seconds: int = Field(30, ge=1, description="Time that fetching an uploaded table may take [s].")
    upload_networks: str = Field(
        "",
        description="Networks that uploads may be fetched from though they are not public, with commas.",
    )
    cutout_bytes: int = Field(
        268_435_456, ge=1, description="Size of the pixels of a cutout at the most [bytes]."
    )
    cutout_slots: int = Field(
        4, ge=1, le=64, description="Cutouts that one web process makes at a time; each is kept in memory."
    )
    cutout_job_cutouts: int = Field(20_000, ge=1, description="Cutouts that one job may make.")
    cutout_job_slots: int = Field(
        2, ge=1, le=64, description="Such jobs that one process runs at a time, in places of their own."
    )
    job_slots: int = Field(
        2,
        ge=1,
        le=64,
        description="Queries that one web process, or the broker's worker, runs at a time as jobs.",
    )
    job_seconds: int = Field(
        3600, ge=1, description="Execution duration of a job that asks for no other [s]."
    )
    job_max_seconds: int = Field(
        86_400, ge=1, le=2_000_000, description="Execution duration of a job at the most [s]."
    )
    job_queue: int = Field(
        500, ge=1, description="Jobs of one caller that may be QUEUED; anonymous callers count as one."
    )
    job_result_bytes: int = Field(
        50_000_000_000, ge=1, description="Size of the result of a job at the most [bytes]."
    )
    job_days: float = Field(7.0, gt=0, description="Time after which a job and its results go [d].")
    job_max_days: float = Field(30.0, gt=0, le=3650, description="Its owner may extend that so far [d].")
    job_lost_seconds: float = Field(
        30.0, ge=0.5, description="Silence after which the worker of a job counts as dead [s]."
    )
    download_files: int = Field(500, ge=1, description="Files that one download may have.")
    download_bytes: int = Field(
        10_737_418_240, ge=1, description="Size of the files of one download [bytes]."
    )
    download_hours: float = Field(
        72.0, gt=0, le=87_600, description="Time after which a download and what was made for it go [h]."
    )
    download_jobs_user: int = Field(
        5, ge=1, description="Downloads of one user that may be in preparation at a time."
    )
    download_jobs_address: int = Field(
        2, ge=1, description="Downloads of anonymous callers from one address that may be so."
    )
    download_jobs: int = Field(20, ge=1, description="Downloads of all callers that may be so.")
    download_slots: int = Field(
        2, ge=1, le=64, description="Downloads that one process prepares at a time, in places of their own."
    )
    download_spare_bytes: int = Field(
        1_073_741_824,
        ge=0,
        description="Space on the disk that archives of downloads leave free [bytes].",
    )
    broker: bool = Field(
        False, description="Whether Celery workers run the jobs, which hear of them through Redis."
    )
    session_hours: float = Field(
        12.0, gt=0, le=8760, description="Time after which somebody who has logged in must do so again [h]."
    )
    token_max_days: int = Field(366, ge=1, le=3660, description="Life of an API token at the most [d].")
    login_window: int = Field(
        900, ge=1, le=86_400, description="Time for which a wrong password counts against a log-in [s]."
    )
    login_failures_account: int = Field(
        10, ge=1, description="Wrong passwords for an account after which addresses with some are refused."
    )
    login_failures_address: int = Field(
        50, ge=1, description="Wrong passwords from an address, for all accounts, after which it is refused."
    )
    trusted_proxies: str = Field(
        "",
        description="Networks of proxies whose X-Forwarded-For and X-Request-ID are believed, with commas.",
    )
    sendfile: Literal["none", "x-accel-redirect", "x-sendfile"] = Field(
        "none",
        description="Header by which the web server in front is asked to send a file of the data root: "
        "`x-accel-redirect` for nginx and Caddy, `x-sendfile` for Apache, or `none`.",
    )
    metrics_networks: str = Field(
        "127.0.0.0/8,::1/128",
        description="Networks whose clients may read `/metrics`, with commas; for others it is not there.",
    )
    web_connections: int = Field(
        1000, ge=10, description="Connections of one web process; requests on further ones get 503."
    )
    drain_seconds: int = Field(
        60, ge=1, le=3600, description="Time that a web process which is to end gives its requests [s]."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="How the logs are written: lines for people, or JSON objects."
    )
    ldap_url: str = Field(
        "",
        description="LDAP directory that knows passwords, as in `ldaps://directory.example`; with `ldap://`, "
        "StartTLS is used but on the loopback. Default: none.",
    )
    ldap_base: str = Field("", description="Entry of the directory below which people are.")
    ldap_attribute: str = Field(
        "uid",
        pattern=r"^[A-Za-z][A-Za-z0-9-]*$",
        description="Attribute with the name that somebody logs in with.",
    )
    ldap_filter: str = Field(
        "", description="Further condition on people, as in `(memberOf=cn=observers,dc=example)`."
    )
    ldap_bind_dn: str = Field(
        "", description="Entry to look for people as. Default: nobody, an anonymous search."
    )
    ldap_bind_password: SecretStr | None = Field(None, description="Its password; secret.")
    ldap_ca: FilePath | None = Field(
        None,
        description="Certificates to trust the directory by, as PEM; then TLS is used on the loopback, too. "
        "Default: those of the system.",
    )
    ldap_create: bool = Field(
        False,
        description="Whether somebody whom only the directory knows becomes a user at the first log-in.",
    )
    ldap_role: Literal["staff", "supervisor", "student"] = Field(
        "student", description="Role of users who come from the directory."
    )
    openid_issuer: str = Field(
        "", description="OpenID Connect provider that browsers can log in through, its URL. Default: none."
    )
    openid_client_id: str = Field("", description="Name of the archive at the provider.")
    openid_client_secret: SecretStr | None = Field(
        None, min_length=16, description="Password of the archive at the provider; secret."
    )
    openid_scope: str = Field("openid profile", description="What the provider is asked to tell.")
    openid_claim: str = Field(
        "preferred_username",
        description="Claim that has the user's name; one that nobody can choose for himself.",
    )
    openid_create: bool = Field(
        False, description="Whether somebody whom only the provider knows becomes a user at the first log-in."
    )
    openid_role: Literal["staff", "supervisor", "student"] = Field(
        "student", description="Role of users who come from the provider."
    )
    watch: bool = Field(False, description="Whether `ost-vo run` watches the data root for new files.")
    watch_delay: float = Field(20.0, ge=0, description="Time after which a new file is read [s].")
    watch_debounce: float = Field(
        2.0, ge=0, description="Time after the last change after which a changed file is read again [s]."
    )
    watch_stability: float = Field(
        2.0, ge=0, description="Time for which a file must have kept size and time before it is read [s]."
    )
    watch_ignore: str = Field(
        ".*,*.filepart,*.part,*.tmp,*.bck,*.swp,*~",
        description="Names of files and directories that are left alone, as patterns with commas; such a "
        "file is taken when it is renamed.",
    )
    watch_polling: bool = Field(
        False, description="Whether to look for changes now and then, for network mounts without inotify."
    )
    watch_polling_interval: float = Field(10.0, gt=0, description="Pause between two such looks [s].")
    watch_reconcile_at: str = Field(
        "03:00",
        description="Times of the day, with commas, of full comparisons with the disk, in `time_zone`; the "
        "broker's worker makes them where there is one. Empty: at the watcher's start alone.",
    )
    previews: bool = Field(
        True, description="Whether `ost-vo run` makes previews and statistics of pixels, and solves plates."
    )
    analysis_seconds: int = Field(
        60, ge=1, le=3600, description="Time that looking at the pixels of a file may take [s]."
    )
    analysis_memory: int = Field(
        512, ge=64, description="Memory that it may take besides the programs [MiB]."
    )
    solve: bool = Field(
        False, description="Whether images without world coordinates are solved, by `astrometry.net`."
    )
    solve_command: str = Field(
        "solve-field", min_length=1, description="Its program; Debian's package is `astrometry.net`."
    )
    solve_config: str = Field(
        "", description="Its configuration, which says where the indexes are. Default: the system's."
    )
    solve_seconds: int = Field(
        60, ge=1, le=3600, description="Computing time of one attempt to solve an image [s]."
    )
    solve_radius: float = Field(
        15.0, gt=0, le=180, description="How far the position in a header may be off at first [deg]."
    )
    solve_per_hour: int = Field(60, ge=1, description="Images that are solved in an hour at the most.")
    missing_fraction: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Part of the archive whose files may go at a time; more looks like a disk that is not "
        "there, and is not noted without `--force`.",
    )
    data_marker: str = Field(
        "",
        description="File or directory below the data root without which its disk counts as not mounted. "
        "Default: none.",
    )
    simbad_url: str = Field(
        "",
        description="SIMBAD's TAP service, asked about names that no catalogue here knows, when the operator "
        "says so (`ost-vo target resolve --simbad`). Default: none, it is switched off.",
    )
    simbad_seconds: float = Field(
        30.0, gt=0, le=3600, description="Time that SIMBAD may take for an answer [s]."
    )
    sky_survey: str = Field(
        "",
        pattern=r"^(https?://[A-Za-z0-9.:\[\]-]+(/[^\\\s]*)?)?$",
        description="HiPS behind the maps that Aladin Lite draws, its base URL, whose host readers' browsers "
        "ask for pictures. Default: none, nothing is loaded from elsewhere.",
    )
    ingest_user: str = Field("ingest", description="Creator of the products that the watcher ingests.")
    ingest_project: str = Field("OST", description="Project that newly ingested products belong to.")
    ingest_privileges: int = Field(5, ge=1, le=5, description="Level that newly ingested products get.")
    ingest_processes: int = Field(
        0, ge=0, le=64, description="Processes that read files where many wait; 0 is one for each core."
    )
    run_rules: Path | None = Field(
        None,
        description="Table of the rules that give new files a project, level, release period and time zone "
        "by the name of their run. Default: none.",
    )

    @field_validator("state", "data_root", "run_rules")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return Path(os.path.abspath(path.expanduser())) if path else path

    @field_validator("upload_networks", "trusted_proxies", "metrics_networks")
    @classmethod
    def _networks(cls, text: str) -> str:
        for part in filter(None, map(str.strip, text.split(","))):
            ipaddress.ip_network(part)
        return text

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (OSError, ValueError, ZoneInfoNotFoundError) as error:
            raise ValueError(f"there is no time zone {name!r}, give one as Europe/Berlin") from error
        return name

    @field_validator("watch_reconcile_at")
    @classmethod
    def _times(cls, text: str) -> str:
        for part in filter(None, map(str.strip, text.split(","))):
            if time.fromisoformat(part).tzinfo is not None:
                raise ValueError(f"{part} has a time zone")
        return text

    @field_validator("public_url")
    @classmethod
    def _without_slash(cls, url: str) -> str:
        return url.rstrip("/")

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: dict[str, object]) -> dict[str, object]:
        known = {f"OST_VO_{name.upper()}" for name in cls.model_fields}
        unknown = sorted(key for key in os.environ if key.startswith("OST_VO_") and key not in known)
        if unknown:
            raise UsageFault(f"Unknown setting {', '.join(unknown)}.", "docs/settings.md lists the settings.")
        return values

    @model_validator(mode="after")
    def _ldap_is_complete(self) -> Self:
        if not self.ldap_url:
            return self
        if urlsplit(self.ldap_url).scheme not in ("ldap", "ldaps") or not urlsplit(self.ldap_url).hostname:
            raise UsageFault(
                "OST_VO_LDAP_URL is no URL of a directory.", "Give one as in ldaps://directory.example."
            )
        if not self.ldap_base:
            raise UsageFault(
                "OST_VO_LDAP_URL needs OST_VO_LDAP_BASE.", "Name the entry that people are below."
            )
        if bool(self.ldap_bind_dn) != bool(self.ldap_bind_password):
            raise UsageFault(
                "OST_VO_LDAP_BIND_DN and OST_VO_LDAP_BIND_PASSWORD go together.", "Give both or neither."
            )
        return self

    @model_validator(mode="after")
    def _openid_is_complete(self) -> Self:
        if not self.openid_issuer:
            return self
        parts = urlsplit(self.openid_issuer)
        if not (parts.hostname and (parts.scheme == "https" or is_loopback_http(self.openid_issuer))):
            raise UsageFault("OST_VO_OPENID_ISSUER is no URL of a provider.", "It begins with https://.")
        if not (self.openid_client_id and self.openid_client_secret):
            raise UsageFault(
                "OST_VO_OPENID_ISSUER needs OST_VO_OPENID_CLIENT_ID and OST_VO_OPENID_CLIENT_SECRET.",
                "The provider gives both when the archive is registered there.",
            )
        return self

    @cached_property
    def base_url(self) -> str:
        """The public URL, without a slash at the end."""
        return self.public_url or f"http://{self.host}:{self.port}"

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the observatory's clocks."""
        return ZoneInfo(self.time_zone)

    @cached_property
    def registry_email(self) -> str:
        """Mail address that registries show; that of RFC 2142 where none is set."""
        return self.contact_email or f"webmaster@{self.authority}"

    @cached_property
    def data(self) -> Path:
        """The root of the data files, with symbolic links resolved."""
        return (self.data_root or self.state / "data").resolve()

    @cached_property
    def sockets(self) -> Path:
        """The directory of the Unix sockets: below the state, or elsewhere where that path will not do.

        It may be too long for the kernel, or have characters that DaCHS' database profiles cannot hold.
        """
        inside = self.state / "run"
        fits = len(os.fsencode(inside / ".s.PGSQL.5432.lock")) <= SOCKET_PATH_BYTES
        if fits and re.fullmatch(r"[\w./+@-]+", str(inside), re.ASCII):
            return inside
        digest = hashlib.sha256(os.fsencode(self.state)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"ost_vo-{digest}"

    def dsn(self, role: str) -> str:
        """Return the libpq connection string for a database role."""
        where = self.database or f"host='{_quoted(self.sockets)}' port=5432 dbname=ost_vo"
        return f"{where} user={role} {_NAME}"

    def pooled_dsn(self, role: str) -> str:
        """Return the same by way of the pooler, if there is one: settings last for a transaction there."""
        return f"{self.pooler} user={role} {_NAME}" if self.pooler else self.dsn(role)


def is_loopback(host: str | None) -> bool:
    """Say whether a host of a URL is this machine, as it is written: names are not looked up."""
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"


def is_loopback_http(url: str) -> bool:
    """Say whether a URL is one of this machine, without TLS."""
    parts = urlsplit(url)
    return parts.scheme == "http" and is_loopback(parts.hostname)


def as_markdown() -> str:
    """Return the table of all settings, as `docs/settings.md` has it."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "") else f"`{field.default}`"
        lines.append(f"| `OST_VO_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


def as_environment_file() -> str:
    """Return a file of the environment with every setting commented out, as `etc/ost_vo.env` is."""
    lines = [
        "# Settings of the archive, as `ost-vo settings --file` writes them. Copy this to /etc/ost_vo.env,",
        "# where root and the account of the services alone may read it, since some are secrets. Take the #",
        "# off a line to change a default.",
    ]
    for name, field in Settings.model_fields.items():
        lines += ["", *(f"# {line}" for line in textwrap.wrap(field.description or "", 108))]
        default = "" if field.default is None else str(field.default)
        lines.append(f'#OST_VO_{name.upper()}="{default}"')
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    """Escape a path for a libpq connection string (libpq-connect, section 34.1.1)."""
    return str(path).replace("\\", "\\\\").replace("'", "\\'")
