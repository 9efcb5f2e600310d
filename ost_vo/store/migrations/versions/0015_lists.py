"""The keys of the pages of lists are picked from the tables, in an order that an index has.

A view that filters is read as a whole before it is sorted. So a list asks the tables which rows come next,
with the same filter, and the views for the rows: the role ost_lists may read both.
"""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"

GRANTS = """
GRANT USAGE ON SCHEMA archive TO ost_lists;
GRANT SELECT ON archive.products, archive.runs, archive.run_tags, archive.tags, archive.projects TO ost_lists;
GRANT SELECT (user_id, name) ON archive.users TO ost_lists;
"""

INDEXES = """
CREATE INDEX runs_night ON archive.runs (night DESC NULLS LAST, name DESC);
-- The files of a target by time; look-ups by the name alone use it as the one before.
DROP INDEX archive.products_target_name;
CREATE INDEX products_target_name ON archive.products (target_name, t_min);
-- The latest calibration frames of any camera. One by exposure would be taken for those of the frames of a
-- camera and a few nights, too, and make DataLink half as fast.
CREATE INDEX products_calibration_time ON archive.products (exposure_type, t_min DESC NULLS LAST)
    WHERE exposure_type IN ('bias', 'dark', 'flat');
-- How long the longest exposure takes.
CREATE INDEX products_duration ON archive.products ((t_max - t_min));
"""


def upgrade() -> None:
    """Let the role of lists read, and add the indexes of their orders."""
    op.execute(GRANTS)
    op.execute(INDEXES)
