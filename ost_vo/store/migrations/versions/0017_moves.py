"""What follows a change of products is found in time that grows as their number, and a statement at a time.

A plan that joins the rows before and after is kept by the connection. Made for a statement that changed one
row, it came to no end where the next one changed 200,000. Set operations are fast either way.
"""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"

FIELDS = """
CREATE OR REPLACE FUNCTION archive.find_in_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM archive.find_in_fields(array_agg(product_id)) FROM (
        SELECT product_id, s_ra, s_dec, s_fov, s_region, t_min, t_max, target_id, exposure_type, ingested
        FROM written
        EXCEPT
        SELECT product_id, s_ra, s_dec, s_fov, s_region, t_min, t_max, target_id, exposure_type, ingested
        FROM former) AS changed
    HAVING count(*) > 0;
    RETURN NULL;
END
$$;
"""

QUEUE = """
CREATE FUNCTION archive.queue_changed_products() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO archive.analysis_queue AS q (product_id)
    SELECT product_id FROM (
        SELECT product_id, sha256, path, missing_since FROM written WHERE missing_since IS NULL
        EXCEPT
        SELECT product_id, sha256, path, missing_since FROM former) AS changed
    ORDER BY 1
    ON CONFLICT (product_id) DO UPDATE SET version = q.version + 1, queued = now(), due = now(), attempts = 0;
    IF FOUND THEN
        PERFORM pg_notify('ost_analysis', '');
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER analysis_of_changed ON archive.products;
DROP FUNCTION archive.queue_changed_product();
CREATE TRIGGER analysis_of_changed AFTER UPDATE ON archive.products
    REFERENCING OLD TABLE AS former NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION archive.queue_changed_products();
"""


def upgrade() -> None:
    """Replace the functions, and a trigger of each row by one of each statement."""
    for statements in (FIELDS, QUEUE):
        op.execute(statements)
