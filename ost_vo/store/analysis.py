"""What is done with files after they are ingested: the queue of products, and what came of each.

A product is queued by triggers when its bytes, its path or its presence change. Whoever takes one has it for
a while (a lease); what changes meanwhile raises its version, and it stays in the queue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_values

from ost_vo.store.findings import PREVIEW, SOLUTION, STATISTICS, Outcome, PixelStatistics, Solution
from ost_vo.store.ingesting import transaction
from ost_vo.store.products import FileState
from ost_vo.store.targets import look_again
from ost_vo.vo.lighttime import MJD_0

# The channel (NOTIFY) on which the queue tells that there is something in it.
CHANNEL = "ost_analysis"

# Begins the reasons of discrepancies that come from here, so that a second look can take them back.
BY_PIXELS = "By its pixels: "
# References of one camera that a frame is compared with, the nearest in time [d].
_MOST_REFERENCES = 100
_REFERENCE_DAYS = 366.0
# A start that was taken from a date for the Sun is as near to it; others by chance, once in a million [d].
_SAME_DATE = 1e-8
_NOT_ON_THE_SKY = ("bias", "dark", "flat", "wave")


@dataclass(frozen=True, slots=True)
class Item:
    """A product that was taken from the queue.

    Attributes:
        product_id, version, attempts: which, in which version of the queue, and how often it was taken.
        file, sha256: its file as it was when it was ingested.
        product_type, exposure_type: what it is, None where unknown.
        is_dispersed: whether it is a spectrum by its pixels alone.
        is_said: whether somebody has said which spectrograph it is of, or none.
        position_source: where its position comes from, None where it has none.
        s_ra, s_dec: that position [deg]; s_pixel_scale: what the header says [arcsec].
        t_exptime: [s].
        t_min, t_max: start and end [d, MJD UTC].
        header_date: the Julian date at the Sun or the barycentre that the header has [d].
        site: latitude, longitude [deg] and elevation [m] that the header has.
        tried: (kind, settings) of what was tried with these very bytes.
    """

    product_id: int
    version: int
    attempts: int
    file: FileState
    sha256: bytes
    product_type: str | None
    exposure_type: str | None
    is_dispersed: bool
    is_said: bool
    position_source: str | None
    s_ra: float | None
    s_dec: float | None
    s_pixel_scale: float | None
    t_exptime: float | None
    t_min: float | None
    t_max: float | None
    header_date: float | None
    site: tuple[float | None, float | None, float | None]
    tried: frozenset[tuple[str, str]]

    @property
    def header_type(self) -> str | None:
        """What kind of product it is by its header and its path."""
        return "image" if self.is_dispersed else self.product_type

    @property
    def is_solvable(self) -> bool:
        """Whether it is an image of the sky without world coordinates, as far as the archive knows."""
        is_of_sky = self.product_type == "image" and self.exposure_type not in _NOT_ON_THE_SKY
        return is_of_sky and self.position_source in (None, "header")

    @property
    def middle(self) -> float | None:
        """The middle of the exposure [d, MJD UTC]; None where only its day is known, or its header_date."""
        if self.t_min is None or self.t_max is None:
            return None
        is_day = self.t_min == int(self.t_min) and self.t_max - self.t_min == 1.0
        middle = (self.t_min + self.t_max) / 2
        is_derived = self.header_date is not None and abs(MJD_0 + middle - self.header_date) < _SAME_DATE
        return None if is_day or is_derived else middle


@dataclass(frozen=True, slots=True)
class Tried:
    """What was tried with a product, and why it came to nothing."""

    path: str
    kind: str
    state: str
    reason: str
    moment: datetime


_COLUMNS = """q.product_id, q.version, q.attempts, p.path, p.file_size, p.file_modified, p.sha256,
    p.dataproduct_type, p.exposure_type,
    p.dataproduct_type = 'spectrum' AND EXISTS (SELECT FROM archive.pixel_statistics s
        WHERE s.product_id = p.product_id AND s.sha256 = p.sha256 AND s.is_dispersed),
    EXISTS (SELECT FROM archive.overrides o WHERE o.product_id = p.product_id AND o.field = 'spectrograph'),
    p.position_source, p.s_ra, p.s_dec,
    p.s_pixel_scale, p.t_exptime, p.t_min, p.t_max,
    CASE WHEN p.hjd_source = 'header' THEN p.hjd WHEN p.bjd_source = 'header' THEN p.bjd END,
    p.site_latitude, p.site_longitude, p.site_elevation,
    ARRAY(SELECT a.kind || ' ' || a.settings FROM archive.analyses a
        WHERE a.product_id = p.product_id AND a.sha256 = p.sha256 AND a.state <> 'absent')"""

_TAKE = f"""
WITH next AS (
    SELECT product_id FROM archive.analysis_queue WHERE due <= now()
    ORDER BY queued DESC, product_id DESC LIMIT 1 FOR UPDATE SKIP LOCKED
), q AS (
    UPDATE archive.analysis_queue q SET attempts = attempts + 1, due = now() + %s * interval '1 second'
    FROM next WHERE q.product_id = next.product_id
    RETURNING q.product_id, q.version, q.attempts
)
SELECT {_COLUMNS} FROM q JOIN archive.products p USING (product_id)
"""  # noqa: S608

_FINISH = "DELETE FROM archive.analysis_queue WHERE product_id = %s AND version = %s"
_POSTPONE = """
UPDATE archive.analysis_queue SET due = now() + %s * interval '1 second',
    attempts = CASE WHEN %s THEN attempts ELSE 0 END
WHERE product_id = %s AND version = %s"""

# Of the queue's own settings: what has been tried with other ones is tried again.
_SWEEP = """
INSERT INTO archive.analysis_queue (product_id, queued)
SELECT p.product_id, p.ingested FROM archive.products p
WHERE p.missing_since IS NULL AND (
    NOT EXISTS (SELECT FROM archive.analyses a WHERE a.product_id = p.product_id AND a.kind = 'preview'
        AND a.settings = %(preview)s AND a.sha256 = p.sha256)
    OR NOT EXISTS (SELECT FROM archive.analyses a WHERE a.product_id = p.product_id
        AND a.kind = 'statistics' AND a.settings = %(statistics)s AND a.sha256 = p.sha256)
    OR (%(solution)s <> '' AND p.dataproduct_type = 'image'
        AND coalesce(p.position_source, 'header') = 'header'
        AND coalesce(p.exposure_type, 'light') = 'light'
        AND NOT EXISTS (SELECT FROM archive.analyses a WHERE a.product_id = p.product_id
            AND a.kind = 'solution' AND a.settings = %(solution)s AND a.sha256 = p.sha256)))
ON CONFLICT DO NOTHING"""

_RECORD = """
INSERT INTO archive.analyses (product_id, kind, settings, sha256, state, reason)
SELECT p.product_id, v.kind, v.settings, p.sha256, v.state, v.reason
FROM (VALUES %s) AS v (product_id, sha256, kind, settings, state, reason)
    JOIN archive.products p ON p.product_id = v.product_id AND p.sha256 = v.sha256
ON CONFLICT (product_id, kind, settings) DO UPDATE
SET sha256 = excluded.sha256, state = excluded.state, reason = excluded.reason, moment = now()"""

_STATISTICS = """
INSERT INTO archive.pixel_statistics (product_id, sha256, median, mean, std, mad, minimum, maximum, saturated,
    bright, full_scale, pixels, is_dispersed)
SELECT product_id, sha256, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s FROM archive.products
WHERE product_id = %s AND sha256 = %s
ON CONFLICT (product_id) DO UPDATE SET (sha256, median, mean, std, mad, minimum, maximum, saturated, bright,
    full_scale, pixels, is_dispersed) = (excluded.sha256, excluded.median, excluded.mean, excluded.std,
    excluded.mad, excluded.minimum, excluded.maximum, excluded.saturated, excluded.bright,
    excluded.full_scale, excluded.pixels, excluded.is_dispersed)"""
_FORGET_STATISTICS = "DELETE FROM archive.pixel_statistics WHERE product_id = %s"
# A filter's band says nothing of a spectrum; `remap` gives it back.
_TAKE_FOR_SPECTRUM = """
UPDATE archive.products SET dataproduct_type = 'spectrum', em_min = NULL, em_max = NULL
WHERE product_id = %s AND sha256 = %s AND dataproduct_type = 'image'"""
_TAKE_FOR_IMAGE = """
UPDATE archive.products SET dataproduct_type = 'image'
WHERE product_id = %s AND sha256 = %s AND dataproduct_type = 'spectrum'"""
_FORGET_REMARKS = """
DELETE FROM archive.discrepancies WHERE product_id = %s AND starts_with(reason, %s)"""
_REMARK = """
INSERT INTO archive.discrepancies (product_id, keyword, reason)
SELECT product_id, %s, %s FROM archive.products WHERE product_id = %s AND sha256 = %s
ON CONFLICT DO NOTHING"""

_REFERENCES = """
SELECT s.median FROM archive.products l JOIN archive.products p
    ON p.instrument_name = l.instrument_name AND p.exposure_type = %(kind)s AND p.product_id <> l.product_id
    AND p.t_min BETWEEN l.t_min - %(days)s AND l.t_min + %(days)s
    AND (p.s_xel1, p.s_xel2, p.binning_x, p.binning_y, p.gain, p.black_level, p.readout_mode)
        IS NOT DISTINCT FROM
        (l.s_xel1, l.s_xel2, l.binning_x, l.binning_y, l.gain, l.black_level, l.readout_mode)
    AND p.is_valid JOIN archive.pixel_statistics s ON s.product_id = p.product_id
WHERE l.product_id = %(product_id)s ORDER BY abs(p.t_min - l.t_min), p.product_id LIMIT %(most)s"""

_PLACE = """
UPDATE archive.products SET s_ra = %(s_ra)s, s_dec = %(s_dec)s, s_fov = %(s_fov)s, s_region = %(s_region)s,
    region = %(region)s::spoly, s_orientation = %(s_orientation)s, s_parity = %(s_parity)s,
    s_pixel_scale = %(s_pixel_scale)s, position_source = 'solution',
    hjd = CASE WHEN hjd_source = 'header' THEN hjd ELSE coalesce(%(hjd)s, hjd) END,
    hjd_source = CASE WHEN hjd_source IS NULL AND %(hjd)s IS NOT NULL THEN 'computed' ELSE hjd_source END,
    bjd = CASE WHEN bjd_source = 'header' THEN bjd ELSE coalesce(%(bjd)s, bjd) END,
    bjd_source = CASE WHEN bjd_source IS NULL AND %(bjd)s IS NOT NULL THEN 'computed' ELSE bjd_source END
WHERE product_id = %(product_id)s AND sha256 = %(sha256)s
    AND position_source IS DISTINCT FROM 'wcs'"""
_KEEP_HEADER = """
INSERT INTO archive.solutions (product_id, sha256, header) VALUES (%s, %s, %s)
ON CONFLICT (product_id) DO UPDATE SET sha256 = excluded.sha256, header = excluded.header, moment = now()"""

_LAST_HOUR = """
SELECT count(*), coalesce(extract(epoch FROM min(moment) + interval '1 hour' - now()), 0)
FROM archive.analyses WHERE kind = 'solution' AND moment > now() - interval '1 hour'
    AND state IN ('done', 'failed')"""

_DISCARD = "INSERT INTO archive.discarded_previews VALUES (%s) ON CONFLICT DO NOTHING"
_DISCARDED = """
DELETE FROM archive.discarded_previews d
USING (SELECT sha256 FROM archive.discarded_previews LIMIT 1000 FOR UPDATE SKIP LOCKED) AS old
WHERE d.sha256 = old.sha256
RETURNING d.sha256, EXISTS (SELECT FROM archive.products p WHERE p.sha256 = d.sha256)"""
_REQUEUE = """
INSERT INTO archive.analysis_queue AS q (product_id)
SELECT product_id FROM archive.products WHERE sha256 = ANY (%s)
ON CONFLICT (product_id) DO UPDATE SET version = q.version + 1, due = now()"""

_LIST = """
SELECT p.path, a.kind, a.state, a.reason, a.moment
FROM archive.analyses a JOIN archive.products p USING (product_id)
WHERE a.state = ANY (%s) AND a.sha256 = p.sha256 ORDER BY a.moment DESC, p.path"""
_FORGET = """
WITH chosen AS (
    SELECT product_id FROM archive.products
    WHERE path = ANY (%(paths)s)
        OR EXISTS (SELECT FROM unnest(%(folders)s::text[]) AS f (folder) WHERE starts_with(path, folder))
), forgotten AS (DELETE FROM archive.analyses WHERE product_id IN (SELECT product_id FROM chosen))
INSERT INTO archive.analysis_queue AS q (product_id) SELECT product_id FROM chosen
ON CONFLICT (product_id) DO UPDATE SET version = q.version + 1, due = now(), attempts = 0"""


def take(connection: Connection, seconds: float) -> Item | None:
    """Take the newest product from the queue, for so long [s]; None where nothing is due."""
    with transaction(connection) as cursor:
        cursor.execute(_TAKE, (seconds,))
        row = cursor.fetchone()
    if row is None:
        return None
    path, size, modified, digest = row[3:7]
    tried = frozenset((kind, settings) for kind, _, settings in (text.partition(" ") for text in row[-1]))
    return Item(
        *(*row[:3], FileState(path, size, modified), bytes(digest), *row[7:19], tuple(row[19:22]), tried)
    )


def finish(connection: Connection, item: Item) -> None:
    """Take a product off the queue, unless it has changed since it was taken."""
    with transaction(connection) as cursor:
        cursor.execute(_FINISH, (item.product_id, item.version))


def postpone(connection: Connection, item: Item, seconds: float, *, counts: bool) -> None:
    """Leave a product in the queue for later [s]; `counts` tells whether this was an attempt."""
    with transaction(connection) as cursor:
        cursor.execute(_POSTPONE, (seconds, counts, item.product_id, item.version))


def sweep(connection: Connection, settings: Mapping[str, str]) -> int:
    """Queue every product that something is left to do for, and return how many that are.

    Args:
        connection: of the role ost_ingest.
        settings: digest by kind; solutions are not wanted where it has none of them.
    """
    digests = {kind: settings.get(kind, "") for kind in (PREVIEW, STATISTICS, SOLUTION)}
    with transaction(connection) as cursor:
        cursor.execute(_SWEEP, digests)
        return int(cursor.rowcount)


def record(connection: Connection, item: Item, outcomes: Sequence[Outcome]) -> None:
    """Write down what came of a product, unless its bytes have changed meanwhile."""
    with transaction(connection) as cursor:
        _record(cursor, item, outcomes)


def record_pixels(
    connection: Connection,
    item: Item,
    outcomes: Sequence[Outcome],
    statistics: PixelStatistics | None,
    doubts: Sequence[tuple[str, str]],
    *,
    is_dispersed: bool,
) -> None:
    """Write down what a look at the pixels brought, in place of what an earlier one did.

    Args:
        connection: of the role ost_ingest.
        item: the product.
        outcomes: of preview and statistics.
        statistics: None where there are none of such a file.
        doubts: (keyword, reason) of what contradicts the header.
        is_dispersed: whether the pixels make the product a spectrum.
    """
    with transaction(connection) as cursor:
        if not _record(cursor, item, outcomes):
            # Whoever removed the pictures of these bytes may have been here before they were made.
            cursor.execute(_DISCARD, (item.sha256,))
            return
        if statistics is None:
            cursor.execute(_FORGET_STATISTICS, (item.product_id,))
        else:
            values = [getattr(statistics, name) for name in PixelStatistics.__slots__]
            cursor.execute(_STATISTICS, (*values, is_dispersed, item.product_id, item.sha256))
        if is_dispersed != item.is_dispersed and not item.is_said:
            kind = _TAKE_FOR_SPECTRUM if is_dispersed else _TAKE_FOR_IMAGE
            cursor.execute(kind, (item.product_id, item.sha256))
        cursor.execute(_FORGET_REMARKS, (item.product_id, BY_PIXELS))
        for keyword, reason in doubts:
            cursor.execute(_REMARK, (keyword, BY_PIXELS + reason, item.product_id, item.sha256))


def record_solution(connection: Connection, item: Item, outcome: Outcome, found: Solution | None) -> None:
    """Write down what plate solving brought; a position goes to the product while its bytes are the same."""
    with transaction(connection) as cursor:
        _record(cursor, item, [outcome])
        if found is None:
            return
        columns = {name: getattr(found, name) for name in Solution.__slots__}
        cursor.execute(_PLACE, {**columns, "product_id": item.product_id, "sha256": item.sha256})
        if cursor.rowcount:
            look_again(cursor, [item.product_id])
            cursor.execute(_KEEP_HEADER, (item.product_id, item.sha256, found.header))


def reference_medians(connection: Connection, item: Item, kind: str) -> list[float]:
    """Return the medians of frames of a kind by the same camera in the same mode, the nearest in time."""
    parameters = {
        "kind": kind,
        "days": _REFERENCE_DAYS,
        "product_id": item.product_id,
        "most": _MOST_REFERENCES,
    }
    with transaction(connection) as cursor:
        cursor.execute(_REFERENCES, parameters)
        return [float(row[0]) for row in cursor.fetchall()]


def solving_pause(connection: Connection, per_hour: int) -> float:
    """Return how long to wait before the next plate solving [s]; 0 where fewer were made in the last hour."""
    with transaction(connection) as cursor:
        cursor.execute(_LAST_HOUR)
        row = cursor.fetchone()
    count, seconds = row or (0, 0)
    return max(1.0, float(seconds)) if count >= per_hour else 0.0


def take_discarded(connection: Connection) -> list[bytes]:
    """Return digests of bytes that no product has any more, once each, some at a time."""
    with transaction(connection) as cursor:
        cursor.execute(_DISCARDED)
        return [bytes(digest) for digest, is_used in cursor.fetchall() if not is_used]


def requeue_bytes(connection: Connection, digests: Sequence[bytes]) -> None:
    """Queue the products that have come to have some bytes, as their pictures may just have been removed."""
    with transaction(connection) as cursor:
        cursor.execute(_REQUEUE, (list(digests),))


def tried(connection: Connection, states: Sequence[str]) -> list[Tried]:
    """Return what is in those states, the newest first."""
    with transaction(connection) as cursor:
        cursor.execute(_LIST, (list(states),))
        return [Tried(*row) for row in cursor.fetchall()]


def forget(connection: Connection, paths: Sequence[Path]) -> int:
    """Queue products anew, as if nothing had been tried, and return how many.

    Args:
        connection: of the role ost_ingest.
        paths: of files and directories, relative to the data root; '.' is everything.
    """
    names = [path.as_posix() for path in paths]
    folders = ["" if name == "." else f"{name}/" for name in names]
    with transaction(connection) as cursor:
        cursor.execute(_FORGET, {"paths": names, "folders": folders})
        return int(cursor.rowcount)


def waiting(connection: Connection) -> int:
    """Return how many products are in the queue."""
    with transaction(connection) as cursor:
        cursor.execute("SELECT count(*) FROM archive.analysis_queue")
        row = cursor.fetchone()
        return int(row[0]) if row else 0


def _record(cursor: Cursor, item: Item, outcomes: Sequence[Outcome]) -> bool:
    """Write outcomes down; False where the product is gone or has other bytes."""
    rows = [(item.product_id, item.sha256, o.kind, o.settings, o.state, o.reason) for o in outcomes]
    execute_values(cursor, _RECORD, rows, template="(%s, %s::bytea, %s, %s, %s, %s)")
    return cursor.rowcount > 0
