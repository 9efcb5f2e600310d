"""Products: what ingest writes about each file, in one transaction a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from ost_vo.access.publishing import check_creation
from ost_vo.faults import FatalFault, Fault, TransientFault
from ost_vo.settings import Settings
from ost_vo.store import references
from ost_vo.store.targets import Sighting, Targets

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a file says about itself: the columns of archive.products that ingest derives, under their names.

    Units are those of ObsCore 1.1 (deg, d as MJD UTC, s, m, arcsec); weather and camera columns as in the
    table's comments: temperatures in degrees Celsius, pixel sizes in micrometres, lengths in millimetres.
    `region` is the text of a pg_sphere polygon.
    """

    calib_level: int
    obs_id: str
    media_type: str
    dataproduct_type: str | None = None
    dataproduct_subtype: str | None = None
    obs_title: str | None = None
    target_name: str | None = None
    s_ra: float | None = None
    s_dec: float | None = None
    s_fov: float | None = None
    s_region: str | None = None
    region: str | None = None
    s_resolution: float | None = None
    s_pixel_scale: float | None = None
    s_xel1: int | None = None
    s_xel2: int | None = None
    t_min: float | None = None
    t_max: float | None = None
    t_exptime: float | None = None
    em_min: float | None = None
    em_max: float | None = None
    em_xel: int | None = None
    o_ucd: str | None = None
    facility_name: str | None = None
    instrument_name: str | None = None
    proposal_id: str | None = None
    exposure_type: str | None = None
    header_target: str | None = None
    position_source: str | None = None
    s_orientation: float | None = None
    s_parity: int | None = None
    filter_name: str | None = None
    telescope_name: str | None = None
    focal_length: float | None = None
    pixel_size: float | None = None
    binning_x: int | None = None
    binning_y: int | None = None
    gain: float | None = None
    egain: float | None = None
    pedestal: float | None = None
    black_level: float | None = None
    readout_mode: str | None = None
    ccd_temperature: float | None = None
    airmass: float | None = None
    hjd: float | None = None
    bjd: float | None = None
    ambient_temperature: float | None = None
    dew_point: float | None = None
    pressure: float | None = None
    humidity: float | None = None
    wind_speed: float | None = None
    wind_direction: float | None = None
    site_latitude: float | None = None
    site_longitude: float | None = None
    site_elevation: float | None = None
    observer: str | None = None
    software: str | None = None


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was on disk when it was looked at.

    Attributes:
        path: relative to the data root, with '/' between its parts.
        size: bytes.
        modified: time of the last change, to the microsecond that the database keeps.
    """

    path: str
    size: int
    modified: datetime

    @classmethod
    def of(cls, path: str, size: int, modified_ns: int) -> FileState:
        """Make one from a size and a time in nanoseconds, as `os.stat` gives them."""
        return cls(path, size, _EPOCH + timedelta(microseconds=modified_ns // 1000))


@dataclass(frozen=True, slots=True)
class Product:
    """A file to be written down.

    Attributes:
        file, sha256: the file, and the SHA-256 of its bytes on disk.
        run, night: name of its run, and the date that the name says.
        metadata: what it says about itself.
        headers: (number of the header unit, its cards one a line).
        discrepancies: (keyword, reason) of what is doubtful in it.
        references: names of the files that it says it was made from.
    """

    file: FileState
    sha256: bytes
    run: str
    night: date | None
    metadata: Metadata
    headers: Sequence[tuple[int, str]] = ()
    discrepancies: Sequence[tuple[str, str]] = ()
    references: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What the archive knows of a path already.

    Attributes:
        product_id: of its product; None where that was deleted.
        file: the file as it was when it was ingested.
        sha256: of its bytes then.
        is_settled: whether it is neither in quarantine nor noted as missing.
    """

    product_id: int | None
    file: FileState
    sha256: bytes
    is_settled: bool


@dataclass(frozen=True, slots=True)
class Scope:
    """What a new product is created as: project, creator and level."""

    project_id: int
    creator_id: int
    privileges: int


class Rejected(Fault):
    """The database does not take a row for what is in it; the detail says why."""

    code = "RejectedRow"


_DERIVED = tuple(f.name for f in dataclasses.fields(Metadata))
_OF_FILE = ("path", "file_size", "sha256", "file_modified")
_OF_ARCHIVE = ("run_id", "target_id", "project_id", "creator_id", "privileges", "obs_publisher_did")
# A file that changed keeps its identifier, and everything that people decided about it.
_KEPT = ("path", "project_id", "creator_id", "privileges", "obs_publisher_did")


def _save_statement() -> sql.Composed:
    columns = (*_OF_FILE, *_DERIVED, *_OF_ARCHIVE)
    values: dict[str, sql.Composable] = {name: sql.SQL("%({})s").format(sql.SQL(name)) for name in columns}
    values["region"] = sql.SQL("%(region)s::spoly")
    values["obs_publisher_did"] = sql.SQL("%(did)s || new.id")
    changing = [sql.Identifier(name) for name in columns if name not in _KEPT]
    return sql.SQL(_SAVE).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        values=sql.SQL(", ").join(values[name] for name in columns),
        changes=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in changing),
    )


_SAVE = """
WITH new AS (SELECT nextval(pg_get_serial_sequence('archive.products', 'product_id')) AS id),
product AS (
    INSERT INTO archive.products (product_id, {columns}) SELECT new.id, {values} FROM new
    ON CONFLICT (path) DO UPDATE SET {changes}, missing_since = NULL, ingested = now()
    RETURNING product_id
),
header AS (
    INSERT INTO archive.headers (product_id, hdu, header)
    SELECT product_id, hdu, header
    FROM product, unnest(%(hdus)s::int[], %(headers)s::text[]) AS h (hdu, header)
    -- Another ingest may be at the same new file.
    ON CONFLICT (product_id, hdu) DO UPDATE SET header = excluded.header
),
discrepancy AS (
    INSERT INTO archive.discrepancies (product_id, keyword, reason)
    SELECT product_id, keyword, reason
    FROM product, unnest(%(keywords)s::text[], %(reasons)s::text[]) AS d (keyword, reason)
    ON CONFLICT DO NOTHING
),
released AS (DELETE FROM archive.quarantine WHERE path = %(path)s),
changed AS (DELETE FROM archive.deletions WHERE path = %(path)s)
SELECT product_id FROM product
"""

_KNOWN = """
SELECT path, product_id, p.file_size, p.file_modified, sha256, q.path IS NULL AND missing_since IS NULL
FROM archive.products p LEFT JOIN archive.quarantine q USING (path)
WHERE path = ANY (%(paths)s)
UNION ALL
SELECT path, NULL, file_size, file_modified, sha256, true
FROM archive.deletions WHERE path = ANY (%(paths)s)
"""

_FORGET_OLD = """
WITH old AS (SELECT product_id FROM archive.products WHERE path = %(path)s),
header AS (DELETE FROM archive.headers WHERE product_id IN (SELECT product_id FROM old))
DELETE FROM archive.discrepancies WHERE product_id IN (SELECT product_id FROM old)
"""

_TOUCH = """
WITH released AS (DELETE FROM archive.quarantine WHERE path = %(path)s),
deleted AS (UPDATE archive.deletions SET file_modified = %(modified)s WHERE path = %(path)s)
UPDATE archive.products SET file_modified = %(modified)s, missing_since = NULL WHERE path = %(path)s
"""

_SCOPE = """
SELECT s.project_id, s.creator_id, s.privileges, j.name, j.is_public, j.max_privileges,
    j.is_public OR m.user_id IS NOT NULL, coalesce(m.is_manager, false)
FROM archive.creation_scopes s
    JOIN archive.projects j ON j.project_id = s.project_id
    LEFT JOIN archive.project_members m ON m.project_id = s.project_id AND m.user_id = s.creator_id
WHERE starts_with(%s, s.directory || '/') ORDER BY length(s.directory) DESC LIMIT 1
"""


class ProductStore:
    """The archive's products, as ingest sees them: over one connection, one transaction a method.

    Args:
        connection: of the role ost_ingest.
        settings: names the project, creator and level of new products, and the authority.
    """

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection = connection
        self._save = _save_statement().as_string(connection)
        self._did = f"ivo://{settings.authority}/archive?"
        self._run_ids: dict[str, int] = {}
        self._targets = Targets()
        with transaction(connection) as cursor:
            creator_id = _creator_id(cursor, settings.ingest_user)
            project_id = _project_id(cursor, settings.ingest_project, creator_id)
        self._default = Scope(project_id, creator_id, settings.ingest_privileges)

    def known(self, paths: Sequence[str]) -> dict[str, Known]:
        """Return what is known of those paths that are products."""
        # Runs may have been renamed since the last batch, by another process too.
        self._run_ids.clear()
        with transaction(self._connection) as cursor:
            cursor.execute(_KNOWN, {"paths": list(paths)})
            return {
                path: Known(product_id, FileState(path, size, modified), bytes(digest), settled)
                for path, product_id, size, modified, digest, settled in cursor.fetchall()
            }

    def save(
        self, product: Product, *, is_known: bool, before: Callable[[Cursor], None] | None = None
    ) -> None:
        """Write a product down, in place where its path is known; takes the path out of quarantine.

        Args:
            product: the file.
            is_known: whether the archive has a product of that path.
            before: what to do first in the same transaction, as moving a product to that path.

        Raises:
            Rejected: a value breaks a constraint of the tables, or the creation scope of its directory is not
                its creator's any more; nothing was written.
        """
        run_ids = dict(self._run_ids)
        with transaction(self._connection) as cursor:
            if before:
                before(cursor)
                run_ids.clear()
            if is_known:
                cursor.execute(_FORGET_OLD, {"path": product.file.path})
            scope = self._default if is_known else _scope(cursor, product.file.path) or self._default
            run_id = _cached(run_ids, product.run, lambda: _run_id(cursor, product, scope.project_id))
            target_id = self._targets.ids(cursor, [_sighting(product.metadata)])[0]
            cursor.execute(self._save, self._parameters(product, run_id, target_id, scope))
            references.write(cursor, [(_only(cursor), product.references)])
        self._run_ids = run_ids

    def touch(self, file: FileState) -> None:
        """Note that a file with the same bytes has another time of change, or is back or readable again."""
        with transaction(self._connection) as cursor:
            cursor.execute(_TOUCH, {"path": file.path, "modified": file.modified})

    def _parameters(
        self, product: Product, run_id: int, target_id: int | None, scope: Scope
    ) -> dict[str, Any]:
        return {
            **{name: getattr(product.metadata, name) for name in _DERIVED},
            "path": product.file.path,
            "file_size": product.file.size,
            "file_modified": product.file.modified,
            "sha256": product.sha256,
            "run_id": run_id,
            "target_id": target_id,
            **{name: getattr(scope, name) for name in Scope.__slots__},
            "did": self._did,
            "hdus": [hdu for hdu, _ in product.headers],
            "headers": [header for _, header in product.headers],
            "keywords": [keyword for keyword, _ in product.discrepancies],
            "reasons": [reason for _, reason in product.discrepancies],
        }


@contextmanager
def open_connection(settings: Settings) -> Iterator[Connection]:
    """Yield a connection for ingest, closed at the end.

    Raises:
        TransientFault: the database does not answer.
    """
    try:
        connection = psycopg2.connect(settings.dsn("ost_ingest"))
    except psycopg2.OperationalError as error:
        raise TransientFault(f"The database does not answer: {_line(error)}", "Is it running?") from error
    try:
        with connection, connection.cursor() as cursor:
            # What a crash of the server loses, the next run ingests again.
            cursor.execute("SET synchronous_commit = off")
        yield connection
    finally:
        connection.close()


@contextmanager
def transaction(connection: Connection) -> Iterator[Cursor]:
    """Yield a cursor; commit at the end, roll back on an error.

    Raises:
        Rejected: a value breaks a constraint.
        TransientFault: the database does not answer.
        FatalFault: it refuses the statement as such.
    """
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    except (psycopg2.DataError, psycopg2.IntegrityError, psycopg2.InternalError) as error:
        raise Rejected(f"The archive does not take it: {_line(error)}") from error
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise TransientFault(f"The database failed: {_line(error)}", "Run ingest again.") from error
    except psycopg2.ProgrammingError as error:
        raise FatalFault(f"The database refused a statement of ingest: {_line(error)}") from error


def _line(error: psycopg2.Error) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0]


def _cached(ids: dict[str, int], name: str, find: Any) -> int:
    if name not in ids:
        ids[name] = find()
    return ids[name]


def _creator_id(cursor: Cursor, name: str) -> int:
    cursor.execute("INSERT INTO archive.users (name) VALUES (%s) ON CONFLICT DO NOTHING", (name,))
    cursor.execute("SELECT user_id FROM archive.users WHERE name = %s", (name,))
    return _only(cursor)


def _project_id(cursor: Cursor, name: str, manager_id: int) -> int:
    cursor.execute(
        "INSERT INTO archive.projects (name, is_public, max_privileges) VALUES (%s, true, 4)"
        " ON CONFLICT DO NOTHING",
        (name,),
    )
    is_new = cursor.rowcount > 0
    cursor.execute("SELECT project_id FROM archive.projects WHERE name = %s", (name,))
    project_id = _only(cursor)
    if is_new:
        cursor.execute(
            "INSERT INTO archive.project_members (project_id, user_id, is_manager) VALUES (%s, %s, true)",
            (project_id, manager_id),
        )
    return project_id


def _scope(cursor: Cursor, path: str) -> Scope | None:
    """Return what a new file is created as, where one of its directories has a creation scope."""
    cursor.execute(_SCOPE, (path,))
    row = cursor.fetchone()
    if row is None:
        return None
    project_id, creator_id, privileges, name, is_public, most, is_member, is_manager = row
    try:
        check_creation(
            name,
            privileges,
            is_public=is_public,
            max_privileges=most,
            is_member=is_member,
            is_manager=is_manager,
        )
    except Fault as fault:
        raise Rejected(f"The creation scope of its directory does not hold: {fault.detail}") from fault
    return Scope(project_id, creator_id, privileges)


def _run_id(cursor: Cursor, product: Product, project_id: int) -> int:
    cursor.execute(
        "INSERT INTO archive.runs (name, night, project_id) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (product.run, product.night, project_id),
    )
    cursor.execute("SELECT run_id FROM archive.runs WHERE name = %s", (product.run,))
    return _only(cursor)


def _sighting(metadata: Metadata) -> Sighting:
    return Sighting(
        metadata.target_name,
        metadata.s_ra,
        metadata.s_dec,
        metadata.s_fov,
        metadata.t_min,
        metadata.t_max,
    )


def _only(cursor: Cursor) -> int:
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])
