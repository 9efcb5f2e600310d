"""What the archive covers on the sky, in time and in the spectrum, and the records of its registry."""

from alembic import op

revision = "0010"
down_revision = "0009"

TABLES = """
CREATE TABLE archive.coverage (
    only_row bool PRIMARY KEY DEFAULT true CHECK (only_row),
    state text NOT NULL,
    spatial text NOT NULL,
    temporal float8[] NOT NULL,
    spectral float8[] NOT NULL,
    computed timestamptz NOT NULL DEFAULT now(),
    CHECK (cardinality(temporal) % 2 = 0 AND cardinality(spectral) % 2 = 0)
);
COMMENT ON TABLE archive.coverage IS 'What the whole world sees in ivoa.obscore covers: for the registry';
COMMENT ON COLUMN archive.coverage.state IS 'That of archive.coverage_state() which it was computed in';
COMMENT ON COLUMN archive.coverage.spatial IS 'MOC in ASCII';
COMMENT ON COLUMN archive.coverage.temporal IS 'First and last of each interval, MJD in UTC';
COMMENT ON COLUMN archive.coverage.spectral IS 'First and last of each interval, wavelength in m';

CREATE TABLE archive.registry_records (
    ivoid text PRIMARY KEY CHECK (ivoid LIKE 'ivo://%'),
    sets text[] NOT NULL,
    updated timestamptz NOT NULL CHECK (updated = date_trunc('second', updated)),
    is_deleted bool NOT NULL DEFAULT false,
    digest bytea NOT NULL,
    resource text,
    dublin_core text,
    CHECK (is_deleted OR (resource IS NOT NULL AND dublin_core IS NOT NULL))
);
COMMENT ON TABLE archive.registry_records IS
    'What /oai.xml gives: the records of DaCHS, completed; withdrawn ones stay';
COMMENT ON COLUMN archive.registry_records.updated IS 'When anything else in the record last changed';
CREATE INDEX registry_records_updated ON archive.registry_records (updated, ivoid);

CREATE TABLE archive.coverage_changes (
    token bigint NOT NULL DEFAULT hashtextextended(gen_random_uuid()::text, 0),
    moment timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE archive.coverage_changes IS
    'A row for each statement that may have changed what anybody sees covered; old ones are removed';
CREATE INDEX products_release_date ON archive.products (release_date) WHERE release_date IS NOT NULL;
"""

# Rows of their own rather than a counter, which all ingests would wait for in turn. Visible with the change
# itself, and not before: whoever reads the state and then the products sees these at least as new.
STATE = """
CREATE FUNCTION archive.note_coverage_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO archive.coverage_changes DEFAULT VALUES;
    RETURN NULL;
END
$$;
CREATE TRIGGER coverage_change AFTER INSERT OR DELETE OR TRUNCATE
    OR UPDATE OF privileges, release_date, project_id, creator_id, is_valid, missing_since,
        s_ra, s_dec, s_fov, s_region, region, t_min, t_max, em_min, em_max
    ON archive.products FOR EACH STATEMENT EXECUTE FUNCTION archive.note_coverage_change();
CREATE FUNCTION archive.coverage_state() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
    RETURN coalesce((SELECT bit_xor(token) FROM archive.coverage_changes), 0)::text || ' '
        || coalesce((SELECT max(release_date) FROM archive.products WHERE release_date <= now())::text, '');
COMMENT ON FUNCTION archive.coverage_state() IS
    'Another text whenever somebody may see something else covered, by a change or by a release date';
REVOKE EXECUTE ON FUNCTION archive.coverage_state(), archive.note_coverage_change() FROM PUBLIC;
"""

GRANTS = """
GRANT EXECUTE ON FUNCTION archive.coverage_state() TO ost_web;
GRANT SELECT, INSERT, UPDATE ON archive.coverage, archive.registry_records TO ost_web;
GRANT SELECT, DELETE ON archive.coverage_changes TO ost_web;
"""


def upgrade() -> None:
    """Create the tables, and what notices changes."""
    for statements in (TABLES, STATE, GRANTS):
        op.execute(statements)
