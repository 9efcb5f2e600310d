"""What is done with a file after it is ingested: previews, statistics of pixels, plate solutions."""

from alembic import op

revision = "0007"
down_revision = "0006"

TABLES = """
CREATE TABLE archive.analyses (
    product_id bigint NOT NULL REFERENCES archive.products ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('preview', 'statistics', 'solution')),
    settings text NOT NULL,
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    state text NOT NULL CHECK (state IN ('done', 'none', 'failed', 'absent')),
    reason text,
    moment timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (product_id, kind, settings),
    CHECK ((state = 'done') = (reason IS NULL))
);
COMMENT ON TABLE archive.analyses IS
    'What was tried with the bytes of a file: once a kind and settings, whatever came of it';
COMMENT ON COLUMN archive.analyses.settings IS 'Digest of what the result depends on besides the file';
COMMENT ON COLUMN archive.analyses.state IS
    'none: there is nothing to be had of such a file; absent: it was not on disk, and is tried when it is';
CREATE INDEX analyses_failed ON archive.analyses (moment) WHERE state = 'failed';
CREATE INDEX analyses_solutions ON archive.analyses (moment) WHERE kind = 'solution';

CREATE TABLE archive.analysis_queue (
    product_id bigint PRIMARY KEY REFERENCES archive.products ON DELETE CASCADE,
    queued timestamptz NOT NULL DEFAULT now(),
    version int NOT NULL DEFAULT 1,
    due timestamptz NOT NULL DEFAULT now(),
    attempts smallint NOT NULL DEFAULT 0
);
COMMENT ON COLUMN archive.analysis_queue.version IS
    'Counts how often the product was queued: what has changed meanwhile stays in the queue';
COMMENT ON COLUMN archive.analysis_queue.due IS
    'When it may be taken; whoever takes it puts this off, so that one who dies does not keep it';
CREATE INDEX analysis_queue_order ON archive.analysis_queue (queued, product_id);

CREATE TABLE archive.pixel_statistics (
    product_id bigint PRIMARY KEY REFERENCES archive.products ON DELETE CASCADE,
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    median float8 NOT NULL,
    mean float8 NOT NULL,
    std float8 NOT NULL,
    mad float8 NOT NULL,
    minimum float8 NOT NULL,
    maximum float8 NOT NULL,
    saturated float8 NOT NULL CHECK (saturated BETWEEN 0 AND 1),
    bright float8 NOT NULL CHECK (bright BETWEEN 0 AND 1),
    full_scale float8,
    pixels bigint NOT NULL CHECK (pixels > 0)
);
COMMENT ON TABLE archive.pixel_statistics IS
    'Of the image that the preview shows, in the units of its values (BSCALE and BZERO applied)';
COMMENT ON COLUMN archive.pixel_statistics.mad IS 'Median of the absolute deviations from the median';
COMMENT ON COLUMN archive.pixel_statistics.saturated IS 'Part of all pixels at full scale; 0 without one';
COMMENT ON COLUMN archive.pixel_statistics.bright IS 'Part of the sampled pixels far above the median: stars';
COMMENT ON COLUMN archive.pixel_statistics.full_scale IS 'Largest value that a pixel can have; NULL unknown';
COMMENT ON COLUMN archive.pixel_statistics.pixels IS 'Pixels that median, mean, std and mad were taken from';

CREATE TABLE archive.solutions (
    product_id bigint PRIMARY KEY REFERENCES archive.products ON DELETE CASCADE,
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    header text NOT NULL,
    moment timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE archive.solutions IS
    'World coordinates that plate solving found for the pixels of a file, as cards of FITS, one a line';

CREATE TABLE archive.discarded_previews (
    sha256 bytea PRIMARY KEY CHECK (length(sha256) = 32)
);
COMMENT ON TABLE archive.discarded_previews IS
    'Bytes that a product had: their pictures go, unless another product has the same';

ALTER TABLE archive.products DROP CONSTRAINT products_position_source_check,
    ADD CONSTRAINT products_position_source_check CHECK (position_source IN ('wcs', 'header', 'solution'));
"""

# They run as their owner: whoever changes products need not touch these tables.
QUEUE = """
CREATE FUNCTION archive.queue_new_products() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO archive.analysis_queue (product_id) SELECT product_id FROM new_products ORDER BY 1
    ON CONFLICT (product_id) DO NOTHING;
    IF FOUND THEN
        PERFORM pg_notify('ost_analysis', '');
    END IF;
    RETURN NULL;
END
$$;
-- What the owner loads by itself has no files: rows for tests of scale.
CREATE TRIGGER analysis_of_new AFTER INSERT ON archive.products REFERENCING NEW TABLE AS new_products
    FOR EACH STATEMENT WHEN (session_user <> 'ost_owner') EXECUTE FUNCTION archive.queue_new_products();

CREATE FUNCTION archive.queue_changed_product() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO archive.analysis_queue AS q (product_id) VALUES (new.product_id)
    ON CONFLICT (product_id) DO UPDATE SET version = q.version + 1, queued = now(), due = now(), attempts = 0;
    PERFORM pg_notify('ost_analysis', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER analysis_of_changed AFTER UPDATE OF sha256, path, missing_since ON archive.products
    FOR EACH ROW WHEN (new.missing_since IS NULL AND (new.sha256, new.path, new.missing_since)
        IS DISTINCT FROM (old.sha256, old.path, old.missing_since))
    EXECUTE FUNCTION archive.queue_changed_product();

CREATE FUNCTION archive.discard_preview() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO archive.discarded_previews VALUES (old.sha256) ON CONFLICT DO NOTHING;
    PERFORM pg_notify('ost_analysis', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER preview_of_changed AFTER UPDATE OF sha256 ON archive.products
    FOR EACH ROW WHEN (new.sha256 <> old.sha256) EXECUTE FUNCTION archive.discard_preview();
CREATE TRIGGER preview_of_deleted AFTER DELETE ON archive.products
    FOR EACH ROW EXECUTE FUNCTION archive.discard_preview();
"""

# Ingest writes what the header says; what was found out about the same bytes is better.
SOLUTION = """
CREATE FUNCTION archive.keep_solution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    new.s_ra := old.s_ra;
    new.s_dec := old.s_dec;
    new.s_fov := old.s_fov;
    new.s_region := old.s_region;
    new.region := old.region;
    new.s_orientation := old.s_orientation;
    new.s_parity := old.s_parity;
    new.s_pixel_scale := old.s_pixel_scale;
    new.position_source := old.position_source;
    RETURN new;
END
$$;
COMMENT ON FUNCTION archive.keep_solution() IS
    'Keeps the position of a plate solution while the bytes of the file are the same';
CREATE TRIGGER keep_solution BEFORE UPDATE OF position_source ON archive.products
    FOR EACH ROW WHEN (old.position_source = 'solution' AND new.sha256 = old.sha256
        AND new.position_source IS DISTINCT FROM 'wcs' AND new.position_source IS DISTINCT FROM 'solution')
    EXECUTE FUNCTION archive.keep_solution();
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON archive.analyses, archive.analysis_queue, archive.pixel_statistics,
    archive.solutions, archive.discarded_previews TO ost_ingest;
"""


def upgrade() -> None:
    """Create the tables, and what fills the queue."""
    for statements in (TABLES, QUEUE, SOLUTION, GRANTS):
        op.execute(statements)
