"""What files name as their progenitors, until those are found; names as the headers have them."""

from alembic import op

revision = "0009"
down_revision = "0008"

NAMES = """
ALTER TABLE archive.products
    ADD header_instrument text,
    ADD header_telescope text,
    ADD header_filter text,
    ADD header_observer text,
    ADD hjd_source text CHECK (hjd_source IN ('header', 'computed')),
    ADD bjd_source text CHECK (bjd_source IN ('header', 'computed'));
UPDATE archive.products SET
    hjd_source = CASE WHEN hjd IS NOT NULL THEN 'header' END,
    bjd_source = CASE WHEN bjd IS NOT NULL THEN 'header' END
WHERE hjd IS NOT NULL OR bjd IS NOT NULL;
ALTER TABLE archive.products
    ADD CHECK ((hjd IS NULL) = (hjd_source IS NULL)),
    ADD CHECK ((bjd IS NULL) = (bjd_source IS NULL));
"""

# A file is looked for by its name without the suffixes of format and packing, so an index has that.
REFERENCES = """
CREATE FUNCTION archive.file_stem(path text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN regexp_replace(
        substring(path FROM '[^/]*$'),
        '([.](fits?|fts|xisf|ser|avi|mov|mp4|m4v|jpe?g|tiff?|dng|cr[23]|nef|arw|pef|orf|rw2|mrw))?'
            '([.](gz|bz2|z|fz))?$',
        '', 'i');
COMMENT ON FUNCTION archive.file_stem IS 'The name of a file without the suffixes of format and packing';
CREATE FUNCTION archive.observations_named(directory text, reference text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN ARRAY(
        SELECT array_to_string(parts[n:], '/') || '/' || archive.file_stem(reference)
        FROM string_to_array(btrim(regexp_replace(reference, '[^/]*$', ''), '/'), '/') AS parts,
            generate_series(1, cardinality(parts)) AS n)
        || (directory || ltrim(regexp_replace(reference, '[^/]*$', ''), '/') || archive.file_stem(reference));
COMMENT ON FUNCTION archive.observations_named IS
    'The obs_id that a path may stand for: below that directory, or without its first parts';
CREATE INDEX products_file_stem ON archive.products (archive.file_stem(path), run_id);

CREATE TABLE archive.product_references (
    product_id bigint NOT NULL REFERENCES archive.products ON DELETE CASCADE,
    reference text NOT NULL CHECK (length(reference) BETWEEN 1 AND 255),
    file_stem text NOT NULL GENERATED ALWAYS AS (archive.file_stem(reference)) STORED,
    progenitor_id bigint REFERENCES archive.products ON DELETE SET NULL,
    scope text CHECK (scope IN ('path', 'directory', 'run', 'archive')),
    is_listed bool NOT NULL DEFAULT false,
    is_revoked bool NOT NULL DEFAULT false,
    PRIMARY KEY (product_id, reference),
    CHECK (scope IS NOT NULL OR progenitor_id IS NULL)
);
CREATE INDEX product_references_file_stem ON archive.product_references (file_stem);
CREATE INDEX product_references_progenitor ON archive.product_references (progenitor_id);
COMMENT ON TABLE archive.product_references IS 'What files name as their progenitors, found or not';
COMMENT ON COLUMN archive.product_references.scope IS 'How near the progenitor was found; NULL: not yet';
COMMENT ON COLUMN archive.product_references.is_listed IS
    'From the list beside the file, which changes by itself, and not from its header';
COMMENT ON COLUMN archive.product_references.is_revoked IS
    'Somebody said by hand that the product was not made from it: never linked again';

ALTER TABLE archive.lineage
    ADD source text NOT NULL DEFAULT 'user' CHECK (source IN ('user', 'file'));
COMMENT ON COLUMN archive.lineage.source IS 'Who says so: a user, or the file, whose word may change';
"""

# The user's word stands above the file's. A line that a user repeats becomes the user's; one that a user
# takes away does not come back with the next ingest of the file.
WORD_OF_USERS = """
CREATE FUNCTION archive.confirm_lineage() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE archive.lineage SET source = 'user'
    WHERE product_id = new.product_id AND progenitor_id = new.progenitor_id AND source = 'file';
    RETURN new;
END
$$;
COMMENT ON FUNCTION archive.confirm_lineage() IS 'Makes a line of the file that a user repeats the user''s';
CREATE TRIGGER a_confirmation BEFORE INSERT ON archive.lineage FOR EACH ROW WHEN (new.source = 'user')
    EXECUTE FUNCTION archive.confirm_lineage();

CREATE FUNCTION archive.revoke_reference() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE archive.product_references SET is_revoked = true
    WHERE product_id = old.product_id AND progenitor_id = old.progenitor_id;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION archive.revoke_reference() IS 'Notes that a user took away what a file says';
CREATE TRIGGER revocation AFTER DELETE ON archive.lineage FOR EACH ROW
    WHEN (session_user <> 'ost_ingest') EXECUTE FUNCTION archive.revoke_reference();
"""

# A file that names what was made from it must not keep itself out of the archive: its line is left out.
# The lock is the one of the third migration.
CYCLES = """
CREATE OR REPLACE FUNCTION archive.check_lineage() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('archive.lineage'));
    IF EXISTS (
        WITH RECURSIVE ancestors AS (
            SELECT new.progenitor_id AS id
            UNION
            SELECT l.progenitor_id FROM archive.lineage l JOIN ancestors a ON l.product_id = a.id)
        SELECT FROM ancestors WHERE id = new.product_id)
    THEN
        IF new.source = 'file' THEN
            INSERT INTO archive.discrepancies (product_id, keyword, reason)
            VALUES (new.product_id, 'LINEAGE',
                'Names as a progenitor what was made from it, directly or by way of others: left out.')
            ON CONFLICT DO NOTHING;
            RETURN NULL;
        END IF;
        RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'lineage_cycle',
            MESSAGE = format('%s would be made from itself, by way of %s',
                (SELECT obs_publisher_did FROM archive.products WHERE product_id = new.product_id),
                (SELECT obs_publisher_did FROM archive.products WHERE product_id = new.progenitor_id));
    END IF;
    RETURN new;
END
$$;
COMMENT ON FUNCTION archive.check_lineage() IS 'Refuses a product that is made from itself, however far back';
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON archive.product_references TO ost_ingest;
GRANT SELECT ON archive.product_references TO ost_accounts;
"""


def upgrade() -> None:
    """Create columns, table, index and triggers, and give ingest what it needs."""
    for statements in (NAMES, REFERENCES, WORD_OF_USERS, CYCLES, GRANTS):
        op.execute(statements)
