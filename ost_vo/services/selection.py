"""Which files a download has: by identifiers, a query, the result of a TAP job, filters, DataLink semantics.

Identifiers, query and job are joined; filters narrow them, or choose among all valid products where there are
none; SEMANTICS says whether these products go in, what belongs to them as DataLink has it, or both.

Source: DataLink 1.1 section 3.2.6 (semantics); the filters are those of the observatory's former archive.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ost_vo.access.context import Context
from ost_vo.faults import NotFoundFault, UsageFault
from ost_vo.services import products
from ost_vo.services.archive import Archive
from ost_vo.services.datalink import registry_part
from ost_vo.services.execution import directory
from ost_vo.store import downloads, listings, observations, relations
from ost_vo.store import uploads as tables
from ost_vo.store.jobs import JobStore
from ost_vo.store.observations import Product
from ost_vo.store.reader import ConnectionSource
from ost_vo.vo import adql, upload_rows
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.sia import canonical_identifier
from ost_vo.vo.uws import Job, Phase

TAP = "tap"
THIS = "this"
_KEY = "obs_publisher_did"
_CALIBRATIONS = ("bias", "dark", "flat")
SEMANTICS = (THIS, "progenitor", "derivation", "coderived", *_CALIBRATIONS)
_JOB_ID = re.compile(r"(?:^|/)([0-9a-f]{32})(?:/|$)")
# What the former archive called types of exposure.
_EXPOSURE_CODES = {"bi": "bias", "da": "dark", "fl": "flat", "li": "light", "wa": "wave", "uk": "unknown"}
_FITS = r"(\.(fits?|fts)(\.(gz|fz|bz2|z))?|\.fz)$"
_SUFFIXES = {"fits": _FITS, "fit": _FITS, "jpg": r"\.jpe?g$", "jpeg": r"\.jpe?g$", "tif": r"\.tiff?$"}
_SUFFIXES["tiff"] = _SUFFIXES["tif"]
_YES, _NO = ("1", "true", "yes"), ("0", "false", "no")


@dataclass(frozen=True)
class Selection:
    """The products of a download, in the order of their paths.

    Attributes:
        products: what the archive knows of their files.
        rows: identifier to the row of ``ost.products``.
        unknown: identifiers that were asked for, of which there is no product that the caller may see.
    """

    products: list[Product]
    rows: Mapping[str, Mapping[str, Any]]
    unknown: tuple[str, ...] = ()


def flag(parameters: Parameters, name: str) -> bool | None:
    """Return the value of a parameter that is true or false; None where it is not given.

    Raises:
        UsageFault: it is something else.
    """
    text = parameters.one(name)
    if text is None:
        return None
    plain = text.strip().lower()
    if plain not in (*_YES, *_NO):
        raise UsageFault(f"{name}={text!r} is neither true nor false.", "Give true or false.")
    return plain in _YES


def select(
    archive: Archive,
    context: Context,
    parameters: Parameters,
    *,
    is_partial: bool = False,
    connections: ConnectionSource | None = None,
) -> Selection:
    """Return the products that parameters ask for, as the caller may see them now.

    Args:
        archive: the open archive.
        context: who asks, in which scope.
        parameters: of the job.
        is_partial: whether identifiers that lead to nothing are left out, and noted.
        connections: where queries run; the archive's own if None.

    Raises:
        UsageFault: a parameter is wrong; nothing is asked for, or more than a download may have.
        NotFoundFault: there is no product of an identifier, or none that the caller may see.
        TransientFault: out of time or connections.
    """
    return _Desk(archive, context, connections or archive.database.connection).select(parameters, is_partial)


def is_run(archive: Archive, context: Context, name: str) -> bool:
    """Say whether there is a run of that name with products that the caller may see.

    Raises:
        TransientFault: out of time or connections.
    """
    if "\0" in name:
        return False
    settings = archive.transaction_settings(context)
    with archive.database.connection() as connection:
        return bool(downloads.matching(connection, settings, {"RUN": [name]}, None, 1))


class _Desk:
    """Where one selection is made."""

    def __init__(self, archive: Archive, context: Context, connections: ConnectionSource) -> None:
        self._archive = archive
        self._context = context
        self._connections = connections
        self._settings = archive.transaction_settings(context)
        self._most = archive.settings.download_files

    def select(self, parameters: Parameters, is_partial: bool) -> Selection:
        filters, semantics = _filters(parameters), _semantics(parameters)
        asked = self._asked(parameters)
        if asked is None and not filters:
            known = ", ".join(downloads.CONDITIONS)
            raise UsageFault("Nothing is asked for.", f"Give ID, QUERY, JOB, or filters: {known}.")
        if asked is not None:
            self._check_count(asked)
        unknown = self._unknown(asked or ())
        if unknown and not is_partial:
            raise NotFoundFault(f"There is no data set {unknown[0]!r}, or none that you may see.")
        if filters or asked is None:
            asked = self._matching(filters, asked)
        chosen = self._related(sorted(set(asked) - set(unknown)), semantics)
        if not chosen:
            raise UsageFault("No file is selected.", "Ask in ost.products what there is.")
        self._check_count(chosen)
        return self._complete(chosen, unknown)

    def _asked(self, parameters: Parameters) -> list[str] | None:
        """Return the identifiers that are asked for; None where it is not done by identifiers."""
        part = registry_part(self._archive)
        given = [text.strip() for text in parameters.all("ID")]
        # PostgreSQL stores no NUL, so nothing is called so.
        found = [canonical_identifier(text, part) if "\0" not in text else text for text in given]
        query, job = parameters.one("QUERY"), parameters.one("JOB")
        if query is not None:
            found += products.chosen(self._archive, self._context, query, self._most)
        if job is not None:
            found += self._of_job(job)
        return None if not given and query is None and job is None else list(dict.fromkeys(found))

    def _of_job(self, text: str) -> list[str]:
        """Return the identifiers in the result of a TAP job of the caller."""
        job = self._finished(text)
        name = "result"
        try:
            file = (directory(self._archive.settings, job.id) / name).open("rb")
        except FileNotFoundError:
            raise _no_job(text) from None
        with file:
            upload = tables.Upload(name, upload_rows.read(file, name))
            table = tables.table(upload, 1)
            if _KEY not in {column.name.lower() for column in table.columns}:
                raise UsageFault(f"The result of the job {job.id} has no column {_KEY}.", f"Query {_KEY}.")
            catalogue = self._archive.published.catalogue.with_tables([table])
            sql = adql.translate(f"SELECT {_KEY} FROM TAP_UPLOAD.{name}", catalogue).sql  # noqa: S608
            with self._connections() as connection:
                return downloads.listed(connection, self._settings, sql, upload, self._most + 1)

    def _finished(self, text: str) -> Job:
        found = _JOB_ID.search(text.strip())
        job = JobStore(self._archive.jobs_database).get(found[1]) if found else None
        if job is None or job.kind != TAP or job.owner_id not in (None, self._context.user_id):
            raise _no_job(text)
        if job.phase is not Phase.COMPLETED:
            raise UsageFault(f"The job {job.id} is {job.phase}.", "Wait until it is COMPLETED.")
        return job

    def _unknown(self, asked: Sequence[str]) -> tuple[str, ...]:
        names = [text for text in asked if "\0" not in text]
        known: set[str] = set()
        if names:
            with self._connections() as connection:
                known = set(downloads.matching(connection, self._settings, {}, names, len(names)))
        return tuple(text for text in asked if text not in known)

    def _matching(self, filters: Mapping[str, object], among: list[str] | None) -> list[str]:
        names = None if among is None else [text for text in among if "\0" not in text]
        with self._connections() as connection:
            found = downloads.matching(connection, self._settings, filters, names, self._most + 1)
        self._check_count(found)
        return found

    def _related(self, identifiers: list[str], semantics: set[str]) -> list[str]:
        chosen = identifiers if THIS in semantics else []
        if not identifiers or semantics == {THIS}:
            return chosen
        with self._connections() as connection:
            found = relations.data_sets(connection, self._settings, identifiers).values()
        others = (
            relation.other.identifier
            for data_set in found
            for relation in data_set.relations
            if relation.semantics in semantics
        )
        return list(dict.fromkeys([*chosen, *others]))

    def _complete(self, identifiers: list[str], unknown: tuple[str, ...]) -> Selection:
        names = [column.name for column in products.columns(self._archive)]
        with self._connections() as connection:
            found = observations.by_identifier(connection, self._settings, identifiers)
            rows = listings.by_identifier(connection, self._settings, names, identifiers)
        known = {row[_KEY]: row for row in rows}
        chosen = sorted((found[name] for name in found.keys() & known.keys()), key=lambda item: item.path)
        # What was withdrawn between two queries is as what never was.
        gone = tuple(sorted(set(identifiers) - {item.identifier for item in chosen}))
        size, most = sum(item.file_size for item in chosen), self._archive.settings.download_bytes
        if size > most:
            raise UsageFault(
                f"The files have {size} bytes in all, and a download may have {most}.", "Ask for fewer."
            )
        return Selection(chosen, known, unknown + gone)

    def _check_count(self, identifiers: Sequence[str]) -> None:
        if len(identifiers) > self._most:
            raise UsageFault(
                f"The selection has more than {self._most} files, the most that a download may have.",
                "Narrow it, or make several downloads.",
            )


def _no_job(text: str) -> NotFoundFault:
    return NotFoundFault(f"There is no TAP job {text!r} of yours, or its result is gone.", "Run it again.")


def _semantics(parameters: Parameters) -> set[str]:
    """Return what goes in, by the core vocabulary of DataLink without ``#``."""
    names = {text.strip().removeprefix("#").lower() for text in parameters.all("SEMANTICS")} or {THIS}
    wrong = sorted(names - {*SEMANTICS, "calibration"})
    if wrong:
        known = ", ".join(f"#{name}" for name in (*SEMANTICS, "calibration"))
        raise UsageFault(f"SEMANTICS={wrong[0]!r} is unknown.", f"Give one or more of {known}.")
    return names | set(_CALIBRATIONS) if "calibration" in names else names


def _filters(parameters: Parameters) -> dict[str, object]:
    """Return the filters among parameters, with their values as the conditions take them."""
    filters: dict[str, object] = {}
    for name in downloads.CONDITIONS:
        if parameters.all(name):
            filters[name] = _READERS.get(name, _text)(parameters, name)
    return filters


def _text(parameters: Parameters, name: str) -> object:
    text = parameters.one(name) or ""
    _check_text(name, [text])
    return text.strip()


def _texts(parameters: Parameters, name: str) -> object:
    texts = parameters.all(name)
    _check_text(name, texts)
    return [text.strip() for text in texts]


def _check_text(name: str, texts: Iterable[str]) -> None:
    if any("\0" in text for text in texts):
        raise UsageFault(f"{name} has a NUL character in it.", "Leave it out.")


def _number(parameters: Parameters, name: str) -> object:
    text = parameters.one(name) or ""
    try:
        return float(text)
    except ValueError:
        raise UsageFault(f"{name}={text!r} is not a number.", "Give one as in 30 or 0.5.") from None


def _exposure_types(parameters: Parameters, name: str) -> object:
    given = [text.strip().lower() for text in parameters.all(name)]
    found = [_EXPOSURE_CODES.get(text, text) for text in given]
    wrong = sorted(set(found) - set(_EXPOSURE_CODES.values()))
    if wrong:
        raise UsageFault(
            f"{name}={wrong[0]!r} is unknown.", f"Give one or more of {', '.join(_EXPOSURE_CODES.values())}."
        )
    return found


def _patterns(parameters: Parameters, name: str) -> object:
    """Return patterns that paths of files of certain types end with."""
    given = [text.strip().lower().removeprefix(".") for text in parameters.all(name)]
    for text in given:
        if not re.fullmatch(r"[a-z0-9]{1,8}", text):
            raise UsageFault(f"{name}={text!r} is no type of file.", "Give one as in FITS, SER or JPG.")
    return [_SUFFIXES.get(text, rf"\.{text}$") for text in given]


_READERS: Mapping[str, Callable[[Parameters, str], object]] = {
    "RUN": _texts,
    "FILE_TYPE": _patterns,
    "EXPOSURE_TYPE": _exposure_types,
    "SPECTROSCOPY": flag,
    "EXPTIME_MIN": _number,
    "EXPTIME_MAX": _number,
    "PLATE_SOLVED": flag,
    "PIXEL_COUNT_MIN": _number,
    "PIXEL_COUNT_MAX": _number,
}
