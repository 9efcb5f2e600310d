"""Downloads: where an anonymous job comes from, for the limits, and how far a job has come."""

from alembic import op

revision = "0008"
down_revision = "0007"

COLUMNS = """
ALTER TABLE archive.jobs
    ADD address text,
    ADD progress jsonb CHECK (jsonb_typeof(progress) = 'object'),
    ADD CHECK (owner_id IS NULL OR address IS NULL);
COMMENT ON COLUMN archive.jobs.address IS
    'By which an anonymous creator is counted where addresses are: IPv4, or the first 64 bits of IPv6';
COMMENT ON COLUMN archive.jobs.progress IS 'How far the job has come, as its kind counts it: name to number';
"""


def upgrade() -> None:
    """Let jobs have an address and tell of their progress."""
    op.execute(COLUMNS)
