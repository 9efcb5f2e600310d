"""A statement that a connection plans once can be the source of a COPY, which takes no prepared statement."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"

# The function runs with the rights of whoever calls it. A pool may give each transaction another session, so
# it looks whether the statement is there. The name stands for the text, which the session's plan belongs to.
PLANNED = """
CREATE FUNCTION context.planned(statement text, VARIADIC numbers float8[]) RETURNS SETOF record
    LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    prepared text := 'ost_' || md5(statement);
BEGIN
    IF NOT EXISTS (SELECT FROM pg_prepared_statements WHERE name = prepared) THEN
        EXECUTE format('PREPARE %I (%s) AS %s', prepared,
            array_to_string(array_fill('float8'::text, ARRAY[cardinality(numbers)]), ','), statement);
    END IF;
    RETURN QUERY EXECUTE format('EXECUTE %I (%s)', prepared, array_to_string(numbers, ','));
END
$$;
COMMENT ON FUNCTION context.planned(text, float8[]) IS
    'The rows of a statement that is planned once for a session, with numbers for $1, $2, ...';
REVOKE ALL ON FUNCTION context.planned(text, float8[]) FROM public;
GRANT EXECUTE ON FUNCTION context.planned(text, float8[]) TO adql;
"""


def upgrade() -> None:
    """Add the function."""
    op.execute(PLANNED)
