"""Reading one file: its hash and what it says about itself, without a database."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from astropy.utils.exceptions import AstropyWarning

from ingest import readers
from ingest.datafile import DataFile, Description
from ingest.headers import Remark
from ingest.observatory import Observatory
from ingest.stream import Stream, Unreadable
from ost_vo.store.products import FileState

_MAX_WARNINGS = 50  # of a file: a header of noise has one for each card
_MAX_WARNING = 300  # characters kept of what astropy warns of


@dataclass(frozen=True, slots=True)
class Task:
    """A file to be read.

    Attributes:
        location: where it lies.
        path: relative to the data root.
        size: bytes, when it was found.
        known: SHA-256 that the archive has of that path; None where it has none.
    """

    location: Path
    path: str
    size: int
    known: bytes | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file holds.

    Attributes:
        state, sha256: the file as it was read, and the SHA-256 of its bytes on disk.
        description: what it says about itself; None where the archive knows these bytes at this path.
        warned: what astropy warned of.
    """

    state: FileState
    sha256: bytes
    description: Description | None
    warned: Sequence[Remark] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a file could not be read; None where it is gone: a temporary file, or a rename."""

    reason: str | None


def read(task: Task, observatory: Observatory) -> Reading | Failure:
    """Read a file of an observatory; whatever is wrong with it is a Failure, and no exception."""
    try:
        return _read(task, observatory)
    except FileNotFoundError:
        return Failure(None)
    except Unreadable as fault:
        return Failure(fault.detail)
    except OSError as error:
        return Failure(f"Cannot be read: {error.strerror or error}.")
    except Exception as error:  # noqa: BLE001 - whatever astropy makes of one file, the others go on
        return Failure(f"Cannot be understood ({type(error).__name__}: {error}).")


def _read(task: Task, observatory: Observatory) -> Reading:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", AstropyWarning)
        with open(task.location, "rb", buffering=0, opener=_opener) as raw:
            file = _file(raw, task, observatory)
            describe = readers.read(file)
            sha256 = file.stream.digest()
            state = _state(file)
            description = None if task.known == sha256 else describe()
    warned = [Remark("FITS", str(warning.message)[:_MAX_WARNING]) for warning in caught[:_MAX_WARNINGS]]
    if len(caught) > _MAX_WARNINGS:
        warned.append(Remark("FITS", f"{len(caught)} warnings of astropy: only {_MAX_WARNINGS} are kept."))
    return Reading(state, sha256, description, warned)


def _file(raw: BinaryIO, task: Task, observatory: Observatory) -> DataFile:
    status = os.fstat(raw.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("Not an ordinary file.")
    return DataFile(
        task.path, raw, Stream(raw), status.st_size, status.st_mtime_ns, task.location, observatory
    )


def _state(file: DataFile) -> FileState:
    """Return a file's state now that it was read, which must be as it was before."""
    after = os.fstat(file.raw.fileno())
    if (file.size, file.modified_ns) != (after.st_size, after.st_mtime_ns):
        raise Unreadable("Changed while it was read: ingest it again when it is complete.")
    return FileState.of(file.path, file.size, file.modified_ns)


def _opener(path: str, flags: int) -> int:
    # Not through a link that took the file's place, and without waiting for the writer of a FIFO.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
