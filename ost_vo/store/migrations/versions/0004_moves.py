"""Files that move: ingest finds deleted products by their bytes, too, and lists what is missing."""

from alembic import op

revision = "0004"
down_revision = "0003"

MOVES = """
CREATE INDEX deletions_sha256 ON archive.deletions (sha256);
CREATE INDEX products_missing ON archive.products (missing_since) WHERE missing_since IS NOT NULL;
-- A file whose product was deleted stays deleted where it is moved to.
GRANT UPDATE (path) ON archive.deletions TO ost_ingest;
"""


def upgrade() -> None:
    """Create the indexes, and give ingest what it needs."""
    op.execute(MOVES)
