"""Targets: what they are also called, which frames they are in, and the user's word over the machine's."""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Nothing yet."""
