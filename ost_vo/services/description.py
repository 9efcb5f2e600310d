"""What the services say of themselves: capabilities, availability, tables.

Source: VOSI 1.1; TAPRegExt 1.0; SIA 2.0 section 5; DataLink 1.1 section 5; SODA 1.0
section 2.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lxml import etree

from ost_vo.faults import NotFoundFault
from ost_vo.services import formats
from ost_vo.services.archive import Archive
from ost_vo.vo import adql, vosi
from ost_vo.vo.vosi import Capability, Interface

_TAP = "ivo://ivoa.net/std/TAP"
_EXAMPLES = "ivo://ivoa.net/std/DALI#examples"
_OBSCORE = "ivo://ivoa.net/std/ObsCore#core-1.1"

# What clients may post a name and a password to, for a cookie.
PASSWORD_LOGIN = "ivo://ivoa.net/sso#tls-with-password"
# Clients log in where that is declared, and nowhere else.
_LOGINS = ("ivo://ivoa.net/sso#BasicAA", "ivo://ivoa.net/sso#cookie")


def tap_capabilities(archive: Archive, base_url: str) -> bytes:
    """Return what the TAP service can do; ``base_url`` is what the client's URLs begin with."""
    base = f"{base_url}/tap"
    interface = Interface(base, use="base", version="1.1")
    tap = Capability(_TAP, _with_logins(interface), "tr:TableAccess", tuple(_tap_details(archive)))
    tables = Capability("ivo://ivoa.net/std/VOSI#tables-1.1", (Interface(f"{base}/tables", version="1.1"),))
    examples = Interface(f"{base}/examples", kind="vr:WebBrowser", role=None)
    rest = [tables, Capability(_EXAMPLES, (examples,)), _login(archive)]
    return vosi.capabilities([tap, *_self_description(base), *rest])


def sia_capabilities(archive: Archive, base_url: str) -> bytes:
    """Return what the SIA service can do; ``base_url`` is what the client's URLs begin with."""
    base = f"{base_url}/sia"
    query = Interface(f"{base}/query", use="base", version="2.0", query_types=("GET",))
    sia = Capability("ivo://ivoa.net/std/SIA#query-2.0", _with_logins(query))
    return vosi.capabilities([sia, *_self_description(base), _login(archive)])


def datalink_capabilities(archive: Archive, base_url: str) -> bytes:
    """Return what the DataLink service can do; ``base_url`` is what the client's URLs begin with."""
    base = f"{base_url}/datalink"
    links = Interface(f"{base}/links", use="base", version="1.1", query_types=("GET",))
    datalink = Capability("ivo://ivoa.net/std/DataLink#links-1.1", _with_logins(links))
    return vosi.capabilities([datalink, *_self_description(base), _login(archive)])


def soda_capabilities(archive: Archive, base_url: str) -> bytes:
    """Return what the cutout service can do; ``base_url`` is what the client's URLs begin with."""
    base = f"{base_url}/soda"
    sync = Interface(f"{base}/sync", use="base", version="1.0", query_types=("GET", "POST"))
    jobs = Interface(f"{base}/async", use="base", version="1.0", query_types=("POST",))
    soda = (
        Capability("ivo://ivoa.net/std/SODA#sync-1.0", _with_logins(sync)),
        Capability("ivo://ivoa.net/std/SODA#async-1.0", _with_logins(jobs)),
    )
    return vosi.capabilities([*soda, *_self_description(base), _login(archive)])


def downloads_capabilities(archive: Archive, base_url: str) -> bytes:
    """Return what the service for downloads can do; ``base_url`` is what the client's URLs begin with."""
    base = f"{base_url}/downloads"
    jobs = Interface(base, use="base", version="1.1", query_types=("POST",))
    uws = Capability("ivo://ivoa.net/std/UWS#rest-1.1", _with_logins(jobs))
    return vosi.capabilities([uws, *_self_description(base), _login(archive)])


def availability(archive: Archive) -> bytes:
    """Say that the service is up, once its database has answered.

    Raises:
        TransientFault: it does not.
    """
    with archive.database.connection():
        return vosi.availability(True, archive.started)


def tables(archive: Archive, detail: str) -> bytes:
    """Return the tables that queries may name, with their columns where ``detail`` is ``max``."""
    described = _descriptions(archive)
    return vosi.tableset(
        [
            (
                schema.name,
                schema.description,
                schema.utype,
                [
                    described[table.sql_name]
                    for table in archive.published.catalogue
                    if table.schema == schema.name
                ],
            )
            for schema in archive.published.schemas
            if any(table.schema == schema.name for table in archive.published.catalogue)
        ],
        detail,
    )


def table(archive: Archive, name: str) -> bytes:
    """Return one table with its columns.

    Raises:
        NotFoundFault: there is no table of that name.
    """
    described = {key.lower(): value for key, value in _descriptions(archive).items()}
    if name.lower() not in described:
        raise NotFoundFault(f"There is no table {name}.", "/tap/tables lists the tables.")
    return vosi.table(described[name.lower()])


def _with_logins(interface: Interface) -> tuple[Interface, ...]:
    """Return an interface for anonymous callers, and for each way to log in (VOResource 1.1, erratum 1)."""
    return (interface, *(replace(interface, role=None, security=method) for method in _LOGINS))


def _login(archive: Archive) -> Capability:
    """Return where a name and a password give a cookie (SSO 2.0 section 3.2)."""
    return Capability(PASSWORD_LOGIN, (Interface(f"{archive.settings.base_url}/login", role=None),))


def _self_description(base: str) -> list[Capability]:
    return [
        Capability("ivo://ivoa.net/std/VOSI#capabilities", (Interface(f"{base}/capabilities"),)),
        Capability("ivo://ivoa.net/std/VOSI#availability", (Interface(f"{base}/availability"),)),
    ]


def _tap_details(archive: Archive) -> list[etree._Element]:
    element, settings = vosi.element, archive.settings
    language = element("language", element("name", "ADQL"))
    for version in ("2.1", "2.0"):
        language.append(element("version", version, **{"ivo-id": f"ivo://ivoa.net/std/ADQL#v{version}"}))
    language.append(element("description", "The Astronomical Data Query Language"))
    for kind, features in adql.LANGUAGE_FEATURES.items():
        language.append(_features(kind, features))
    outputs = []
    for form in formats.FORMATS:
        output = element("outputFormat", element("mime", form.media_type))
        output.extend(element("alias", alias) for alias in form.aliases)
        if form.ivo_id:
            output.set("ivo-id", form.ivo_id)
        outputs.append(output)
    methods = [
        element("uploadMethod", **{"ivo-id": f"ivo://ivoa.net/std/TAPRegExt#upload-{method}"})
        for method in ("inline", "http")
    ]
    model = element("dataModel", "ObsCore-1.1", **{"ivo-id": _OBSCORE})
    day = 86400
    limits = [
        _limits("retentionPeriod", settings.job_days * day, settings.job_max_days * day),
        _limits("executionDuration", settings.job_seconds, settings.job_max_seconds),
        _limits("outputLimit", settings.default_maxrec, settings.max_maxrec, unit="row"),
        _limits("uploadLimit", settings.upload_bytes, settings.upload_bytes, unit="byte"),
    ]
    return [model, language, *outputs, *methods, *limits]


def _limits(tag: str, default: float, hard: float, **unit: str) -> etree._Element:
    """Return a limit of TAPRegExt; times are in seconds."""
    parts = [
        vosi.element(kind, str(int(value)), **unit) for kind, value in (("default", default), ("hard", hard))
    ]
    return vosi.element(tag, *parts)


def _features(kind: str, features: Iterable[tuple[str, str]]) -> etree._Element:
    group = vosi.element("languageFeatures", type=kind)
    for form, description in features:
        feature = vosi.element("feature", vosi.element("form", form))
        if description:
            feature.append(vosi.element("description", description))
        group.append(feature)
    return group


def _descriptions(archive: Archive) -> dict[str, vosi.TableDescription]:
    """Return every table by its qualified name."""
    keys = archive.published.foreign_keys
    return {
        table.sql_name: vosi.TableDescription(
            table.sql_name,
            table.description,
            table.utype,
            table.columns,
            [
                (key.target_table, key.columns, key.description)
                for key in keys
                if key.from_table == table.sql_name
            ],
        )
        for table in archive.published.catalogue
    }
