"""Products: what ingest writes about files, a batch of them in one transaction."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from ost_vo.store import references
from ost_vo.store.creation import NewFile, Scope, Scopes
from ost_vo.store.ingesting import transaction
from ost_vo.store.targets import Sighting, Targets

if TYPE_CHECKING:
    from ost_vo.settings import Settings

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
    t_xel: int | None = None
    em_min: float | None = None
    em_max: float | None = None
    em_xel: int | None = None
    o_ucd: str | None = None
    facility_name: str | None = None
    instrument_name: str | None = None
    proposal_id: str | None = None
    exposure_type: str | None = None
    header_target: str | None = None
    header_instrument: str | None = None
    header_telescope: str | None = None
    header_filter: str | None = None
    header_observer: str | None = None
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
    hjd_source: str | None = None
    bjd: float | None = None
    bjd_source: str | None = None
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


_DERIVED = tuple(f.name for f in dataclasses.fields(Metadata))
_OF_FILE = ("path", "file_size", "sha256", "file_modified")
_OF_ARCHIVE = ("run_id", "target_id", "project_id", "creator_id", "privileges", "release_date")
# A file that changed keeps its identifier, and everything that people decided about it.
_KEPT = ("path", "project_id", "creator_id", "privileges", "release_date")


def _save_statement() -> sql.Composed:
    names = (*_OF_FILE, *_DERIVED, *_OF_ARCHIVE)
    changing = [sql.Identifier(name) for name in names if name not in _KEPT]
    return sql.SQL(_SAVE).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, names)),
        changes=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in changing),
    )


# JSON keeps a batch in one parameter, and the table itself says what the types are.
_SAVE = """
WITH product AS (
    INSERT INTO archive.products (product_id, obs_publisher_did, {columns})
    SELECT new_id, %(did)s || new_id, {columns} FROM (
        SELECT nextval(pg_get_serial_sequence('archive.products', 'product_id')) AS new_id, r.*
        FROM json_populate_recordset(NULL::archive.products, %(rows)s) AS r) AS new
    ON CONFLICT (path) DO UPDATE SET {changes}, missing_since = NULL, ingested = now()
    RETURNING product_id, path
),
header AS (
    INSERT INTO archive.headers (product_id, hdu, header)
    SELECT product_id, hdu, header
    FROM product JOIN json_to_recordset(%(headers)s) AS h (path text, hdu int, header text) USING (path)
    -- Another ingest may be at the same new file.
    ON CONFLICT (product_id, hdu) DO UPDATE SET header = excluded.header
),
discrepancy AS (
    INSERT INTO archive.discrepancies (product_id, keyword, reason)
    SELECT product_id, keyword, reason
    FROM product JOIN json_to_recordset(%(discrepancies)s) AS d (path text, keyword text, reason text)
        USING (path)
    ON CONFLICT DO NOTHING
),
released AS (DELETE FROM archive.quarantine WHERE path = ANY (%(paths)s)),
seen_to AS (DELETE FROM archive.file_events WHERE product_id IN (SELECT product_id FROM product)),
changed AS (DELETE FROM archive.deletions WHERE path = ANY (%(paths)s))
SELECT path, product_id FROM product
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
WITH header AS (DELETE FROM archive.headers WHERE product_id = ANY (%(ids)s))
DELETE FROM archive.discrepancies WHERE product_id = ANY (%(ids)s)
"""

# What is there keeps where it belongs, even if it moves away before its new row is written.
_PLACES = """
SELECT path, product_id, project_id, creator_id, privileges, release_date
FROM archive.products WHERE path = ANY (%(paths)s)
"""

_TOUCH = """
WITH file AS (
    SELECT * FROM unnest(%(paths)s::text[], %(modified)s::timestamptz[], %(digests)s::bytea[])
        AS f (path, modified, sha256)),
released AS (DELETE FROM archive.quarantine WHERE path = ANY (%(paths)s)),
deleted AS (
    UPDATE archive.deletions d SET file_modified = f.modified
    FROM file f WHERE d.path = f.path AND d.sha256 = f.sha256),
product AS (
    UPDATE archive.products p SET file_modified = f.modified, missing_since = NULL
    FROM file f WHERE p.path = f.path AND p.sha256 = f.sha256
    RETURNING product_id)
DELETE FROM archive.file_events WHERE product_id IN (SELECT product_id FROM product)
"""

_RUNS = "SELECT name, run_id FROM archive.runs WHERE name = ANY (%s)"
_ADD_RUNS = """
INSERT INTO archive.runs (name, night, project_id)
SELECT * FROM unnest(%s::text[], %s::date[], %s::int[]) ON CONFLICT DO NOTHING
"""


class ProductStore:
    """The archive's products, as ingest sees them: over one connection, one transaction a method.

    Args:
        connection: of the role ost_ingest.
        settings: names the project, creator and level of new products, their rules, and the authority.

    Raises:
        UsageFault: the table of rules cannot be used.
    """

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection = connection
        self._save = _save_statement().as_string(connection)
        self._did = f"ivo://{settings.authority}/archive?"
        self._targets = Targets()
        with transaction(connection) as cursor:
            self._scopes = Scopes(cursor, settings)

    def known(self, paths: Sequence[str]) -> dict[str, Known]:
        """Return what is known of those paths that are products."""
        with transaction(self._connection) as cursor:
            cursor.execute(_KNOWN, {"paths": list(paths)})
            return {
                path: Known(product_id, FileState(path, size, modified), bytes(digest), settled)
                for path, product_id, size, modified, digest, settled in cursor.fetchall()
            }

    def save(
        self, products: Iterable[Product], *, before: Callable[[Cursor], None] | None = None
    ) -> set[str]:
        """Write products down, in place where their paths are known; takes the paths out of quarantine.

        Args:
            products: the files, each path once.
            before: what to do first in the same transaction, as moving a product to such a path.

        Returns:
            The paths that the archive had already.

        Raises:
            Rejected: a value breaks a constraint of the tables, or the scope or rule that says where a
                product belongs does not hold; nothing was written.
            Collided: another ingest is at the same rows; nothing was written.
        """
        # In one order everywhere, so that two ingests wait for each other instead of locking each other out.
        batch = sorted(products, key=lambda product: product.file.path)
        with transaction(self._connection) as cursor:
            if before:
                before(cursor)
            there = _places(cursor, batch)
            if there:
                cursor.execute(_FORGET_OLD, {"ids": [product_id for product_id, _ in there.values()]})
            scopes = self._scopes.of(
                cursor, [_new(product) for product in batch if product.file.path not in there]
            )
            scopes |= {path: scope for path, (_, scope) in there.items()}
            runs = _run_ids(cursor, batch, scopes)
            targets = self._targets.ids(cursor, [_sighting(product.metadata) for product in batch])
            rows = [
                _row(product, runs[product.run], target_id, scopes[product.file.path])
                for product, target_id in zip(batch, targets, strict=True)
            ]
            cursor.execute(self._save, self._parameters(batch, rows))
            ids: dict[str, int] = dict(cursor.fetchall())
            references.write(cursor, [(ids[product.file.path], product.references) for product in batch])
        return set(there)

    def touch(self, files: Sequence[tuple[FileState, bytes]]) -> None:
        """Note that files with the same bytes have other times of change, or are back or readable again.

        Args:
            files: as they are now, and the SHA-256 of their bytes.
        """
        parameters = {
            "paths": [file.path for file, _ in files],
            "modified": [file.modified for file, _ in files],
            "digests": [digest for _, digest in files],
        }
        with transaction(self._connection) as cursor:
            cursor.execute(_TOUCH, parameters)

    def _parameters(self, batch: Sequence[Product], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        headers = [
            {"path": product.file.path, "hdu": hdu, "header": header}
            for product in batch
            for hdu, header in product.headers
        ]
        discrepancies = [
            {"path": product.file.path, "keyword": keyword, "reason": reason}
            for product in batch
            for keyword, reason in product.discrepancies
        ]
        return {
            "did": self._did,
            "paths": [product.file.path for product in batch],
            "rows": json.dumps(rows),
            "headers": json.dumps(headers),
            "discrepancies": json.dumps(discrepancies),
        }


def _places(cursor: Cursor, batch: Sequence[Product]) -> dict[str, tuple[int, Scope]]:
    """Return, for each path that is a product, its key and where it belongs."""
    cursor.execute(_PLACES, {"paths": [product.file.path for product in batch]})
    return {path: (product_id, Scope(*scope)) for path, product_id, *scope in cursor.fetchall()}


def _run_ids(cursor: Cursor, batch: Sequence[Product], scopes: dict[str, Scope]) -> dict[str, int]:
    """Return the key of each run; one that is new belongs to the project of its first file."""
    firsts: dict[str, Product] = {}
    for product in batch:
        firsts.setdefault(product.run, product)
    cursor.execute(_RUNS, (list(firsts),))
    ids: dict[str, int] = dict(cursor.fetchall())
    new = [product for name, product in sorted(firsts.items()) if name not in ids]
    if new:
        projects = [scopes[product.file.path].project_id for product in new]
        cursor.execute(_ADD_RUNS, ([p.run for p in new], [p.night for p in new], projects))
        cursor.execute(_RUNS, (list(firsts),))
        ids = dict(cursor.fetchall())
    return ids


def _new(product: Product) -> NewFile:
    return NewFile(product.file.path, product.run, product.night, product.metadata.t_min)


def _row(product: Product, run_id: int, target_id: int | None, scope: Scope) -> dict[str, Any]:
    """Return the columns of a product that are not null, as JSON can hold them."""
    values = {
        "path": product.file.path,
        "file_size": product.file.size,
        "file_modified": product.file.modified,
        "sha256": product.sha256,
        "run_id": run_id,
        "target_id": target_id,
        **{name: getattr(scope, name) for name in Scope.__slots__},
        **{name: getattr(product.metadata, name) for name in _DERIVED},
    }
    return {name: _as_json(value) for name, value in values.items() if value is not None}


def _as_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _sighting(metadata: Metadata) -> Sighting:
    return Sighting(
        metadata.target_name,
        metadata.s_ra,
        metadata.s_dec,
        metadata.s_fov,
        metadata.t_min,
        metadata.t_max,
    )
