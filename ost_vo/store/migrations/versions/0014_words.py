"""What people write down: tags, notes and the state of reduction of runs and targets, and the banner."""

from alembic import op

revision = "0014"
down_revision = "0013"

WORDS = """
CREATE TABLE archive.tags (
    tag_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- A comma parts the names where a view lists them.
    name text NOT NULL UNIQUE CHECK (name ~ '^[^,[:cntrl:]]{1,64}$' AND name = btrim(name)),
    colour text NOT NULL DEFAULT '#777777' CHECK (colour ~ '^#[0-9a-f]{6}$'),
    description text NOT NULL DEFAULT '' CHECK (length(description) <= 1000)
);
COMMENT ON TABLE archive.tags IS 'Words of the observatory for runs and targets';

CREATE TABLE archive.run_tags (
    run_id int NOT NULL REFERENCES archive.runs ON DELETE CASCADE,
    tag_id int NOT NULL REFERENCES archive.tags ON DELETE CASCADE,
    PRIMARY KEY (run_id, tag_id)
);
CREATE INDEX run_tags_tag ON archive.run_tags (tag_id);

CREATE TABLE archive.target_tags (
    target_id int NOT NULL REFERENCES archive.targets ON DELETE CASCADE,
    tag_id int NOT NULL REFERENCES archive.tags ON DELETE CASCADE,
    PRIMARY KEY (target_id, tag_id)
);
CREATE INDEX target_tags_tag ON archive.target_tags (tag_id);

ALTER TABLE archive.runs
    ADD note text NOT NULL DEFAULT '' CHECK (length(note) <= 10000),
    ADD reduction_status text NOT NULL DEFAULT 'not'
        CHECK (reduction_status IN ('not', 'partly', 'fully', 'error')),
    ADD photometry bool NOT NULL DEFAULT false,
    ADD spectroscopy bool NOT NULL DEFAULT false;
COMMENT ON COLUMN archive.runs.reduction_status IS 'Whether its data are reduced, as people say';
ALTER TABLE archive.targets ADD note text NOT NULL DEFAULT '' CHECK (length(note) <= 10000);

CREATE TABLE archive.banner (
    only_row bool PRIMARY KEY DEFAULT true CHECK (only_row),
    name text NOT NULL DEFAULT 'banner' CHECK (name = 'banner'),
    message text NOT NULL CHECK (message <> '' AND length(message) <= 2000),
    severity text NOT NULL CHECK (severity IN ('info', 'warning', 'error')),
    since timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE archive.banner IS 'What every page says at its top; no row says nothing';
COMMENT ON COLUMN archive.banner.name IS 'By which the audit log calls it';
"""

AUDIT = """
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON archive.tags FOR EACH ROW
    EXECUTE FUNCTION archive.write_audit('{name,colour,description}');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON archive.banner FOR EACH ROW
    EXECUTE FUNCTION archive.write_audit('{message,severity}');
CREATE TRIGGER audit AFTER UPDATE OF note, reduction_status, photometry, spectroscopy ON archive.runs
    FOR EACH ROW EXECUTE FUNCTION archive.write_audit('{note,reduction_status,photometry,spectroscopy}');
CREATE TRIGGER audit_note AFTER UPDATE OF note ON archive.targets
    FOR EACH ROW EXECUTE FUNCTION archive.write_audit('{note}');

CREATE FUNCTION archive.write_tag_audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tagged jsonb := coalesce(to_jsonb(new), to_jsonb(old));
    tag jsonb;
    subject text;
    project text;
BEGIN
    IF tagged ? 'tag_id' THEN
        SELECT jsonb_build_object('tag', name) INTO tag FROM archive.tags
        WHERE tag_id = (tagged ->> 'tag_id')::int;
    END IF;
    IF tg_table_name = 'discrepancies' THEN
        SELECT p.obs_publisher_did, j.name INTO subject, project
        FROM archive.products p JOIN archive.projects j ON j.project_id = p.project_id
        WHERE product_id = (tagged ->> 'product_id')::bigint;
        tag := tagged - 'product_id';
    ELSIF tg_table_name = 'run_tags' THEN
        SELECT r.name, j.name INTO subject, project
        FROM archive.runs r LEFT JOIN archive.projects j ON j.project_id = r.project_id
        WHERE run_id = (tagged ->> 'run_id')::int;
    ELSE
        SELECT name INTO subject FROM archive.targets WHERE target_id = (tagged ->> 'target_id')::int;
    END IF;
    INSERT INTO archive.audit (actor, action, subject, project, old_value, new_value, reason)
    VALUES (
        coalesce(nullif(current_setting('ost.actor', true), ''), '(' || session_user || ')'),
        tg_table_name || ' ' || lower(tg_op), coalesce(subject, '?'), project,
        CASE WHEN tg_op = 'DELETE' THEN tag END, CASE WHEN tg_op = 'INSERT' THEN tag END,
        nullif(current_setting('ost.reason', true), ''));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION archive.write_tag_audit() IS
    'Notes which tags a run or a target gets and loses, and which doubts people strike out';
-- Those of a tag, a run or a target that goes go with it: that has an entry of its own.
CREATE TRIGGER audit_insert AFTER INSERT ON archive.run_tags FOR EACH ROW
    EXECUTE FUNCTION archive.write_tag_audit();
CREATE TRIGGER audit_delete AFTER DELETE ON archive.run_tags FOR EACH ROW WHEN (pg_trigger_depth() = 0)
    EXECUTE FUNCTION archive.write_tag_audit();
-- What the archive itself takes back is no change of anybody's: its functions run as the owner.
CREATE TRIGGER audit_delete AFTER DELETE ON archive.discrepancies FOR EACH ROW
    WHEN (current_user = 'ost_accounts' AND pg_trigger_depth() = 0)
    EXECUTE FUNCTION archive.write_tag_audit();
CREATE TRIGGER audit_insert AFTER INSERT ON archive.target_tags FOR EACH ROW
    EXECUTE FUNCTION archive.write_tag_audit();
CREATE TRIGGER audit_delete AFTER DELETE ON archive.target_tags FOR EACH ROW WHEN (pg_trigger_depth() = 0)
    EXECUTE FUNCTION archive.write_tag_audit();
"""

# Administration in the browser sees what the commands see, and queues what they queue.
GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON archive.tags, archive.run_tags, archive.target_tags, archive.banner
    TO ost_accounts;
GRANT UPDATE (note, reduction_status, photometry, spectroscopy) ON archive.runs TO ost_accounts;
GRANT SELECT ON archive.quarantine, archive.alarms TO ost_accounts;
GRANT SELECT, DELETE ON archive.analyses TO ost_accounts;
GRANT SELECT, INSERT, UPDATE ON archive.analysis_queue TO ost_accounts;
GRANT SELECT ON archive.tags, archive.run_tags, archive.target_tags TO ost_publisher;
"""


def upgrade() -> None:
    """Create the tables and columns, their triggers and grants."""
    for statements in (WORDS, AUDIT, GRANTS):
        op.execute(statements)
