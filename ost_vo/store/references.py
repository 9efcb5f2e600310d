"""What files name as their progenitors, and the lineage that it becomes.

A reference is a path or a name as a file has it. It is looked for as a path, whose beginning may be of
another machine, then by its name in the directory of the file that names it, in the run, in the archive. What
fits in the nearest of these counts, if it is one product; several are a discrepancy and never a guess. A file
is known by its name with or without the suffix of packing, and without any where the reference has none.

What cannot be found waits. Every batch of files is held against what waits, so the lineage depends on what
the archive holds and not on the order in which it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from psycopg2.extensions import cursor as Cursor

Reference = tuple[int, str]  # key of the product that names, what it names

# The levels from which on a product may rest only on what everybody in the archive sees.
_ARCHIVE_LEVEL = 3
_MOST_CANDIDATES = 20

# Of two batches at once, the later has to see the names of the earlier, and the other way round.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('archive.product_references'))"
_REPLACE = """
WITH new AS (
    SELECT DISTINCT id, reference
    FROM unnest(%(ids)s::bigint[], %(references)s::text[]) AS n (id, reference)),
gone AS (
    DELETE FROM archive.product_references r
    WHERE r.product_id = ANY (%(batch)s::bigint[]) AND NOT r.is_listed
        AND NOT EXISTS (SELECT FROM new n WHERE n.id = r.product_id AND n.reference = r.reference)
    RETURNING r.product_id),
added AS (
    INSERT INTO archive.product_references (product_id, reference) SELECT id, reference FROM new
    ON CONFLICT DO NOTHING),
arrived AS (
    SELECT run_id, archive.file_stem(path) AS file_stem FROM archive.products
    WHERE product_id = ANY (%(batch)s::bigint[]))
SELECT id, reference FROM new n
WHERE NOT EXISTS (SELECT FROM archive.product_references r
    WHERE r.product_id = n.id AND r.reference = n.reference AND r.is_revoked)
UNION SELECT product_id, NULL FROM gone
UNION
SELECT r.product_id, r.reference
FROM arrived a
    JOIN archive.product_references r ON r.file_stem = a.file_stem
    JOIN archive.products p ON p.product_id = r.product_id
WHERE NOT r.is_revoked AND r.product_id <> ALL (%(batch)s::bigint[])
    -- What was found nearer than the file that came stays.
    AND (r.progenitor_id IS NULL OR r.scope = 'archive'
        OR (r.scope <> 'path' AND (a.run_id = p.run_id OR r.reference LIKE '%%/%%')))
"""

_LISTED = """
SELECT p.path, p.product_id, coalesce(array_agg(r.reference) FILTER (WHERE r.is_listed), '{}'),
    coalesce(array_agg(r.reference) FILTER (WHERE NOT r.is_listed), '{}')
FROM archive.products p LEFT JOIN archive.product_references r USING (product_id)
WHERE p.path = ANY (%s) GROUP BY p.product_id
"""
_FORGET_LISTED = """
DELETE FROM archive.product_references r
USING unnest(%(ids)s::bigint[], %(references)s::text[]) AS g (id, name)
WHERE r.product_id = g.id AND r.reference = g.name
"""
_ADD_LISTED = """
INSERT INTO archive.product_references (product_id, reference, is_listed)
SELECT id, name, true FROM unnest(%(ids)s::bigint[], %(references)s::text[]) AS n (id, name)
ON CONFLICT DO NOTHING
"""
_REMARK = """
INSERT INTO archive.discrepancies (product_id, keyword, reason)
SELECT product_id, keyword, reason
FROM unnest(%s::text[], %s::text[], %s::text[]) AS d (path, keyword, reason)
    JOIN archive.products USING (path)
ON CONFLICT DO NOTHING
"""

_WAITING = """
SELECT product_id, reference FROM archive.product_references
WHERE progenitor_id IS NULL AND NOT is_revoked ORDER BY product_id, reference
"""

# How a product that a reference may mean is looked for, the nearest first. An observation's identifier is its
# path without suffixes, and has an index.
_SCOPES = {
    "path": "n.is_path AND c.obs_id = ANY (archive.observations_named(n.directory, n.reference))",
    "directory": "c.obs_id = n.directory || n.file_stem",
    "run": "archive.file_stem(c.path) = n.file_stem AND c.run_id = n.run_id",
    "archive": "archive.file_stem(c.path) = n.file_stem",
}
_PACKING = "'[.](gz|bz2|z|fz)$', '', 'i'"
# The creator of a product vouches for what it was made from, so it is looked for in what that user may see.
_CANDIDATES = """
WITH named AS MATERIALIZED (
    SELECT r.product_id, r.reference, r.file_stem, p.run_id, p.project_id, p.creator_id,
        regexp_replace(p.path, '[^/]*$', '') AS directory,
        r.reference LIKE '%%/%%' AS is_path,
        substring(r.reference FROM '[^/]*$') AS name,
        regexp_replace(substring(r.reference FROM '[^/]*$'), {packing}) AS unpacked
    FROM unnest(%(ids)s::bigint[], %(references)s::text[]) AS w (id, reference)
        JOIN archive.product_references r ON r.product_id = w.id AND r.reference = w.reference
        JOIN archive.products p ON p.product_id = r.product_id),
candidates AS (
    SELECT n.product_id, n.reference, c.product_id AS progenitor_id, c.privileges,
        dense_rank() OVER (PARTITION BY n.product_id, n.reference
            ORDER BY substring(c.path FROM '[^/]*$') <> n.name) AS nearness
    FROM named n CROSS JOIN LATERAL (
        SELECT c.product_id, c.path, c.privileges
        FROM archive.products c JOIN archive.projects j ON j.project_id = c.project_id
        WHERE {condition} AND c.product_id <> n.product_id
            AND (n.unpacked = n.file_stem
                OR regexp_replace(substring(c.path FROM '[^/]*$'), {packing}) = n.unpacked)
            AND (c.privileges >= {archive_level} OR coalesce(c.release_date <= now(), false)
                OR ((c.privileges = 2 OR c.creator_id = n.creator_id)
                    AND (c.project_id = n.project_id OR j.is_public OR EXISTS (
                        SELECT FROM archive.project_members m
                        WHERE m.project_id = c.project_id AND m.user_id = n.creator_id))))
        -- Two would do to see that it is several; there are few of one name but packed differently.
        LIMIT {most}) c)
SELECT product_id, reference, count(*), min(progenitor_id), min(privileges)
FROM candidates WHERE nearness = 1 GROUP BY product_id, reference
"""

_NOTE = """
UPDATE archive.product_references r SET progenitor_id = f.progenitor_id, scope = f.scope
FROM unnest(%(ids)s::bigint[], %(references)s::text[], %(progenitors)s::bigint[], %(scopes)s::text[])
    AS f (product_id, reference, progenitor_id, scope)
WHERE r.product_id = f.product_id AND r.reference = f.reference
    AND (r.progenitor_id, r.scope) IS DISTINCT FROM (f.progenitor_id, f.scope)
"""
_LEVELS = "SELECT product_id, privileges FROM archive.products WHERE product_id = ANY (%s::bigint[])"
_UNLINK = """
DELETE FROM archive.lineage l
WHERE l.source = 'file' AND l.product_id = ANY (%(products)s::bigint[])
    AND NOT EXISTS (SELECT FROM archive.product_references r
        WHERE r.product_id = l.product_id AND r.progenitor_id = l.progenitor_id AND NOT r.is_revoked)
"""
_LINK = """
INSERT INTO archive.lineage (product_id, progenitor_id, source)
SELECT DISTINCT r.product_id, r.progenitor_id, 'file' FROM archive.product_references r
WHERE r.product_id = ANY (%(products)s::bigint[]) AND r.progenitor_id IS NOT NULL AND NOT r.is_revoked
    AND NOT EXISTS (SELECT FROM archive.lineage l
        WHERE l.product_id = r.product_id AND l.progenitor_id = r.progenitor_id)
ORDER BY r.product_id, r.progenitor_id
ON CONFLICT DO NOTHING
"""
_FORGET_DOUBTS = """
DELETE FROM archive.discrepancies d USING unnest(%s::bigint[], %s::text[]) AS f (id, beginning)
WHERE d.product_id = f.id AND d.keyword = 'PROGENITOR' AND starts_with(d.reason, f.beginning)
"""
_DOUBT = """
INSERT INTO archive.discrepancies (product_id, keyword, reason)
SELECT id, 'PROGENITOR', reason FROM unnest(%s::bigint[], %s::text[]) AS d (id, reason) ON CONFLICT DO NOTHING
"""
_WHERE = {
    "path": "at that path",
    "directory": "in its directory",
    "run": "in its run",
    "archive": "in the archive",
}

_UNFOUND = """
SELECT p.path, r.reference FROM archive.product_references r JOIN archive.products p USING (product_id)
WHERE r.progenitor_id IS NULL AND NOT r.is_revoked ORDER BY p.path, r.reference
"""


@dataclass(frozen=True, slots=True)
class _Found:
    """What a reference was found to mean: a product in a scope, or nothing, and why not."""

    progenitor_id: int | None = None
    scope: str | None = None
    doubt: str | None = None


def write(cursor: Cursor, references: Sequence[tuple[int, Sequence[str]]]) -> None:
    """Write down what the files of a batch name, once a batch and in its transaction.

    What waited for one of these files is found by it. What somebody said of a lineage by hand stays.

    Args:
        cursor: of the batch's transaction.
        references: (product_id, names or paths of its progenitors as the file has them), of every product of
            the batch, also of those that name none.
    """
    named = [(product_id, name) for product_id, names in references for name in names]
    cursor.execute(_LOCK)
    cursor.execute(_REPLACE, {**_arrays(named), "batch": [product_id for product_id, _ in references]})
    rows = cursor.fetchall()
    if rows:
        _resolve(cursor, [(i, name) for i, name in rows if name is not None], {i for i, _ in rows})


def write_listed(
    cursor: Cursor, lists: Mapping[str, Sequence[str]], remarks: Sequence[tuple[str, tuple[str, str]]] = ()
) -> None:
    """Write down what lists beside files name, in place of what they named before.

    Args:
        cursor: of a transaction.
        lists: paths of files to names or paths of their progenitors; files that are no products are left out.
        remarks: (path of the file, (keyword, reason)) of what is wrong with the lists.
    """
    cursor.execute(_LOCK)
    cursor.execute(_LISTED, (list(lists),))
    gone: list[Reference] = []
    new: list[Reference] = []
    for path, product_id, listed, of_header in cursor.fetchall():
        names = dict.fromkeys(lists[path])
        gone += [(product_id, name) for name in listed if name not in names]
        new += [(product_id, name) for name in names if name not in listed and name not in of_header]
    if gone or new:
        cursor.execute(_FORGET_LISTED, _arrays(gone))
        _forget_doubts(cursor, gone)
        cursor.execute(_ADD_LISTED, _arrays(new))
        _resolve(cursor, new, {product_id for product_id, _ in (*gone, *new)})
    if remarks:
        columns = ([path for path, _ in remarks], *zip(*(remark for _, remark in remarks), strict=True))
        cursor.execute(_REMARK, [list(column) for column in columns])


def resolve_waiting(cursor: Cursor) -> tuple[int, int]:
    """Look once more for all that waits, as after a change of levels: (found, still waiting)."""
    cursor.execute(_LOCK)
    cursor.execute(_WAITING)
    waiting: list[Reference] = cursor.fetchall()
    _resolve(cursor, waiting, {product_id for product_id, _ in waiting})
    cursor.execute(_WAITING)
    return len(waiting) - cursor.rowcount, cursor.rowcount


def waiting(cursor: Cursor) -> list[tuple[str, str]]:
    """Return (path of the file that names, what it names) of all references that are not found."""
    cursor.execute(_UNFOUND)
    return cursor.fetchall()


def _resolve(cursor: Cursor, references: Sequence[Reference], products: Iterable[int]) -> None:
    """Find what references mean, and have the lineage of products follow."""
    touched = sorted(products)
    cursor.execute(_LEVELS, (touched,))
    found = _find(cursor, references, dict(cursor.fetchall()))
    keys = list(found)
    results = {
        "progenitors": [found[key].progenitor_id for key in keys],
        "scopes": [found[key].scope for key in keys],
    }
    cursor.execute(_NOTE, {**_arrays(keys), **results})
    cursor.execute(_UNLINK, {"products": touched})
    cursor.execute(_LINK, {"products": touched})
    _forget_doubts(cursor, keys)
    doubts = [(key[0], result.doubt) for key, result in found.items() if result.doubt]
    if doubts:
        cursor.execute(_DOUBT, ([i for i, _ in doubts], [reason for _, reason in doubts]))


def _find(cursor: Cursor, references: Sequence[Reference], levels: dict[int, int]) -> dict[Reference, _Found]:
    """Return what each reference means, looking farther away only for what is not found near by."""
    found: dict[Reference, _Found] = {}
    left = list(dict.fromkeys(references))
    for scope, condition in _SCOPES.items():
        if not left:
            break
        query = _CANDIDATES.format(
            condition=condition, packing=_PACKING, archive_level=_ARCHIVE_LEVEL, most=_MOST_CANDIDATES
        )
        cursor.execute(query, _arrays(left))
        for product_id, reference, count, progenitor_id, level in cursor.fetchall():
            found[product_id, reference] = _judged(
                reference, scope, count, progenitor_id, is_below=level < _ARCHIVE_LEVEL <= levels[product_id]
            )
        left = [key for key in left if key not in found]
    return found | dict.fromkeys(left, _Found())


def _forget_doubts(cursor: Cursor, references: Sequence[Reference]) -> None:
    """Take back what was doubtful about references; each doubt begins with the reference."""
    cursor.execute(_FORGET_DOUBTS, ([i for i, _ in references], [f"{name!r} " for _, name in references]))


def _judged(reference: str, scope: str, count: int, progenitor_id: int, *, is_below: bool) -> _Found:
    if count > 1:
        return _Found(doubt=f"{reference!r} fits several files {_WHERE[scope]}: left open.")
    if is_below:
        reason = f"{reference!r} is below level 3, and this product is not: publish it first."
        return _Found(doubt=reason)
    return _Found(progenitor_id, scope)


def _arrays(references: Sequence[Reference]) -> dict[str, list[int] | list[str]]:
    return {"ids": [i for i, _ in references], "references": [name for _, name in references]}
