"""What files name as their progenitors, until those are found."""

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Nothing yet."""
