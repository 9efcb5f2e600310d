"""What administrators do to others' jobs goes into the audit log; events of files that are not as known."""

from alembic import op

revision = "0012"
down_revision = "0011"

# Owners' own changes come without a name, and leave no entry. The id of an anonymous job is its key: the log
# has its public name.
AUDIT = """
CREATE FUNCTION archive.write_job_audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    about jsonb := jsonb_build_object('kind', old.kind,
        'owner', (SELECT name FROM archive.users WHERE user_id = old.owner_id));
BEGIN
    INSERT INTO archive.audit (actor, action, subject, old_value, new_value, reason)
    VALUES (
        current_setting('ost.actor'),
        'jobs ' || lower(tg_op),
        CASE WHEN old.owner_id IS NULL THEN left(encode(sha256(old.job_id::bytea), 'hex'), 32)
            ELSE old.job_id END,
        about || jsonb_build_object('phase', old.phase, 'destruction', old.destruction),
        CASE WHEN tg_op = 'UPDATE'
            THEN about || jsonb_build_object('phase', new.phase, 'destruction', new.destruction) END,
        nullif(current_setting('ost.reason', true), ''));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION archive.write_job_audit() IS
    'Notes what somebody with a name (ost.actor) does to a job; the fate of a job is its owner''s alone else';
REVOKE EXECUTE ON FUNCTION archive.write_job_audit() FROM PUBLIC;
CREATE TRIGGER audit AFTER UPDATE OF phase, destruction OR DELETE ON archive.jobs FOR EACH ROW
    WHEN (nullif(current_setting('ost.actor', true), '') IS NOT NULL)
    EXECUTE FUNCTION archive.write_job_audit();
"""

# A function, so that the service, which meets the file, can add to the table and do nothing else to it.
EVENTS = """
CREATE TABLE archive.file_events (
    product_id bigint NOT NULL REFERENCES archive.products ON DELETE CASCADE,
    problem text NOT NULL CHECK (problem IN ('missing', 'changed', 'unreadable')),
    detail text NOT NULL,
    times bigint NOT NULL DEFAULT 1 CHECK (times > 0),
    first_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (product_id, problem)
);
COMMENT ON TABLE archive.file_events IS
    'Files that somebody asked for and that were not as the archive knows them, each problem once';
COMMENT ON COLUMN archive.file_events.times IS 'How often it was met';
CREATE FUNCTION archive.note_file_event(identifier text, problem text, detail text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO archive.file_events AS e (product_id, problem, detail)
    SELECT p.product_id, note_file_event.problem, note_file_event.detail
    FROM archive.products p WHERE p.obs_publisher_did = note_file_event.identifier
    ON CONFLICT ON CONSTRAINT file_events_pkey DO UPDATE
        SET times = e.times + 1, last_seen = clock_timestamp(), detail = excluded.detail;
END;
COMMENT ON FUNCTION archive.note_file_event(text, text, text) IS
    'Notes that the file of a product is missing, changed or unreadable; repeated events are counted';
REVOKE EXECUTE ON FUNCTION archive.note_file_event(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION archive.note_file_event(text, text, text) TO ost_web;
GRANT SELECT, DELETE ON archive.file_events TO ost_accounts, ost_ingest;
"""


def upgrade() -> None:
    """Create the log's trigger and the table of events."""
    for statements in (AUDIT, EVENTS):
        op.execute(statements)
