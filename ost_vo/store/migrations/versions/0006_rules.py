"""What the operator must hear of the disk."""

from alembic import op

revision = "0006"
down_revision = "0005"

ALARMS = """
CREATE TABLE archive.alarms (
    subject text PRIMARY KEY CHECK (subject <> ''),
    problem text NOT NULL,
    remedy text NOT NULL,
    since timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE archive.alarms IS 'What is wrong now, as the watcher sees it: gone when that is mended';
GRANT SELECT, INSERT, UPDATE, DELETE ON archive.alarms TO ost_ingest;
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(ALARMS)
