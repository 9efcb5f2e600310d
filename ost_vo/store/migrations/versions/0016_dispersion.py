"""An image whose pixels show dispersed light is a spectrum, and stays one while its bytes are the same."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"

COLUMN = """
ALTER TABLE archive.pixel_statistics ADD is_dispersed bool NOT NULL DEFAULT false;
COMMENT ON COLUMN archive.pixel_statistics.is_dispersed IS
    'Whether the frame counts as a spectrum because its pixels show one, and the header says nothing of it';
"""

# Its name comes before that of keep_words, whose word is the last; what people do is no business of it.
KEEP = """
CREATE FUNCTION archive.keep_dispersion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() = 1 AND coalesce(current_setting('ost.actor', true), '') = ''
        AND EXISTS (SELECT FROM archive.pixel_statistics s
            WHERE s.product_id = new.product_id AND s.sha256 = new.sha256 AND s.is_dispersed) THEN
        new.dataproduct_type := 'spectrum';
        new.em_min := NULL;
        new.em_max := NULL;
    END IF;
    RETURN new;
END
$$;
COMMENT ON FUNCTION archive.keep_dispersion() IS
    'Keeps a frame a spectrum that its pixels show to be one, while the bytes of the file are the same';
CREATE TRIGGER keep_dispersion BEFORE UPDATE OF dataproduct_type ON archive.products
    FOR EACH ROW WHEN (new.dataproduct_type = 'image' AND new.sha256 = old.sha256)
    EXECUTE FUNCTION archive.keep_dispersion();
"""


def upgrade() -> None:
    """Add the column and the trigger."""
    for statements in (COLUMN, KEEP):
        op.execute(statements)
