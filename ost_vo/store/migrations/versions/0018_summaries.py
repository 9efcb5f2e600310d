"""What lists tell of runs is read from an index, and who asks is looked up once, not for every row.

Of changes of what anybody sees, those are told apart after which somebody may see less.
"""

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

# After a change that shows nobody less, what was counted before may still be told.
NARROWING = """
ALTER TABLE archive.coverage_changes ADD is_narrowing bool NOT NULL DEFAULT true;
COMMENT ON COLUMN archive.coverage_changes.is_narrowing IS 'Whether somebody may see less after the change';
CREATE OR REPLACE FUNCTION archive.note_coverage_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO archive.coverage_changes (is_narrowing) VALUES (tg_argv[0] = 'narrowing');
    RETURN NULL;
END
$$;
DROP TRIGGER coverage_change ON archive.products;
CREATE TRIGGER coverage_change AFTER INSERT
    OR UPDATE OF missing_since, s_ra, s_dec, s_fov, s_region, region, t_min, t_max, em_min, em_max
    ON archive.products FOR EACH STATEMENT EXECUTE FUNCTION archive.note_coverage_change('growth');
CREATE TRIGGER narrowing AFTER DELETE OR TRUNCATE
    OR UPDATE OF privileges, release_date, project_id, creator_id, is_valid
    ON archive.products FOR EACH STATEMENT EXECUTE FUNCTION archive.note_coverage_change('narrowing');
CREATE FUNCTION archive.narrowing_state() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
    RETURN coalesce((SELECT bit_xor(token) FROM archive.coverage_changes WHERE is_narrowing), 0)::text;
COMMENT ON FUNCTION archive.narrowing_state() IS 'Another text whenever somebody may see less than before';
REVOKE EXECUTE ON FUNCTION archive.narrowing_state() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION archive.narrowing_state() TO ost_web;
"""


def upgrade() -> None:
    """Say the rule of the scope once for both, widen the index, and tell changes apart."""
    for statements in (RULE, INDEX, NARROWING):
        op.execute(statements)
