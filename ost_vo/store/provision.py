"""What only the database's superuser can do: roles, extension, and the marks that let views use indexes."""

from __future__ import annotations

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

# None of these owns the archive but ost_owner. Only ost_ingest writes products; ost_accounts changes who may
# see them, and is the only one that reads the hashes of passwords and tokens. The adql role logs in because
# DaCHS queries as it; the service becomes it for every query, and ost_lists for the lists of its pages: what
# adql reads, and the tables from which the keys of a page are picked in their order.
ROLES = {
    "ost_owner": "LOGIN",
    "ost_ingest": "LOGIN",
    "ost_accounts": "LOGIN",
    "ost_publisher": "LOGIN CREATEROLE",
    "ost_dachs": "LOGIN",
    "adql": "LOGIN",
    "ost_lists": "NOLOGIN",
    "ost_web": "LOGIN NOINHERIT",
}

# What a statement may take that nobody has given another limit: the transactions of queries bring their own,
# and these are for the small ones around them. To publish many files at once takes longest [s].
STATEMENT_SECONDS = {"ost_web": 60, "ost_accounts": 600}

# PostgreSQL evaluates a condition inside a security_barrier view, where an index can serve it, only when the
# condition's function is LEAKPROOF. These compare positions and regions. In pg_sphere's source as of November
# 2021, which Debian packages, all of them are arithmetic without side effects (point.c, circle.c, line.c,
# polygon.c, euler.c), and no error text on these paths holds a value: spoly_contains_point alone can fail,
# with a fixed text, after 10,000 random rotations.
LEAKPROOF = (
    "spoint_contained_by_circle(spoint, scircle)",
    "spoint_contained_by_circle_com(scircle, spoint)",
    "spoly_contains_point(spoly, spoint)",
    "spoly_contains_point_com(spoint, spoly)",
    "spoly_overlap_circle(spoly, scircle)",
    "spoly_overlap_circle_com(scircle, spoly)",
    "spoly_overlap_polygon(spoly, spoly)",
    "spoly_contains_circle(spoly, scircle)",
    "spoly_contains_circle_com(scircle, spoly)",
    "scircle_contains_polygon(scircle, spoly)",
    "scircle_contains_polygon_com(spoly, scircle)",
    "spoly_contains_polygon(spoly, spoly)",
    "spoly_contains_polygon_com(spoly, spoly)",
)

# pg_sphere leaves all its functions PARALLEL UNSAFE, and one such function keeps PostgreSQL from reading any
# table of the query with several processes, as joins with uploads do. Read for this, in the same source:
# point.c, circle.c, polygon.c, line.c, euler.c and vector3d.c hold no variable of file scope and no static
# one of a function. rand(), which spoly_contains_point seeds itself, and the cache of the last key of an
# index (gq_cache.c) are the process's own. The state of the output functions (output.c) and of the parser
# (sbuffer.c) is not for these functions.
PARALLEL_SAFE = (
    *LEAKPROOF,
    "spoint(float8, float8)",
    "long(spoint)",
    "lat(spoint)",
    "x(spoint)",
    "y(spoint)",
    "z(spoint)",
    "scircle(spoint, float8)",
    "center(scircle)",
    "radius(scircle)",
    "spoint_equal(spoint, spoint)",
    "dist(spoint, spoint)",
    "scircle_overlap(scircle, scircle)",
)


def provision(connection: Connection, database: str) -> None:
    """Prepare a database for the migrations; may be run again at any time.

    Args:
        connection: a superuser's connection to that database.
        database: its name.
    """
    with connection, connection.cursor() as cursor:
        _create_roles(cursor, database)
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_sphere")
        for function in LEAKPROOF:
            cursor.execute(f"ALTER FUNCTION {function} LEAKPROOF")
        for function in PARALLEL_SAFE:
            cursor.execute(f"ALTER FUNCTION {function} PARALLEL SAFE")
        # set_config is how the service says who asks: a query must not be able to say it, too.
        cursor.execute("REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, bool) FROM PUBLIC")
        cursor.execute(
            "GRANT EXECUTE ON FUNCTION pg_catalog.set_config(text, text, bool)"
            " TO ost_web, ost_publisher, ost_accounts"
        )
        cursor.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        for schema in ("archive", "context"):
            cursor.execute(
                sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION ost_owner").format(
                    sql.Identifier(schema)
                )
            )


def _create_roles(cursor: psycopg2.extensions.cursor, database: str) -> None:
    for role, attributes in ROLES.items():
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))
        if not cursor.fetchone():
            cursor.execute(sql.SQL("CREATE ROLE {} " + attributes).format(sql.Identifier(role)))
    for role, seconds in STATEMENT_SECONDS.items():
        cursor.execute(
            sql.SQL("ALTER ROLE {} SET statement_timeout = {}").format(
                sql.Identifier(role), sql.Literal(f"{seconds}s")
            )
        )
    # What other roles' sessions and the replicas are doing: for the page of health, doctor and metrics.
    cursor.execute("GRANT pg_read_all_stats TO ost_owner")
    cursor.execute("GRANT adql TO ost_lists")
    cursor.execute("GRANT adql, ost_lists TO ost_web")
    name = sql.Identifier(database)
    cursor.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO ost_publisher").format(name))
    cursor.execute(sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(name))
    # For uploads, which it loads before it becomes adql.
    # And for what a comparison with the disk finds gone.
    cursor.execute(sql.SQL("GRANT TEMPORARY ON DATABASE {} TO ost_web, ost_ingest").format(name))
