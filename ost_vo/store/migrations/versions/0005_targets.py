"""Targets: what they are also called, which frames they are in, and the user's word over the machine's."""

from alembic import op
from sqlalchemy import text

from ost_vo.catalogues.names import key

revision = "0005"
down_revision = "0004"

TARGETS = """
ALTER TABLE archive.targets
    ADD resolved_by text CHECK (resolved_by <> ''),
    ADD body text UNIQUE CHECK (body <> ''),
    ADD angular_size float8 CHECK (angular_size > 0),
    ADD is_prominent bool NOT NULL DEFAULT false,
    ADD merged_into int REFERENCES archive.targets CHECK (merged_into <> target_id),
    ADD CHECK (body IS NULL OR s_ra IS NULL);
COMMENT ON COLUMN archive.targets.resolved_by IS
    'The catalogue that knows it; NULL where a file named it and no catalogue does';
COMMENT ON COLUMN archive.targets.body IS 'Of the solar system: it is somewhere else at every moment';
COMMENT ON COLUMN archive.targets.angular_size IS 'Longest diameter, deg';
COMMENT ON COLUMN archive.targets.is_prominent IS
    'Every frame that shows it has it as a target: that follows from its catalogue alone, so it tells '
    'nothing of what else was observed';
COMMENT ON COLUMN archive.targets.merged_into IS
    'The target that it turned out to be: that is never merged itself';
CREATE INDEX targets_merged ON archive.targets (merged_into) WHERE merged_into IS NOT NULL;

CREATE TABLE archive.target_aliases (
    key text PRIMARY KEY CHECK (key <> ''),
    name text NOT NULL CHECK (name <> ''),
    target_id int NOT NULL REFERENCES archive.targets ON DELETE CASCADE,
    source text NOT NULL CHECK (source IN ('header', 'catalogue', 'person'))
);
COMMENT ON TABLE archive.target_aliases IS
    'What targets are called: the key has what all spellings of a name share (ost_vo.catalogues.names)';
CREATE INDEX target_aliases_target ON archive.target_aliases (target_id);

CREATE TABLE archive.product_targets (
    product_id bigint NOT NULL REFERENCES archive.products ON DELETE CASCADE,
    target_id int NOT NULL REFERENCES archive.targets ON DELETE CASCADE,
    separation float8 NOT NULL CHECK (separation BETWEEN 0 AND 180),
    PRIMARY KEY (product_id, target_id)
);
COMMENT ON TABLE archive.product_targets IS
    'What else is in the field of a product, besides its own target; separation from the centre, deg';
CREATE INDEX product_targets_target ON archive.product_targets (target_id);

CREATE TABLE archive.body_sightings (
    s_ra float8 NOT NULL,
    s_dec float8 NOT NULL,
    t_min float8 NOT NULL,
    target_id int NOT NULL REFERENCES archive.targets ON DELETE CASCADE,
    separation float8 NOT NULL CHECK (separation BETWEEN 0 AND 180),
    slack float8 NOT NULL CHECK (slack >= 0),
    PRIMARY KEY (s_ra, s_dec, t_min, target_id)
);
COMMENT ON TABLE archive.body_sightings IS
    'How far bodies of the solar system were from where a file looked when it did, deg: what ingest '
    'computes, since the database has no ephemeris; of bodies in the field, and of the one that it names';

ALTER TABLE archive.products ADD target_alias text;
UPDATE archive.products SET target_alias = target_name WHERE target_name IS NOT NULL;
COMMENT ON COLUMN archive.products.target_alias IS
    'Name of the target in its file, in the spelling of ingest; target_name is the name of the target';
"""

OVERRIDES = """
CREATE TABLE archive.overrides (
    product_id bigint NOT NULL REFERENCES archive.products ON DELETE CASCADE,
    field text NOT NULL,
    value text NOT NULL,
    automatic jsonb,
    user_name text NOT NULL,
    moment timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (product_id, field),
    CHECK (CASE field
        WHEN 'exposure_type' THEN value IN ('bias', 'dark', 'flat', 'light', 'wave')
        WHEN 'spectrograph' THEN value IN ('DADOS', 'BACHES', 'EINSTEIN_TOWER', 'none')
        WHEN 'target' THEN value ~ '^([0-9]{1,9}|none)$'
        ELSE false END)
);
COMMENT ON TABLE archive.overrides IS 'What people have said of products: it goes before what ingest finds';
COMMENT ON COLUMN archive.overrides.value IS 'Of a target, its target_id';
COMMENT ON COLUMN archive.overrides.automatic IS
    'The columns that it governs, as ingest would have them: what they are again when it is taken back';
"""

# Which columns each field governs, and what they become. The rest of the product stays as ingest has it.
GOVERNED = """
CREATE FUNCTION archive.governed(p archive.products, field text) RETURNS jsonb LANGUAGE sql STABLE
RETURN CASE field
    WHEN 'exposure_type' THEN jsonb_build_object('exposure_type', p.exposure_type,
        'dataproduct_subtype', p.dataproduct_subtype, 'obs_title', p.obs_title)
    WHEN 'spectrograph' THEN jsonb_build_object('dataproduct_type', p.dataproduct_type,
        'em_min', p.em_min, 'em_max', p.em_max)
    WHEN 'target' THEN jsonb_build_object('target_id', p.target_id, 'target_name', p.target_name)
END;

CREATE FUNCTION archive.overridden(p archive.products, field text, value text) RETURNS archive.products
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF field = 'exposure_type' THEN
        IF p.obs_title = p.exposure_type OR starts_with(p.obs_title, p.exposure_type || ' ')
            OR starts_with(p.obs_title, p.exposure_type || ',') THEN
            p.obs_title := value || substr(p.obs_title, length(p.exposure_type) + 1);
        END IF;
        p.dataproduct_subtype := value;
        p.exposure_type := value;
    ELSIF field = 'spectrograph' AND value <> 'none' THEN
        -- A filter's band says nothing of a spectrum.
        IF p.dataproduct_type IS DISTINCT FROM 'spectrum' THEN
            p.em_min := NULL;
            p.em_max := NULL;
        END IF;
        p.dataproduct_type := 'spectrum';
    ELSIF field = 'spectrograph' AND p.dataproduct_type = 'spectrum' THEN
        p.dataproduct_type := 'image';
        p.em_min := NULL;
        p.em_max := NULL;
    ELSIF field = 'target' THEN
        p.target_id := nullif(value, 'none')::int;
        SELECT t.name INTO p.target_name FROM archive.targets t WHERE t.target_id = p.target_id;
    END IF;
    RETURN p;
END
$$;
COMMENT ON FUNCTION archive.governed IS 'The columns that a field of archive.overrides governs, as they are';
COMMENT ON FUNCTION archive.overridden IS 'A product as somebody''s word makes it';
"""

# What people do carries their name in ost.actor, or comes from a trigger. All else is the machine.
PRODUCTS = """
CREATE FUNCTION archive.keep_words() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    word record;
BEGIN
    IF pg_trigger_depth() = 1 AND coalesce(current_setting('ost.actor', true), '') = '' THEN
        IF tg_op = 'INSERT' OR new.target_name IS DISTINCT FROM old.target_name THEN
            new.target_alias := new.target_name;
        END IF;
        IF tg_op = 'UPDATE' THEN
            FOR word IN SELECT field, value FROM archive.overrides WHERE product_id = new.product_id LOOP
                UPDATE archive.overrides SET automatic = archive.governed(new, word.field)
                WHERE product_id = new.product_id AND field = word.field;
                new := archive.overridden(new, word.field, word.value);
            END LOOP;
        END IF;
    END IF;
    IF new.target_id IS NOT NULL THEN
        -- The lock is that of the foreign key, taken before the row is read: a merge waits for it.
        SELECT coalesce(merged_into, target_id) INTO new.target_id FROM archive.targets
        WHERE target_id = new.target_id FOR KEY SHARE;
        SELECT name INTO new.target_name FROM archive.targets WHERE target_id = new.target_id;
    END IF;
    RETURN new;
END
$$;
COMMENT ON FUNCTION archive.keep_words() IS
    'What people have said of a product stays whatever ingest writes; its target is named as the target is';
CREATE TRIGGER keep_words
    BEFORE INSERT OR UPDATE OF exposure_type, dataproduct_type, dataproduct_subtype, obs_title, em_min,
        em_max, target_id, target_name
    ON archive.products FOR EACH ROW EXECUTE FUNCTION archive.keep_words();

CREATE FUNCTION archive.apply_word() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    p archive.products;
BEGIN
    IF tg_op = 'DELETE' THEN
        SELECT r.* INTO p FROM archive.products q, jsonb_populate_record(q, old.automatic) r
        WHERE q.product_id = old.product_id;
    ELSE
        -- A second word in place of the first one begins where the machine ended, too.
        SELECT o.* INTO p FROM archive.products q, jsonb_populate_record(q, new.automatic) r,
            archive.overridden(r, new.field, new.value) o
        WHERE q.product_id = new.product_id;
    END IF;
    UPDATE archive.products q SET exposure_type = p.exposure_type,
        dataproduct_subtype = p.dataproduct_subtype, obs_title = p.obs_title,
        dataproduct_type = p.dataproduct_type, em_min = p.em_min, em_max = p.em_max,
        target_id = p.target_id, target_name = p.target_name
    WHERE q.product_id = p.product_id;
    PERFORM archive.find_in_fields(ARRAY[p.product_id]);
    RETURN NULL;
END
$$;
CREATE FUNCTION archive.note_machine() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    SELECT archive.governed(q, new.field) INTO new.automatic FROM archive.products q
    WHERE q.product_id = new.product_id FOR UPDATE;
    RETURN new;
END
$$;
COMMENT ON FUNCTION archive.note_machine() IS 'Keeps what ingest has found, for when the word is taken back';
COMMENT ON FUNCTION archive.apply_word() IS 'Makes a product what somebody says, or again what ingest found';
CREATE TRIGGER note_machine BEFORE INSERT ON archive.overrides FOR EACH ROW
    EXECUTE FUNCTION archive.note_machine();
CREATE TRIGGER apply_word AFTER INSERT OR UPDATE OF value OR DELETE ON archive.overrides FOR EACH ROW
    EXECUTE FUNCTION archive.apply_word();
"""

# What ingest writes is looked at once a statement. Rows that are made in bulk for tests of scale are not:
# they come with what they have. A frame as wide as the sky shows everything, which says nothing.
FIELDS = """
CREATE FUNCTION archive.find_in_fields(ids bigint[]) RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
    DELETE FROM archive.product_targets WHERE product_id = ANY (ids);
    INSERT INTO archive.product_targets (product_id, target_id, separation)
    SELECT p.product_id, t.target_id, degrees(t.distance)
    FROM archive.products p CROSS JOIN LATERAL (
        SELECT t.target_id, t.pos <-> p.pos AS distance FROM archive.targets t
        WHERE t.pos <@ scircle(p.pos, radians(p.s_fov / 2)) AND (p.region IS NULL OR t.pos <@ p.region)
            AND t.merged_into IS NULL
        ORDER BY t.pos <-> p.pos, t.target_id LIMIT 20) t
    WHERE p.product_id = ANY (ids) AND p.pos IS NOT NULL AND p.s_fov BETWEEN 0 AND 90
        AND coalesce(p.exposure_type, 'light') = 'light' AND t.target_id IS DISTINCT FROM p.target_id
    UNION ALL
    SELECT p.product_id, b.target_id, b.separation
    FROM archive.products p
        JOIN archive.body_sightings b ON (b.s_ra, b.s_dec, b.t_min) = (p.s_ra, p.s_dec, p.t_min)
    WHERE p.product_id = ANY (ids) AND b.separation <= p.s_fov / 2 + b.slack
        AND coalesce(p.exposure_type, 'light') = 'light' AND b.target_id IS DISTINCT FROM p.target_id
    -- Somebody else may be at the same product.
    ON CONFLICT DO NOTHING;

    DELETE FROM archive.discrepancies WHERE product_id = ANY (ids) AND keyword = 'TARGET';
    INSERT INTO archive.discrepancies (product_id, keyword, reason)
    SELECT product_id, 'TARGET', format('%s is %s deg from where the file says that it looked.',
        target_name, round(separation::numeric, 2))
    FROM (
        SELECT p.product_id, p.target_name, p.s_fov, coalesce(b.slack, t.angular_size / 2, 0) AS margin,
            coalesce(b.separation, degrees(t.pos <-> p.pos)) AS separation
        FROM archive.products p
            JOIN archive.targets t ON t.target_id = p.target_id
            LEFT JOIN archive.body_sightings b ON b.target_id = p.target_id
                AND (b.s_ra, b.s_dec, b.t_min) = (p.s_ra, p.s_dec, p.t_min)
        WHERE p.product_id = ANY (ids)) AS named
    WHERE separation > greatest(coalesce(s_fov, 1), 0.1) + margin
    ON CONFLICT DO NOTHING;
$$;
COMMENT ON FUNCTION archive.find_in_fields IS
    'Finds the targets in the fields of products, and those that cannot be where their file looked';
REVOKE EXECUTE ON FUNCTION archive.find_in_fields FROM PUBLIC;

CREATE FUNCTION archive.find_in_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM archive.find_in_fields(array_agg(product_id)) FROM written
    WHERE pos IS NOT NULL HAVING count(*) > 0;
    RETURN NULL;
END
$$;
CREATE FUNCTION archive.find_in_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM archive.find_in_fields(array_agg(product_id)) FROM written w JOIN former f USING (product_id)
    WHERE (w.s_ra, w.s_dec, w.s_fov, w.s_region, w.t_min, w.t_max, w.target_id, w.exposure_type, w.ingested)
        IS DISTINCT FROM
        (f.s_ra, f.s_dec, f.s_fov, f.s_region, f.t_min, f.t_max, f.target_id, f.exposure_type, f.ingested)
    HAVING count(*) > 0;
    RETURN NULL;
END
$$;
CREATE TRIGGER find_in_new AFTER INSERT ON archive.products REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT WHEN (current_user = 'ost_ingest') EXECUTE FUNCTION archive.find_in_new();
CREATE TRIGGER find_in_changed AFTER UPDATE ON archive.products
    REFERENCING OLD TABLE AS former NEW TABLE AS written
    FOR EACH STATEMENT WHEN (current_user = 'ost_ingest') EXECUTE FUNCTION archive.find_in_changed();
"""

# The same function as before, which now knows what overrides and aliases are about.
AUDIT = """
CREATE OR REPLACE FUNCTION archive.write_audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    watched text[] := tg_argv[0]::text[];
    old_row jsonb := CASE WHEN tg_op <> 'INSERT' THEN to_jsonb(old) END;
    new_row jsonb := CASE WHEN tg_op <> 'DELETE' THEN to_jsonb(new) END;
    full_row jsonb := coalesce(to_jsonb(new), to_jsonb(old));
    old_value jsonb;
    new_value jsonb;
    subject text;
    project text;
BEGIN
    IF new_row ->> 'password_hash' IS DISTINCT FROM old_row ->> 'password_hash' THEN
        new_row := new_row || '{"password": "new"}';
    END IF;
    SELECT jsonb_object_agg(k, old_row -> k) FILTER (WHERE old_row IS NOT NULL),
           jsonb_object_agg(k, new_row -> k) FILTER (WHERE new_row IS NOT NULL)
    INTO old_value, new_value
    FROM unnest(watched) AS w (k)
    WHERE old_row IS NULL OR new_row IS NULL OR old_row -> k IS DISTINCT FROM new_row -> k;
    IF tg_op = 'UPDATE' AND old_value IS NULL THEN
        RETURN NULL;
    END IF;
    IF tg_table_name = 'overrides' THEN
        SELECT p.obs_publisher_did, j.name INTO subject, project
        FROM archive.products p JOIN archive.projects j ON j.project_id = p.project_id
        WHERE p.product_id = (full_row ->> 'product_id')::bigint;
    ELSE
        SELECT name INTO project FROM archive.projects WHERE project_id = (full_row ->> 'project_id')::int;
    END IF;
    IF full_row ? 'obs_publisher_did' THEN
        subject := full_row ->> 'obs_publisher_did';
    ELSIF full_row ? 'user_id' THEN
        SELECT name INTO subject FROM archive.users WHERE user_id = (full_row ->> 'user_id')::int;
        subject := coalesce(subject, full_row ->> 'name');
    ELSE
        subject := coalesce(subject, full_row ->> 'name', full_row ->> 'directory', full_row ->> 'role');
    END IF;
    INSERT INTO archive.audit (actor, action, subject, project, old_value, new_value, reason)
    VALUES (
        coalesce(nullif(current_setting('ost.actor', true), ''), '(' || session_user || ')'),
        tg_table_name || ' ' || lower(tg_op),
        coalesce(subject, '?'), project, old_value, new_value,
        nullif(current_setting('ost.reason', true), ''));
    RETURN NULL;
END
$$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OF value ON archive.overrides FOR EACH ROW
    EXECUTE FUNCTION archive.write_audit('{field,value}');
-- Those of a deleted product go with it: its deletion has an entry of its own.
CREATE TRIGGER audit_delete AFTER DELETE ON archive.overrides FOR EACH ROW WHEN (pg_trigger_depth() = 0)
    EXECUTE FUNCTION archive.write_audit('{field,value}');
-- What ingest adds is no change of anybody's.
CREATE TRIGGER audit_insert AFTER INSERT ON archive.targets FOR EACH ROW
    WHEN (coalesce(current_setting('ost.actor', true), '') <> '')
    EXECUTE FUNCTION archive.write_audit('{target_id,name}');
CREATE TRIGGER audit AFTER UPDATE OF name, merged_into, resolved_by, s_ra, s_dec OR DELETE ON archive.targets
    FOR EACH ROW EXECUTE FUNCTION archive.write_audit('{target_id,name,merged_into,resolved_by,s_ra,s_dec}');
CREATE TRIGGER audit_insert AFTER INSERT ON archive.target_aliases FOR EACH ROW
    WHEN (coalesce(current_setting('ost.actor', true), '') <> '')
    EXECUTE FUNCTION archive.write_audit('{target_id}');
CREATE TRIGGER audit AFTER UPDATE OF target_id OR DELETE ON archive.target_aliases FOR EACH ROW
    EXECUTE FUNCTION archive.write_audit('{target_id}');
"""

GRANTS = """
GRANT SELECT ON archive.target_aliases, archive.product_targets, archive.body_sightings, archive.overrides
    TO ost_ingest;
GRANT INSERT ON archive.target_aliases, archive.body_sightings TO ost_ingest;
GRANT UPDATE (automatic) ON archive.overrides TO ost_ingest;
GRANT EXECUTE ON FUNCTION archive.find_in_fields TO ost_ingest, ost_accounts;
GRANT SELECT, INSERT, UPDATE, DELETE ON archive.targets, archive.target_aliases, archive.overrides
    TO ost_accounts;
GRANT SELECT ON archive.product_targets TO ost_accounts;
GRANT UPDATE (target_id) ON archive.products TO ost_accounts;
GRANT SELECT ON archive.target_aliases, archive.product_targets TO ost_publisher;
"""


def upgrade() -> None:
    """Create the tables and triggers; give each target that is there its own name as an alias."""
    for statements in (TARGETS, OVERRIDES, GOVERNED, PRODUCTS, FIELDS):
        op.execute(statements)
    _name_targets()
    for statements in (AUDIT, GRANTS):
        op.execute(statements)


def _name_targets() -> None:
    """Give targets their aliases; those whose names are spellings of one name become one."""
    connection = op.get_bind()
    first: dict[str, int] = {}
    for target_id, name in connection.execute(
        text("SELECT target_id, name FROM archive.targets ORDER BY target_id")
    ).fetchall():
        kept = first.setdefault(key(name), target_id)
        values = {"key": key(name), "name": name, "target": target_id, "kept": kept}
        if kept == target_id:
            connection.execute(
                text("INSERT INTO archive.target_aliases VALUES (:key, :name, :target, 'header')"), values
            )
        else:
            for statement in (
                "UPDATE archive.targets SET merged_into = :kept WHERE target_id = :target",
                "UPDATE archive.products SET target_id = :kept WHERE target_id = :target",
            ):
                connection.execute(text(statement), values)
