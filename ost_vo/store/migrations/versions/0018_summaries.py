"""What lists tell of runs is read from an index, and who asks is looked up once, not for every row."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"

# Each of the last five is used once, so that PostgreSQL puts the function's text into a statement whatever
# they are: settings, as in the views, or sub-selects. In a view a sub-select would keep the rows from being
# counted by several processes.
RULE = """
CREATE FUNCTION context.covers(
    privileges smallint, release_date timestamptz, project_id int, creator_id int,
    is_known bool, user_id int, scope_project_ids int[], member_project_ids int[], min_privileges int)
RETURNS bool LANGUAGE sql STABLE PARALLEL SAFE
    RETURN privileges = 5 OR coalesce(release_date <= now(), false)
        OR (privileges >= min_privileges AND (privileges = 4 OR (is_known AND (
            privileges = 3
            OR (privileges = 2 AND project_id = ANY (scope_project_ids))
            OR (privileges = 1 AND creator_id = user_id AND project_id = ANY (member_project_ids))))));
COMMENT ON FUNCTION context.covers IS 'The rule of context.in_scope for who asks and what is chosen';
GRANT EXECUTE ON FUNCTION context.covers TO ost_publisher, ost_accounts, adql;
CREATE OR REPLACE FUNCTION context.in_scope(
    privileges smallint, release_date timestamptz, project_id int, creator_id int)
RETURNS bool LANGUAGE sql STABLE PARALLEL SAFE
    RETURN context.covers(privileges, release_date, project_id, creator_id, context.user_id() > 0,
        context.user_id(), context.scope_project_ids(), context.member_project_ids(),
        context.min_privileges());
"""

# In place of one by run_id alone: the sums of a list of runs are read from it, and not from wide rows.
INDEX = """
DROP INDEX archive.products_run;
CREATE INDEX products_run ON archive.products (run_id)
    INCLUDE (privileges, release_date, project_id, creator_id, target_name, instrument_name, file_size,
        t_min, t_max, exposure_type, t_exptime);
"""


def upgrade() -> None:
    """Say the rule of the scope once for both, and widen the index."""
    op.execute(RULE)
    op.execute(INDEX)
