"""What the archive covers on the sky, in time and in the spectrum, as the world may see it."""

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Nothing yet."""
