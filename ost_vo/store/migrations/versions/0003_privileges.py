"""People, what they may do, and the record of what they did: the whole access model of Astro-WISE."""

from alembic import op

revision = "0003"
down_revision = "0002"

PEOPLE = """
ALTER TABLE archive.users
    ADD password_hash text CHECK (password_hash LIKE '$argon2id$%'),
    ADD role text NOT NULL DEFAULT 'student' CHECK (role IN ('staff', 'supervisor', 'student')),
    ADD is_superuser bool NOT NULL DEFAULT false,
    ADD is_active bool NOT NULL DEFAULT true,
    ADD context_project_id int REFERENCES archive.projects ON DELETE SET NULL,
    ADD context_privileges smallint NOT NULL DEFAULT 1 CHECK (context_privileges BETWEEN 1 AND 5);
COMMENT ON COLUMN archive.users.password_hash IS
    'argon2id; NULL where nobody logs in with a password of ours, as for the watcher';
COMMENT ON COLUMN archive.users.context_project_id IS 'The current project; NULL covers all of the user''s';
COMMENT ON COLUMN archive.users.context_privileges IS 'The lowest level of the user''s data access scope';

CREATE TABLE archive.role_permissions (
    role text NOT NULL CHECK (role IN ('staff', 'supervisor', 'student')),
    permission text NOT NULL CHECK (permission ~ '^[a-z_]+$'),
    is_granted bool NOT NULL,
    PRIMARY KEY (role, permission)
);
COMMENT ON TABLE archive.role_permissions IS
    'What each role may do; rows come with the migration that brings a permission, and are never made again';

CREATE TABLE archive.sessions (
    digest bytea PRIMARY KEY CHECK (length(digest) = 32),
    user_id int NOT NULL REFERENCES archive.users ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    expires timestamptz NOT NULL
);
COMMENT ON COLUMN archive.sessions.digest IS 'SHA-256 of the cookie, which only its owner has';
CREATE INDEX sessions_user ON archive.sessions (user_id);
CREATE INDEX sessions_expires ON archive.sessions (expires);

CREATE TABLE archive.tokens (
    token_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id int NOT NULL REFERENCES archive.users ON DELETE CASCADE,
    name text NOT NULL CHECK (name <> ''),
    digest bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    scopes text[] NOT NULL CHECK (scopes <@ '{read,write,admin}' AND scopes <> '{}'),
    created timestamptz NOT NULL DEFAULT now(),
    expires timestamptz NOT NULL,
    revoked timestamptz,
    UNIQUE (user_id, name)
);
COMMENT ON COLUMN archive.tokens.digest IS 'SHA-256 of the token, which only its owner has';

CREATE TABLE archive.login_failures (
    account text NOT NULL,
    address text NOT NULL,
    moment timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE archive.login_failures IS
    'Passwords that were wrong, for throttling: accounts that do not exist are counted alike';
CREATE INDEX login_failures_account ON archive.login_failures (account, moment);
CREATE INDEX login_failures_address ON archive.login_failures (address, moment);
"""

MODEL = """
ALTER TABLE archive.projects ADD created timestamptz NOT NULL DEFAULT now(),
    ADD CHECK (max_privileges <= 4),
    -- In a URL, '-' is no project, and dots are other directories.
    ADD CHECK (name NOT IN ('-', '.', '..'));
COMMENT ON COLUMN archive.projects.max_privileges IS 'The highest level that a member may give an object';

CREATE TABLE archive.creation_scopes (
    directory text PRIMARY KEY
        CHECK (directory <> '' AND directory NOT LIKE '/%' AND directory NOT LIKE '%/'),
    project_id int NOT NULL REFERENCES archive.projects,
    creator_id int NOT NULL REFERENCES archive.users,
    privileges smallint NOT NULL CHECK (privileges BETWEEN 1 AND 5)
);
COMMENT ON TABLE archive.creation_scopes IS
    'What files below a directory of the data root are ingested as; the longest directory counts';

CREATE TABLE archive.deletions (
    path text PRIMARY KEY,
    product_id bigint NOT NULL,
    obs_publisher_did text NOT NULL,
    file_size bigint NOT NULL,
    file_modified timestamptz NOT NULL,
    sha256 bytea NOT NULL,
    moment timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE archive.deletions IS
    'Files of deleted products: they stay on disk, and are not ingested again while they do not change';

CREATE TABLE archive.audit (
    audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    moment timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    project text,
    old_value jsonb,
    new_value jsonb,
    reason text
);
COMMENT ON TABLE archive.audit IS 'Who changed what that decides over access: written by triggers alone';
COMMENT ON COLUMN archive.audit.actor IS 'Name of the user; or, in parentheses, the database role';
CREATE INDEX audit_subject ON archive.audit (subject, audit_id);
CREATE INDEX audit_actor ON archive.audit (actor, audit_id);
CREATE INDEX audit_project ON archive.audit (project, audit_id);
"""

# One function serves all tables, so that no path around it is left: not even a statement by hand. It runs as
# its owner, since those who cause an entry may not write entries. Secrets never get into the log.
AUDIT = """
CREATE FUNCTION archive.write_audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    watched text[] := tg_argv[0]::text[];
    old_row jsonb := CASE WHEN tg_op <> 'INSERT' THEN to_jsonb(old) END;
    new_row jsonb := CASE WHEN tg_op <> 'DELETE' THEN to_jsonb(new) END;
    full_row jsonb := coalesce(to_jsonb(new), to_jsonb(old));
    old_value jsonb;
    new_value jsonb;
    subject text;
    project text;
BEGIN
    IF new_row ->> 'password_hash' IS DISTINCT FROM old_row ->> 'password_hash' THEN
        new_row := new_row || '{"password": "new"}';
    END IF;
    SELECT jsonb_object_agg(k, old_row -> k) FILTER (WHERE old_row IS NOT NULL),
           jsonb_object_agg(k, new_row -> k) FILTER (WHERE new_row IS NOT NULL)
    INTO old_value, new_value
    FROM unnest(watched) AS w (k)
    WHERE old_row IS NULL OR new_row IS NULL OR old_row -> k IS DISTINCT FROM new_row -> k;
    IF tg_op = 'UPDATE' AND old_value IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT name INTO project FROM archive.projects WHERE project_id = (full_row ->> 'project_id')::int;
    IF full_row ? 'obs_publisher_did' THEN
        subject := full_row ->> 'obs_publisher_did';
    ELSIF full_row ? 'user_id' THEN
        SELECT name INTO subject FROM archive.users WHERE user_id = (full_row ->> 'user_id')::int;
        subject := coalesce(subject, full_row ->> 'name');
    ELSE
        subject := coalesce(full_row ->> 'name', full_row ->> 'directory', full_row ->> 'role');
    END IF;
    INSERT INTO archive.audit (actor, action, subject, project, old_value, new_value, reason)
    VALUES (
        coalesce(nullif(current_setting('ost.actor', true), ''), '(' || session_user || ')'),
        tg_table_name || ' ' || lower(tg_op),
        coalesce(subject, '?'), project, old_value, new_value,
        nullif(current_setting('ost.reason', true), ''));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION archive.write_audit() IS
    'Notes changes of the columns that its argument names; ost.actor and ost.reason say who and why';
CREATE TRIGGER audit AFTER UPDATE OF project_id, creator_id, privileges, is_valid, release_date OR DELETE
    ON archive.products FOR EACH ROW
    EXECUTE FUNCTION archive.write_audit('{path,project_id,creator_id,privileges,is_valid,release_date}');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON archive.project_members FOR EACH ROW
    EXECUTE FUNCTION archive.write_audit('{is_manager}');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON archive.projects FOR EACH ROW
    EXECUTE FUNCTION archive.write_audit('{name,description,instrument,is_public,max_privileges}');
CREATE TRIGGER audit
    AFTER INSERT OR UPDATE OF name, full_name, role, is_superuser, is_active, password_hash OR DELETE
    ON archive.users FOR EACH ROW
    EXECUTE FUNCTION archive.write_audit('{name,full_name,role,is_superuser,is_active,password}');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON archive.creation_scopes FOR EACH ROW
    EXECUTE FUNCTION archive.write_audit('{directory,creator_id,privileges}');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OF scopes, expires, revoked OR DELETE ON archive.tokens
    FOR EACH ROW EXECUTE FUNCTION archive.write_audit('{name,scopes,expires,revoked}');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON archive.role_permissions FOR EACH ROW
    EXECUTE FUNCTION archive.write_audit('{role,permission,is_granted}');
"""

# Two transactions that each add half of a cycle would not see each other: the lock keeps them apart.
LINEAGE = """
CREATE FUNCTION archive.check_lineage() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('archive.lineage'));
    IF EXISTS (
        WITH RECURSIVE ancestors AS (
            SELECT new.progenitor_id AS id
            UNION
            SELECT l.progenitor_id FROM archive.lineage l JOIN ancestors a ON l.product_id = a.id)
        SELECT FROM ancestors WHERE id = new.product_id)
    THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'lineage_cycle',
            MESSAGE = format('%s would be made from itself, by way of %s',
                (SELECT obs_publisher_did FROM archive.products WHERE product_id = new.product_id),
                (SELECT obs_publisher_did FROM archive.products WHERE product_id = new.progenitor_id));
    END IF;
    RETURN new;
END
$$;
COMMENT ON FUNCTION archive.check_lineage() IS 'Refuses a product that is made from itself, however far back';
CREATE TRIGGER no_cycle BEFORE INSERT OR UPDATE ON archive.lineage FOR EACH ROW
    EXECUTE FUNCTION archive.check_lineage();
"""

# The functions of the first migration anew: PostgreSQL has parsed such bodies already, so queries are planned
# sooner; and each setting is read as rarely as can be, since that happens for every row.
CONTEXT = """
CREATE OR REPLACE FUNCTION context.user_id() RETURNS int LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(nullif(current_setting('ost.user_id', true), ''), '0')::int;
CREATE OR REPLACE FUNCTION context.scope_project_ids() RETURNS int[] LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(nullif(current_setting('ost.scope_project_ids', true), ''), '{}')::int[];
CREATE OR REPLACE FUNCTION context.member_project_ids() RETURNS int[] LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(nullif(current_setting('ost.member_project_ids', true), ''), '{}')::int[];
CREATE OR REPLACE FUNCTION context.min_privileges() RETURNS int LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(nullif(current_setting('ost.min_privileges', true), ''), '1')::int;
CREATE OR REPLACE FUNCTION context.in_vo_scope(
    privileges smallint, release_date timestamptz, project_id int, creator_id int)
RETURNS bool LANGUAGE sql STABLE PARALLEL SAFE
    RETURN privileges = 5 OR coalesce(release_date <= now(), false)
        OR (context.user_id() > 0 AND privileges >= context.min_privileges() AND (
            privileges >= 3
            OR (privileges = 2 AND project_id = ANY (context.scope_project_ids()))
            OR (privileges = 1 AND creator_id = context.user_id()
                AND project_id = ANY (context.member_project_ids()))));
CREATE OR REPLACE FUNCTION context.in_scope(
    privileges smallint, release_date timestamptz, project_id int, creator_id int)
RETURNS bool LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (privileges = 4 AND context.min_privileges() <= 4)
        OR context.in_vo_scope(privileges, release_date, project_id, creator_id);
CREATE FUNCTION context.project_in_scope(project_id int, is_public bool)
RETURNS bool LANGUAGE sql STABLE PARALLEL SAFE
    RETURN is_public OR project_id = ANY (context.member_project_ids());
CREATE FUNCTION context.base_url() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('ost.base_url', true), '');
COMMENT ON FUNCTION context.project_in_scope IS 'Who learns of a project: of a private one, its members';
COMMENT ON FUNCTION context.base_url() IS
    'What URLs in rows begin with, where the client came in through the prefix of a context';
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA context TO ost_publisher, adql;

-- Counts and groups by what decides over access need not read the wide rows. Joins that a query does not use
-- vanish from its plan, but the columns that they are on are still asked for.
CREATE INDEX products_scope ON archive.products
    (privileges, project_id, creator_id, run_id, target_id, is_valid, missing_since, release_date);
-- The calibration frames of a camera around a night.
CREATE INDEX products_calibration ON archive.products (instrument_name, exposure_type, t_min)
    WHERE exposure_type IN ('bias', 'dark', 'flat');
"""

GRANTS = """
GRANT USAGE ON SCHEMA archive, context TO ost_accounts;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA context TO ost_accounts;
GRANT SELECT, INSERT, UPDATE, DELETE ON archive.users, archive.sessions, archive.tokens,
    archive.login_failures, archive.projects, archive.project_members, archive.role_permissions,
    archive.creation_scopes, archive.lineage, archive.deletions TO ost_accounts;
GRANT SELECT, DELETE, UPDATE (project_id, privileges, is_valid, release_date)
    ON archive.products TO ost_accounts;
GRANT SELECT, DELETE ON archive.headers, archive.discrepancies TO ost_accounts;
GRANT SELECT ON archive.audit, archive.runs, archive.site TO ost_accounts;
GRANT SELECT ON archive.lineage, archive.headers TO ost_publisher;
REVOKE SELECT ON archive.users, archive.sessions, archive.tokens, archive.login_failures, archive.audit
    FROM ost_ingest, ost_publisher;
GRANT SELECT (user_id, name, full_name) ON archive.users TO ost_ingest, ost_publisher;
REVOKE INSERT ON archive.users FROM ost_ingest;
GRANT INSERT (name) ON archive.users TO ost_ingest;
GRANT SELECT ON archive.creation_scopes, archive.deletions TO ost_ingest;
GRANT UPDATE (file_modified), DELETE ON archive.deletions TO ost_ingest;
"""

PERMISSIONS = {
    "staff": """users_view admin_audit_log_view
        objects_view_private objects_edit objects_merge objects_delete
        runs_edit runs_delete runs_publish tags_manage
        jobs_view_all jobs_cancel_any jobs_ttl_modify
        maintenance_cleanup maintenance_reconcile maintenance_orphans
        banner_manage system_health_view system_settings_view
        datafiles_plate_solve datafiles_reevaluate datafiles_clear_overrides datafiles_exposure_type_user
        datafiles_spectrograph datafiles_link_object datafiles_unlink_object
        run_datafiles_bulk_admin runs_aux_objects_admin
        run_detail_clear_overrides run_detail_edit_obs_type run_detail_edit_notes run_detail_edit_tags
        object_detail_edit_basic object_detail_edit_notes object_detail_edit_tags
        object_simbad_reanalyze object_admin_edit object_simbad_identifiers object_delete_aliases
        projects_manage""",
    "supervisor": """users_view admin_audit_log_view objects_view_private objects_edit objects_merge
        runs_edit runs_publish tags_manage jobs_view_all system_health_view""",
    "student": "users_view system_health_view",
}
# No role has these by default.
UNGRANTED = "users_edit_roles users_delete"


def upgrade() -> None:
    """Create the tables, their triggers and grants, and give the roles their first permissions."""
    for statements in (PEOPLE, MODEL, LINEAGE, CONTEXT, GRANTS):
        op.execute(statements)
    permissions = sorted({*PERMISSIONS["staff"].split(), *UNGRANTED.split()})
    for role, granted in PERMISSIONS.items():
        for permission in permissions:
            is_granted = "true" if permission in granted.split() else "false"
            op.execute(
                f"INSERT INTO archive.role_permissions VALUES ('{role}', '{permission}', {is_granted})"  # noqa: S608
            )
    # Last, so that the log begins with what people do.
    op.execute(AUDIT)
