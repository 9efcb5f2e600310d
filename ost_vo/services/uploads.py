"""The uploads of a query: where their documents are, and how they become tables that it can name.

Documents that come with a request are kept in a directory of their own, under names that nobody can guess. In
the parameters of the request, such a name stands for the part: so an asynchronous job finds it when it runs.

Source: TAP 1.1 section 2.5.
"""

from __future__ import annotations

import gzip
import io
import re
import secrets
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

from ost_vo.faults import UsageFault
from ost_vo.services import remote
from ost_vo.settings import Settings
from ost_vo.store import uploads as store
from ost_vo.vo import upload_rows
from ost_vo.vo import uploads as vo
from ost_vo.vo.columns import Table
from ost_vo.vo.parameters import Parameters

_PARAM = "param:"
_KEPT = re.compile(r"upload:([0-9a-f]{32})")
_NAME_BYTES = 16
_SUFFIX = ".upload"
# A job may wait for its run until it is destroyed; a document without a job is garbage a day later [s].
_DAY_SECONDS = 86_400
_GZIP = b"\x1f\x8b"
_CHUNK = 2**20


class Load(Protocol):
    """What puts uploads into the database."""

    def __call__(self, cursor: store.Cursor, settings: dict[str, str]) -> None:
        """Load the tables, given the cursor of a transaction that may still write, and its settings."""


@dataclass(frozen=True)
class Uploads:
    """The uploads of one query, open.

    Attributes:
        tables: what the query can name.
        load: puts them into the database; None where there are none.
    """

    tables: tuple[Table, ...] = ()
    load: Load | None = None


NOTHING = Uploads()


def names(parameters: Parameters) -> set[str]:
    """Return the names of the parts, in upper case, that UPLOAD says its documents are in.

    Raises:
        UsageFault: UPLOAD is wrong.
    """
    sources = vo.sources(parameters.all("UPLOAD"))
    return {part for source in sources if (part := _part(source)) is not None}


def keep(settings: Settings, file: BinaryIO) -> str:
    """Keep a document until it is discarded; return the value that stands for it in the parameters."""
    root = directory(settings)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(root, (settings.job_max_days + 1) * _DAY_SECONDS)
    name = secrets.token_hex(_NAME_BYTES)
    with _path(settings, name).open("xb") as copy:
        shutil.copyfileobj(file, copy, _CHUNK)
    return f"upload:{name}"


def is_kept(value: str) -> bool:
    """Tell whether a value stands for a kept document; no client may send such a value itself."""
    return _KEPT.fullmatch(value) is not None


def discard(settings: Settings, parameters: Parameters) -> None:
    """Remove the documents that the parameters name; harmless where there are none."""
    for _, value in parameters:
        if kept := _KEPT.fullmatch(value):
            _path(settings, kept[1]).unlink(missing_ok=True)


@contextmanager
def opened(settings: Settings, parameters: Parameters) -> Iterator[Uploads]:
    """Read the heads of the uploads, fetching those that are elsewhere, and keep the documents open.

    Raises:
        UsageFault: UPLOAD is wrong, a document is missing, or it is no table.
        TransientFault: a host does not answer.
    """
    with ExitStack() as files:
        found = []
        for source in vo.sources(parameters.all("UPLOAD")):
            file = files.enter_context(_document(settings, parameters, source))
            plain = files.enter_context(_uncompressed(file, source.name, settings.upload_bytes))
            found.append(store.Upload(source.name, upload_rows.read(plain, source.name)))
        tables = tuple(store.table(upload, number) for number, upload in enumerate(found, 1))
        yield Uploads(tables, partial(_load, found) if found else None)


def _load(found: list[store.Upload], cursor: store.Cursor, settings: dict[str, str]) -> None:
    store.load(cursor, found, settings)


def _uncompressed(file: BinaryIO, name: str, most: int) -> BinaryIO:
    """Return a document without gzip around it, from its beginning.

    Raises:
        UsageFault: it is damaged, or larger than ``most`` bytes.
    """
    is_packed = file.read(len(_GZIP)) == _GZIP
    file.seek(0)
    if not is_packed:
        return file
    plain = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        with gzip.open(file, "rb") as packed:
            while chunk := packed.read(_CHUNK):
                if plain.tell() + len(chunk) > most:
                    raise UsageFault(
                        f"The table {name} is larger than {most} bytes when unpacked.",
                        "Upload fewer rows or columns.",
                    )
                plain.write(chunk)
    except (OSError, EOFError, zlib.error) as error:
        plain.close()
        raise UsageFault(f"The table {name} is damaged gzip: {error}.", "Upload it again.") from None
    except UsageFault:
        plain.close()
        raise
    plain.seek(0)
    return plain


def directory(settings: Settings) -> Path:
    """Return where documents are kept, which all web processes and workers share."""
    return settings.state / "uploads"


def _path(settings: Settings, name: str) -> Path:
    """Return the file of a kept document."""
    return directory(settings) / (name + _SUFFIX)


def _part(source: vo.Source) -> str | None:
    is_part = source.uri.lower().startswith(_PARAM)
    return source.uri[len(_PARAM) :].upper() if is_part else None


def _document(settings: Settings, parameters: Parameters, source: vo.Source) -> BinaryIO:
    """Return the document of an upload, from its beginning."""
    part = _part(source)
    if part is not None:
        return _inline(settings, parameters.all(part), source)
    if source.uri.split(":")[0].lower() not in ("http", "https"):
        raise UsageFault(
            f"UPLOAD: the table {source.name} cannot be read from {source.uri[:200]!r}.",
            "Write param: and the name of a part of the request, or an http(s) URL.",
        )
    allowed = remote.networks(settings.upload_networks)
    limits = remote.Limits(allowed, settings.upload_bytes, settings.upload_seconds)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        remote.fetch(source.uri, file, limits)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _inline(settings: Settings, values: list[str], source: vo.Source) -> BinaryIO:
    """Return the document in a part of the request: a file that was kept, or the text of a field."""
    part = source.uri[len(_PARAM) :]
    if not values:
        raise UsageFault(
            f"UPLOAD: the request has no part {part!r} for the table {source.name}.",
            "Send a multipart/form-data POST, with the table in a part of that name.",
        )
    kept = _KEPT.fullmatch(values[-1])
    if kept is None:
        return io.BytesIO(values[-1].encode())
    try:
        return _path(settings, kept[1]).open("rb")
    except FileNotFoundError:
        raise UsageFault(
            f"The document of the table {source.name} is not kept any more.", "Upload it again."
        ) from None


def _sweep(root: Path, seconds: float) -> None:
    """Remove documents older than any job that could still need them."""
    oldest = time.time() - seconds
    for path in root.glob(f"*{_SUFFIX}"):
        if path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
