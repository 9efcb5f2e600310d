"""What is done with a file after it is ingested: previews, statistics of pixels, plate solutions."""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Nothing yet."""
