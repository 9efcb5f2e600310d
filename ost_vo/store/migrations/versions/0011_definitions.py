"""How everything in the database was made, for `ost-vo doctor`, and what callers see covered, for `/moc`."""

from alembic import op

revision = "0011"
down_revision = "0010"

TABLES = """
CREATE TABLE archive.definitions (
    name text PRIMARY KEY,
    definition text NOT NULL
);
COMMENT ON TABLE archive.definitions IS
    'How tables, functions, triggers, views, roles and grants were when this version had made them';

CREATE TABLE archive.footprints (
    caller text PRIMARY KEY,
    state text NOT NULL,
    spatial text NOT NULL,
    computed timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE archive.footprints IS 'What callers see covered; the latest of them';
COMMENT ON COLUMN archive.footprints.caller IS 'The settings that decide what is seen, as JSON';
COMMENT ON COLUMN archive.footprints.state IS 'That of archive.coverage_state() which it was computed in';
COMMENT ON COLUMN archive.footprints.spatial IS 'MOC in ASCII';
GRANT SELECT, INSERT, UPDATE, DELETE ON archive.footprints TO ost_web;
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(TABLES)
