"""A small RegTAP schema in a database of its own, filled with harvested records as a searchable registry is.

Source: RegTAP 1.1 sections 8 and 9; of its tables and functions, those that pyvo's queries name.
"""

from __future__ import annotations

from collections.abc import Iterable

import psycopg2
from astropy import units
from lxml import etree
from mocpy import MOC

from tests.registry.conftest import XSI_TYPE

# The order that coverages are kept and compared in (RegTAP 1.2).
ORDER = 6

SCHEMA = """
CREATE SCHEMA rr;
CREATE TABLE rr.resource (ivoid text PRIMARY KEY, res_type text, short_name text, res_title text,
    content_level text, res_description text, reference_url text, creator_seq text, created text,
    updated text, rights text, content_type text, source_format text, source_value text,
    region_of_regard real, waveband text);
CREATE TABLE rr.res_subject (ivoid text, res_subject text);
CREATE TABLE rr.capability (ivoid text, cap_index int, cap_type text, cap_description text,
    standard_id text);
CREATE TABLE rr.interface (ivoid text, cap_index int, intf_index int, intf_type text, intf_role text,
    access_url text);
CREATE TABLE rr.res_table (ivoid text, table_name text, table_utype text);
CREATE TABLE rr.res_detail (ivoid text, cap_index int, detail_xpath text, detail_value text);
CREATE TABLE rr.stc_spatial (ivoid text, coverage int8multirange);
CREATE TABLE rr.points (ra float8, dec float8, cell int8);
CREATE FUNCTION rr.ivo_hasword(haystack text, needle text) RETURNS int LANGUAGE sql AS
    $$SELECT (to_tsvector('english', haystack) @@ plainto_tsquery('english', needle))::int$$;
CREATE FUNCTION rr.ivo_nocasematch(value text, pattern text) RETURNS int LANGUAGE sql AS
    $$SELECT (value ILIKE pattern)::int$$;
CREATE AGGREGATE rr.ivo_string_agg(text, text)
    (SFUNC = string_agg_transfn, STYPE = internal, FINALFUNC = string_agg_finalfn);
CREATE FUNCTION rr.moc(cell_order int, place point) RETURNS int8 LANGUAGE sql AS
    $$SELECT cell FROM rr.points WHERE ra = place[0] AND dec = place[1]$$;
CREATE FUNCTION rr.contains(cell int8, coverage int8multirange) RETURNS int LANGUAGE sql AS
    $$SELECT (cell <@ coverage)::int$$;
"""


class RegTAP:
    """The schema, and what pyvo asks a service of its kind before it writes a query.

    Args:
        dsn: of an empty database.
    """

    tables = ("rr.resource", "rr.stc_spatial")

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg2.connect(dsn)
        with self._connection.cursor() as cursor:
            cursor.execute(SCHEMA)
            cursor.execute("SET search_path = rr, pg_catalog")

    def get_tap_capability(self) -> RegTAP:
        """Return what :meth:`get_adql` is called of."""
        return self

    def get_adql(self) -> RegTAP:
        """Return what :meth:`get_feature` is called of."""
        return self

    def get_feature(self, kind: str, form: str) -> bool:
        """Say that there are set operators and MOCs."""
        return form in ("UNION", "MOC") and bool(kind)

    def load(self, records: Iterable[etree._Element]) -> None:
        """Take VOResource elements in."""
        for record in records:
            self._load(record)

    def found(self, query: str) -> set[str]:
        """Return the IVOIDs that a query finds."""
        return {row["ivoid"] for row in self.rows(query)}

    def rows(self, query: str) -> list[dict[str, str]]:
        """Return the rows of a query; what is ADQL in those of pyvo is SQL as well."""
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def know(self, ra: float, dec: float) -> None:
        """Note in which cell a position is [deg]."""
        self._insert("points", ra, dec, _cell(ra, dec))

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    def _load(self, record: etree._Element) -> None:
        ivoid = (record.findtext("identifier") or "").lower()
        self._insert("resource", ivoid, (record.get(XSI_TYPE) or "").lower(), *_described(record))
        for subject in record.iterfind("content/subject"):
            self._insert("res_subject", ivoid, subject.text)
        for index, capability in enumerate(record.iterfind("capability"), 1):
            self._load_capability(ivoid, index, capability)
        for table in record.iterfind("tableset/schema/table"):
            utype = table.findtext("utype")
            self._insert("res_table", ivoid, table.findtext("name"), utype.lower() if utype else None)
        if spatial := record.findtext("coverage/spatial"):
            self._insert("stc_spatial", ivoid, _ranges(spatial))

    def _load_capability(self, ivoid: str, index: int, capability: etree._Element) -> None:
        kind, standard = capability.get(XSI_TYPE), (capability.get("standardID") or "").lower()
        self._insert("capability", ivoid, index, kind and kind.lower(), None, standard)
        for number, interface in enumerate(capability.iterfind("interface"), 1):
            # A registry takes those that need no log-in (RegTAP 1.1 section 8.7).
            if interface.find("securityMethod") is None:
                kind, role = (interface.get(XSI_TYPE) or "").lower(), interface.get("role")
                self._insert("interface", ivoid, index, number, kind, role, interface.findtext("accessURL"))
        for model in capability.iterfind("dataModel"):
            self._insert("res_detail", ivoid, index, "/capability/dataModel/@ivo-id", model.get("ivo-id"))

    def _insert(self, table: str, *values: object) -> None:
        with self._connection.cursor() as cursor:
            places = ", ".join(["%s"] * len(values))
            cursor.execute(f"INSERT INTO rr.{table} VALUES ({places})", values)


def _described(record: etree._Element) -> list[str | None]:
    """Return the columns of rr.resource after the first two."""
    content = record.find("content")
    creators = [name.text or "" for name in record.iterfind("curation/creator/name")]
    return [
        record.findtext("shortName"),
        record.findtext("title"),
        record.findtext("content/contentLevel"),
        record.findtext("content/description"),
        record.findtext("content/referenceURL"),
        "; ".join(creators),
        record.get("created"),
        record.get("updated"),
        record.findtext("rights"),
        content.findtext("type") if content is not None else None,
        None,
        None,
        None,
        "#".join(band.text or "" for band in record.iterfind("coverage/waveband")),
    ]


def _ranges(text: str) -> str:
    """Return a MOC in ASCII as PostgreSQL reads ranges of cells."""
    shift = 2 * (29 - ORDER)
    moc = MOC.from_string(text, "ascii")
    if moc.max_order > ORDER:
        moc = moc.degrade_to_order(ORDER)
    return (
        "{" + ",".join(f"[{first >> shift},{last >> shift})" for first, last in moc.to_depth29_ranges) + "}"
    )


def _cell(ra: float, dec: float) -> int:
    """Return the number of the cell that a position is in [deg]."""
    moc = MOC.from_lonlat([ra] * units.deg, [dec] * units.deg, max_norder=ORDER)
    return int(moc.flatten()[0])
