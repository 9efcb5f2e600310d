"""An archive that was at 0015 before its indexes were changed gets those that others have.

The one by exposure was taken for look-ups of calibration frames, and made DataLink half as fast.
"""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"

INDEXES = """
DROP INDEX IF EXISTS archive.products_calibration_exposure;
CREATE INDEX IF NOT EXISTS products_duration ON archive.products ((t_max - t_min));
"""


def upgrade() -> None:
    """Drop the one and add the other, where that has not been done."""
    op.execute(INDEXES)
