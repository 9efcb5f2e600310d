"""The documents of a download: what is in it, what could not be read, checksums, a script that fetches it.

Source: the format of GNU ``sha256sum`` (coreutils 9.1, section 6.6); POSIX.1-2017 (shell).
"""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from ost_vo.vo import votable
from ost_vo.vo.columns import Column

OK, CHANGED, UNREADABLE = "ok", "changed", "unreadable"

# Before the columns of ost.products, whose size and checksum are those of the file as it was read.
_COLUMNS = (
    Column("file", "unicodeChar", "*", ucd="meta.file", description="Path of the file in the archive"),
    Column("status", "char", "*", ucd="meta.code.status", description="ok, changed, or unreadable"),
    Column("reason", "unicodeChar", "*", ucd="meta.note", description="Why it is not ok"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A file of a download.

    Attributes:
        identifier: of the product.
        name: its path in the archive; '' where nothing is known of the product.
        status: OK, CHANGED since it was ingested, or UNREADABLE and so not in the archive.
        reason: for people, why it is not OK.
        size: as read [byte]; None where it is unreadable.
        sha256: as read, hexadecimal; None where it is unreadable.
    """

    identifier: str
    name: str
    status: str = OK
    reason: str = ""
    size: int | None = None
    sha256: str | None = None

    @property
    def is_there(self) -> bool:
        """Whether the file is in the archive."""
        return self.status != UNREADABLE


class Manifest:
    """The list of what is in a download.

    Args:
        columns: of ``ost.products``.
        rows: identifier to the row of ``ost.products``.
        lines: the files.
    """

    def __init__(
        self, columns: Sequence[Column], rows: Mapping[str, Mapping[str, Any]], lines: Sequence[Line]
    ) -> None:
        self._columns = (*_COLUMNS, *columns)
        self._rows = [self._row(line, rows.get(line.identifier, {})) for line in lines]

    def as_votable(self) -> bytes:
        """Return it as a VOTable, with units and descriptions."""
        return votable.document(self._columns, self._rows, description="The files of a download")

    def as_csv(self) -> bytes:
        """Return it as CSV with a header line."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(column.name for column in self._columns)
        writer.writerows([_text(value) for value in row] for row in self._rows)
        return text.getvalue().encode()

    def _row(self, line: Line, row: Mapping[str, Any]) -> tuple[Any, ...]:
        read: dict[str, Any] = {
            "file": line.name,
            "status": line.status,
            "reason": line.reason,
            "obs_publisher_did": line.identifier,
        }
        if line.is_there:
            read |= {"file_size": line.size, "sha256": line.sha256}
        return tuple(read.get(column.name, row.get(column.name)) for column in self._columns)


def checksums(lines: Iterable[Line]) -> bytes:
    """Return what ``sha256sum -c`` verifies the files by."""
    return "".join(f"{_checksum(line)}\n" for line in lines if line.is_there).encode()


def script(lines: Iterable[Line], base_url: str) -> bytes:
    """Return a shell script that fetches the files with curl, goes on where it stopped, and verifies them.

    Args:
        lines: the files.
        base_url: what the archive's URLs begin with.
    """
    calls = (
        f"fetch {line.sha256} {shlex.quote(line.name)} {shlex.quote(f'{base_url}/files/{quote(line.name)}')}"
        for line in lines
        if line.is_there
    )
    return (_SCRIPT + "\n".join(calls) + "\n" + _END).encode()


_SCRIPT = r"""#!/bin/sh
# Fetches the files of a download into this directory; run it again to go on after an interruption.
# For files that are not public, put an API token into OST_TOKEN, or name and password into ~/.netrc.
set -u
failed=0

sum() { sha256sum < "$1" | cut -d ' ' -f 1; }

login() { [ -z "${OST_TOKEN:-}" ] || printf 'header = "Authorization: Bearer %s"\n' "$OST_TOKEN"; }

fetch() {
    if [ -f "./$2" ] && [ "$(sum "./$2")" = "$1" ]; then return; fi
    mkdir -p "./$(dirname "./$2")"
    if [ "$(sum /dev/null)" = "$1" ]; then : > "./$2"; return; fi
    login | curl --config - --netrc-optional --fail --silent --show-error --location --retry 3 \
        --continue-at - --output "./$2.part" "$3" || { failed=$((failed + 1)); return; }
    if [ "$(sum "./$2.part")" = "$1" ]; then mv "./$2.part" "./$2"; echo "./$2"; return; fi
    rm -f "./$2.part"
    echo "./$2: the checksum is not that of the download, try again" >&2
    failed=$((failed + 1))
}

"""
_END = """
[ "$failed" = 0 ] || { echo "$failed files could not be fetched" >&2; exit 1; }
"""


def _checksum(line: Line) -> str:
    name = line.name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if name == line.name else chr(92)}{line.sha256}  {name}"


def _text(value: Any) -> Any:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else value
