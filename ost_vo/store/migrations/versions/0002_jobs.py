"""The jobs of the asynchronous services, and the notice that goes out when one changes its phase."""

from alembic import op

revision = "0002"
down_revision = "0001"

# Times are kept to the millisecond, as clients get them: whoever gives a job's creation time back to find the
# later ones must not find the same job again.
TABLES = """
CREATE TABLE archive.jobs (
    job_id text PRIMARY KEY CHECK (job_id ~ '^[0-9a-f]{32}$'),
    kind text NOT NULL CHECK (kind <> ''),
    phase text NOT NULL CHECK (phase IN ('PENDING', 'QUEUED', 'EXECUTING', 'COMPLETED', 'ERROR', 'ABORTED',
        'HELD', 'SUSPENDED', 'UNKNOWN', 'ARCHIVED')),
    owner_id int REFERENCES archive.users ON DELETE CASCADE,
    context jsonb NOT NULL,
    run_id text,
    parameters jsonb NOT NULL CHECK (jsonb_typeof(parameters) = 'array'),
    created timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    queued timestamptz(3),
    started timestamptz(3),
    ended timestamptz(3),
    execution_duration int NOT NULL CHECK (execution_duration > 0),
    destruction timestamptz(3) NOT NULL,
    results jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(results) = 'array'),
    failure_code text,
    failure_message text,
    failure_transient bool,
    worker text,
    attempts smallint NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    heartbeat timestamptz,
    CHECK (phase <> 'EXECUTING' OR (worker IS NOT NULL AND heartbeat IS NOT NULL)),
    CHECK (phase <> 'ERROR' OR failure_message IS NOT NULL)
);
COMMENT ON TABLE archive.jobs IS 'Jobs of the Universal Worker Service (UWS 1.1)';
COMMENT ON COLUMN archive.jobs.owner_id IS 'NULL for the job of an anonymous caller';
COMMENT ON COLUMN archive.jobs.context IS 'The context of the caller, in which the job runs';
COMMENT ON COLUMN archive.jobs.execution_duration IS 's';
COMMENT ON COLUMN archive.jobs.heartbeat IS
    'The last sign of life of the worker, or for a queued job when workers were last told of it';
CREATE INDEX jobs_list ON archive.jobs (kind, owner_id, created);
CREATE INDEX jobs_queue ON archive.jobs (queued) WHERE phase = 'QUEUED';
CREATE INDEX jobs_running ON archive.jobs (heartbeat) WHERE phase IN ('QUEUED', 'EXECUTING');
CREATE INDEX jobs_destruction ON archive.jobs (destruction);
"""

NOTICES = """
CREATE FUNCTION archive.tell_job_phase() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF tg_op = 'DELETE' THEN
        PERFORM pg_notify('ost_jobs', old.job_id || ' DELETED');
    ELSIF tg_op = 'INSERT' OR new.phase <> old.phase THEN
        PERFORM pg_notify('ost_jobs', new.job_id || ' ' || new.phase);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION archive.tell_job_phase() IS 'Tells those who LISTEN to ost_jobs: job, blank, new phase';
CREATE TRIGGER jobs_phase AFTER INSERT OR DELETE OR UPDATE OF phase ON archive.jobs
    FOR EACH ROW EXECUTE FUNCTION archive.tell_job_phase();
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON archive.jobs TO ost_web;
GRANT SELECT (user_id, name) ON archive.users TO ost_web;
"""


def upgrade() -> None:
    """Create the jobs' table, its notices and who may touch it."""
    op.execute(TABLES)
    op.execute(NOTICES)
    op.execute(GRANTS)
