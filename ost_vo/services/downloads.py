"""Jobs of the kind ``download``: one archive of many files.

A job reads every file once and so knows its checksums. Archives of stored files are not written anywhere: the
job keeps the plan of them, and they are put together while they are sent (``outgoing``). Compressed ones are
files like other results.

Source: UWS 1.1 section 2.1 (objects).
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Final

import structlog

from ost_vo.faults import FatalFault, Fault, TransientFault, UsageFault
from ost_vo.services import archiving, files, policies, products, selection
from ost_vo.services.archive import Archive
from ost_vo.services.archiving import DeflatedZip, Digests, Nowhere, Sink, UnreadableError, ZstandardTar
from ost_vo.services.contexts import base_url
from ost_vo.services.download_plan import ARCHIVE, DOCUMENTS, PLAN, Form, Plan, PlannedFile, form_of
from ost_vo.services.execution import DISK_FULL, Execution
from ost_vo.services.files import Download
from ost_vo.services.manifest import CHANGED, OK, UNREADABLE, Line, Manifest, checksums, script
from ost_vo.services.progress import Progress
from ost_vo.services.selection import flag
from ost_vo.store.observations import Product
from ost_vo.vo import votable
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.uws import Result

log = structlog.get_logger(__name__)

KIND: Final = policies.DOWNLOAD
_MEDIA_TYPES = {
    "manifest": votable.CONTENT_TYPE,
    "manifest.csv": "text/csv;header=present",
    "checksums": "text/plain;charset=UTF-8",
    "script": "application/x-sh",
}
# Unreadable files that a message names.
_NAMED = 5


def execute(archive: Archive, execution: Execution) -> list[Result]:
    """Make the archive of a job, or the plan of it, and the documents.

    Raises:
        UsageFault: a parameter is wrong; nothing is selected, or too much; a file cannot be read, and no
            partial result is asked for.
        NotFoundFault: an identifier leads to nothing that the caller may see.
        TransientFault: the disk is full; the job ran for as long as it may; the database is not available.
        FatalFault: the archive failed.
    """
    try:
        return _Making(archive, execution).results()
    except OSError as error:
        if error.errno in DISK_FULL:
            raise _disk_full() from error
        log.error("download not written", job=execution.job.id, reason=error.strerror)
        raise FatalFault("The archive cannot write this download.", "The operators can see why.") from error


class _Making:
    """One attempt to make an archive."""

    def __init__(self, archive: Archive, execution: Execution) -> None:
        parameters = Parameters(execution.job.parameters)
        self._archive = archive
        self._execution = execution
        self._form = form_of(parameters)
        self._is_partial = flag(parameters, "PARTIAL") or False
        self._selection = selection.select(
            archive,
            execution.context,
            parameters,
            is_partial=self._is_partial,
            connections=execution.cancellation.guard(archive.jobs_database.connection),
        )
        self._lines = [
            Line(name, "", UNREADABLE, "There is no such data set, or none that you may see.")
            for name in self._selection.unknown
        ]
        self._planned: list[PlannedFile] = []

    def results(self) -> list[Result]:
        """Write everything to the partial files of the execution."""
        sizes = self._sizes()
        self._check_lines(len(sizes))
        self._check_room(sum(sizes.values()))
        self._progress = Progress(self._execution, len(sizes), sum(sizes.values()))
        # Known to nobody but those who have the archive: what names it must not give the job's id away.
        mark = hashlib.sha256(self._execution.job.id.encode()).hexdigest()[:8]
        plan = Plan(self._form.name, f"download-{mark}", int(time.time()), ())
        with ExitStack() as stack:
            sink = self._sink(self._form, stack)
            for product in self._selection.products:
                if product.identifier in sizes:
                    self._take(product, plan, sink)
            self._check_lines(len(self._planned))
            documents = self._documents()
            for name, content in documents.items():
                archiving.add_document(sink, plan.inside(name), content, plan.made)
            sink.close()
        return self._kept(Plan(plan.form, plan.root, plan.made, tuple(self._planned)), documents)

    def _sizes(self) -> dict[str, int]:
        """Return the sizes [byte] of the files that can be opened, by the identifiers of their products."""
        sizes = {}
        for product in self._selection.products:
            try:
                download = files.opened(self._archive, product)
            except Fault as fault:
                self._note_unreadable(product, fault.detail)
                continue
            sizes[product.identifier] = download.status.st_size
            download.close()
        return sizes

    def _take(self, product: Product, plan: Plan, sink: Sink) -> None:
        """Read a file into the archive, or note why that cannot be."""
        try:
            download = files.opened(self._archive, product)
        except Fault as fault:
            self._note_unreadable(product, fault.detail)
            return
        try:
            digests = archiving.take(download, plan.inside(product.path), sink, self._progress)
        except UnreadableError as error:
            self._note_unreadable(product, str(error))
            self._check_lines(len(self._selection.products))
            return
        finally:
            download.close()
        self._note(product, download, digests)
        self._progress.end_file()

    def _note(self, product: Product, download: Download, digests: Digests) -> None:
        status = download.status
        is_same = digests.sha256 == product.sha256
        if not is_same:
            files.note(self._archive, product, "changed", "another checksum")
        why = "" if is_same else "It has changed since it was ingested: the metadata may not fit it."
        self._lines.append(
            Line(
                product.identifier,
                product.path,
                OK if is_same else CHANGED,
                why,
                status.st_size,
                digests.sha256,
            )
        )
        self._planned.append(
            PlannedFile(
                product.identifier,
                product.path,
                status.st_size,
                status.st_mtime_ns,
                digests.sha256,
                digests.crc32,
            )
        )

    def _note_unreadable(self, product: Product, reason: str) -> None:
        log.warning("file not readable for a download", path=product.path, reason=reason)
        self._lines.append(Line(product.identifier, product.path, UNREADABLE, reason))

    def _check_lines(self, readable: int) -> None:
        """Refuse to go on with unreadable files, or without readable ones."""
        bad = [line for line in self._lines if not line.is_there]
        if bad and (not self._is_partial or readable == 0):
            named = "; ".join(f"{line.name or line.identifier}: {line.reason}" for line in bad[:_NAMED])
            more = f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
            hint = "PARTIAL=true makes the archive without them." if readable else ""
            raise UsageFault(f"{len(bad)} of the files cannot be read: {named}{more}", hint)

    def _check_room(self, size: int) -> None:
        """Refuse what a download may not have, and what the disk has no room for."""
        settings = self._archive.settings
        if size > settings.download_bytes:
            raise UsageFault(
                f"The files have {size} bytes in all, and a download may have {settings.download_bytes}.",
                "Ask for fewer.",
            )
        free = shutil.disk_usage(self._execution.directory).free
        if not self._form.is_streamed and free < size + settings.download_spare_bytes:
            raise _disk_full()

    def _sink(self, form: Form, stack: ExitStack) -> Sink:
        if form.is_streamed:
            return Nowhere()
        file = stack.enter_context(self._execution.partial(ARCHIVE).open("wb"))
        return DeflatedZip(file) if form.media_type == "application/zip" else ZstandardTar(file)

    def _documents(self) -> dict[str, bytes]:
        """Return the documents, by their names in the archive."""
        lines = sorted(self._lines, key=lambda line: (line.name, line.identifier))
        manifest = Manifest(products.columns(self._archive), self._selection.rows, lines)
        contents = {
            "manifest": manifest.as_votable(),
            "manifest.csv": manifest.as_csv(),
            "checksums": checksums(lines),
            "script": script(lines, base_url(self._archive, self._execution.context)),
        }
        for result, content in contents.items():
            self._execution.partial(result).write_bytes(content)
        return {DOCUMENTS[result]: content for result, content in contents.items()}

    def _kept(self, plan: Plan, documents: Mapping[str, bytes]) -> list[Result]:
        plan.write(self._execution.partial(PLAN))
        if plan.is_streamed:
            size = plan.spans(documents).size
        else:
            size = self._execution.partial(ARCHIVE).stat().st_size
        self._progress.tell()
        sizes = {result: len(documents[name]) for result, name in DOCUMENTS.items()}
        others = [Result(result, _MEDIA_TYPES[result], size) for result, size in sizes.items()]
        return [Result(ARCHIVE, self._form.media_type, size), *others]


def _disk_full() -> TransientFault:
    return TransientFault(
        "There is no room on the archive's disk for this download.",
        "Ask for zip or tar, which are not kept there, or try again later.",
    )
