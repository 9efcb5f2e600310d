"""Backups: one file with the tables, the settings and the checksums of the data files; and checking one.

The file is a tar archive of a manifest, a dump, the settings, secrets among them, and a list of the data
files. The data files themselves are not in it: they lie on a disk of their own, which is backed up by itself,
and the list tells what must be there.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from ost_vo.faults import ConflictFault, UsageFault
from ost_vo.settings import Settings
from ost_vo.store import backup as store
from ost_vo.store import schema
from ost_vo.store.backup import DataFile

FORMAT = 1
MANIFEST, DUMP, SETTINGS, FILES = "manifest.json", "database.dump", "settings.env", "files.jsonl.gz"
_CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself.

    Attributes:
        format: version of this layout.
        created: when, UTC, as in ISO 8601.
        revision: of the tables.
        public_url: of the archive.
        counts: rows of each table.
        files: number of the data files in the list.
        checksums: SHA-256 of each part, in hexadecimal.
    """

    format: int
    created: str
    revision: str
    public_url: str
    counts: dict[str, int]
    files: int
    checksums: dict[str, str]


@dataclass(frozen=True, slots=True)
class Opened:
    """A backup whose parts have been checked and unpacked into a directory, for the time of a block."""

    manifest: Manifest
    directory: Path

    @property
    def dump(self) -> Path:
        """The dump of the tables."""
        return self.directory / DUMP

    @property
    def settings(self) -> str:
        """The settings, as a file of the environment."""
        return (self.directory / SETTINGS).read_text()

    def files(self) -> Iterator[DataFile]:
        """Yield the data files that the archive had."""
        with gzip.open(self.directory / FILES, "rt", encoding="utf-8", newline="\n") as listing:
            for line in listing:
                digest, size, path = json.loads(line)
                yield DataFile(path, size, digest)


def write(settings: Settings, target: Path) -> Manifest:
    """Write a backup of a running archive; readers and writers go on meanwhile.

    Args:
        settings: of the archive.
        target: the file to write, or a directory to write a file with the date in its name into.

    Raises:
        ConflictFault: there is such a file.
        FatalFault: the database does not answer, or cannot be dumped.
    """
    now = datetime.now(UTC)
    path = target / f"ost_vo-{now:%Y%m%dT%H%M%SZ}.tar" if target.is_dir() else target
    if path.exists():
        raise ConflictFault(f"{path} exists.", "Choose another name: a backup is not written over.")
    with tempfile.TemporaryDirectory(prefix=".ost_vo-backup-", dir=path.parent) as name:
        directory = Path(name)
        with store.snapshot(settings.dsn(store.SUPERUSER)) as snapshot:
            number = _write_list(snapshot.files(), directory / FILES)
            revision, counts = snapshot.revision(), snapshot.counts()
            snapshot.dump(directory / DUMP)
        (directory / SETTINGS).write_text(environment_file(settings))
        checksums = {part: _sha256(directory / part) for part in (DUMP, SETTINGS, FILES)}
        manifest = Manifest(
            FORMAT, f"{now:%Y-%m-%dT%H:%M:%SZ}", revision, settings.base_url, counts, number, checksums
        )
        (directory / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1))
        _pack(directory, directory / "packed.tar")
        os.link(directory / "packed.tar", path)
    return manifest


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Unpack a backup for the time of a block, once it has been found to be whole.

    Raises:
        UsageFault: it is no backup, is damaged, or comes from a later version.
    """
    with tempfile.TemporaryDirectory(prefix="ost_vo-restore-") as name:
        directory = Path(name)
        try:
            with tarfile.open(path) as packed:
                for part in (MANIFEST, DUMP, SETTINGS, FILES):
                    _unpack(packed, part, directory)
            manifest = Manifest(**json.loads((directory / MANIFEST).read_text()))
        except (OSError, KeyError, TypeError, ValueError, tarfile.TarError) as error:
            raise UsageFault(f"{path} is no backup: {error}.", "`ost-vo backup` writes one.") from error
        _check(path, manifest, directory)
        yield Opened(manifest, directory)


def environment_file(settings: Settings) -> str:
    """Return the settings that are not the defaults, as a file of the environment for systemd or a shell."""
    lines = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if value in (None, field.default):
            continue
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")
        lines.append(f'OST_VO_{name.upper()}="{quoted}"\n')
    return "".join(lines)


def missing(files: Iterator[DataFile], root: Path, *, read: bool = False) -> Iterator[tuple[str, str]]:
    """Yield the data files that are not below the data root as they were, and what is wrong with each.

    Args:
        files: as they were.
        root: of the data files.
        read: whether to compute their checksums, which reads them all.
    """
    for file in files:
        place = root / file.path
        if not place.is_file():
            yield file.path, "not there"
        elif place.stat().st_size != file.size:
            yield file.path, f"has {place.stat().st_size} bytes, not {file.size}"
        elif read and _sha256(place) != file.sha256:
            yield file.path, "has another checksum"


def _check(path: Path, manifest: Manifest, directory: Path) -> None:
    if manifest.format > FORMAT or manifest.revision > schema.head():
        raise UsageFault(
            f"{path} comes from a later version, with tables of revision {manifest.revision}.",
            f"Install that version: this one knows revisions up to {schema.head()}.",
        )
    for part, expected in manifest.checksums.items():
        if _sha256(directory / part) != expected:
            raise UsageFault(f"{path} is damaged: {part} has another checksum.", "Use another backup.")


def _write_list(files: Iterator[DataFile], target: Path) -> int:
    number = 0
    with gzip.open(target, "wt", compresslevel=3, encoding="utf-8", newline="\n") as listing:
        for file in files:
            listing.write(json.dumps([file.sha256, file.size, file.path]) + "\n")
            number += 1
    return number


def _pack(directory: Path, target: Path) -> None:
    # Secrets are in it: nobody else may read it, from its first byte on.
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w") as packed:
            for part in (MANIFEST, SETTINGS, FILES, DUMP):
                packed.add(directory / part, part)
        file.flush()
        os.fsync(file.fileno())


def _unpack(packed: tarfile.TarFile, part: str, directory: Path) -> None:
    """Copy a part of a backup into a directory, whatever else the archive says of it.

    Raises:
        KeyError: there is no such part.
        ValueError: it is no file.
    """
    source = packed.extractfile(part)
    if source is None:
        raise ValueError(f"{part} is no file")
    with (directory / part).open("wb") as target:
        shutil.copyfileobj(source, target, _CHUNK_BYTES)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
