"""What is in the archive of a download: kept beside its results, so that it can be sent without a file.

The plan of an archive of stored files, with the documents that go into it, says every byte of the archive but
those of the files themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from isal import isal_zlib

from ost_vo.faults import UsageFault
from ost_vo.vo import tar_layout, zip_layout
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.spans import Spans

# The result that holds the files, and the file that keeps the plan of it.
ARCHIVE, PLAN = "archive", "plan"
# Result to the name that its document has in the archive.
DOCUMENTS = {
    "manifest": "manifest.vot",
    "manifest.csv": "manifest.csv",
    "checksums": "SHA256SUMS",
    "script": "fetch.sh",
}
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of archive.

    Attributes:
        name: as RESPONSEFORMAT has it.
        media_type: of the archive.
        suffix: of its name.
        is_streamed: whether it is put together while it is sent, since its files are stored as they are.
    """

    name: str
    media_type: str
    suffix: str
    is_streamed: bool


FORMS = {
    form.name: form
    for form in (
        Form("zip", "application/zip", ".zip", is_streamed=True),
        Form("tar", "application/x-tar", ".tar", is_streamed=True),
        Form("zip-deflated", "application/zip", ".zip", is_streamed=False),
        Form("tar.zst", "application/zstd", ".tar.zst", is_streamed=False),
    )
}


def form_of(parameters: Parameters) -> Form:
    """Return the kind of archive that parameters ask for, a ZIP of stored files where they ask for none.

    Raises:
        UsageFault: there is no such kind.
    """
    wanted = parameters.one("RESPONSEFORMAT", "FORMAT")
    name = (wanted or "zip").strip().lower()
    for form in FORMS.values():
        if name in (form.name, form.media_type):
            return form
    raise UsageFault(f"There is no archive of the format {wanted!r}.", f"Formats: {', '.join(FORMS)}.")


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file in the archive.

    Attributes:
        identifier: of the product.
        name: its path, below the root directory of the archive.
        size: as read [byte].
        modified: when it was last changed before it was read [ns since 1970, UTC].
        sha256: as read, hexadecimal.
        crc32: as read.
    """

    identifier: str
    name: str
    size: int
    modified: int
    sha256: str
    crc32: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is in an archive.

    Attributes:
        form: name of its kind.
        root: the directory that all is in.
        made: when it was put together [s since 1970, UTC].
        files: in order; the documents follow them.
    """

    form: str
    root: str
    made: int
    files: tuple[PlannedFile, ...]

    @property
    def name(self) -> str:
        """The name of the archive for those who keep it."""
        return self.root + FORMS[self.form].suffix

    @property
    def is_streamed(self) -> bool:
        """Whether the archive is put together while it is sent."""
        return FORMS[self.form].is_streamed

    def write(self, path: Path) -> None:
        """Keep it in a file."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Return the plan that a file keeps."""
        kept = json.loads(path.read_text())
        return cls(**{**kept, "files": tuple(PlannedFile(**file) for file in kept["files"])})

    def inside(self, name: str) -> str:
        """Return the path in the archive of something below its root directory."""
        return f"{self.root}/{name}"

    def spans(self, documents: Mapping[str, bytes]) -> Spans:
        """Return the archive of stored files; they are numbered as here.

        Args:
            documents: name in the archive to content.
        """
        if self.form == "tar":
            return Spans(tar_layout.layout(self._tar_entries(documents)))
        return Spans(zip_layout.layout(self._zip_entries(documents)))

    def _tar_entries(self, documents: Mapping[str, bytes]) -> list[tuple[tar_layout.Entry, bytes | None]]:
        entries: list[tuple[tar_layout.Entry, bytes | None]] = [
            (tar_layout.Entry(self.inside(file.name), file.size, file.modified // _SECOND), None)
            for file in self.files
        ]
        return entries + [
            (tar_layout.Entry(self.inside(name), len(content), self.made), content)
            for name, content in documents.items()
        ]

    def _zip_entries(self, documents: Mapping[str, bytes]) -> list[tuple[zip_layout.Entry, bytes | None]]:
        entries: list[tuple[zip_layout.Entry, bytes | None]] = [
            (zip_layout.Entry(self.inside(file.name), file.size, file.crc32, file.modified // _SECOND), None)
            for file in self.files
        ]
        return entries + [
            (
                zip_layout.Entry(self.inside(name), len(content), isal_zlib.crc32(content), self.made),
                content,
            )
            for name, content in documents.items()
        ]
