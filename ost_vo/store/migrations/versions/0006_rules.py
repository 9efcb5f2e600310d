"""Rules of runs, and what the operator must hear of the disk."""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Nothing yet."""
