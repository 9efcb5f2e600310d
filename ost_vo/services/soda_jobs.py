"""Jobs of the kind ``soda``: cutouts, from one to tens of thousands, each file being opened once.

Source: SODA 1.0 sections 2.3 (async), 3.4 (several values), 5 (responses).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from ost_vo.faults import FatalFault, Fault, NotFoundFault, TransientFault
from ost_vo.services import cutout_archive, cutout_orders, files, policies, soda, sources, uploads
from ost_vo.services.archive import Archive
from ost_vo.services.cut_pieces import Limits
from ost_vo.services.cutout_archive import FAILED, MANIFEST, NO_OVERLAP, OK, UNKNOWN, Entry
from ost_vo.services.datalink import registry_part
from ost_vo.services.execution import Execution
from ost_vo.services.sources import Made
from ost_vo.store import observations
from ost_vo.store.extents import extents
from ost_vo.store.observations import Product
from ost_vo.vo import soda as vo
from ost_vo.vo.parameters import Parameters
from ost_vo.vo.sia import canonical_identifier
from ost_vo.vo.soda import Extent
from ost_vo.vo.uws import Result

KIND = policies.CUTOUTS
TAR, TAR_TYPE = "cutouts.tar", "application/x-tar"
_CSV_TYPE = "text/csv;header=present"
# Data sets that are looked up in one statement.
_BATCH = 500
# Time between two reports of how far a job has come [s].
_REPORT_SECONDS = 1.0

# Takes a cutout and its number, and returns its name among the results.
Keep = Callable[[int, Made], str]


def execute(archive: Archive, execution: Execution) -> list[Result]:
    """Make the cutouts of a job.

    One that is asked for by itself is the result; several come in one tar. A manifest is there in any case:
    where there is no overlap, it is all there is.

    Raises:
        UsageFault: a parameter is wrong, or the results are larger than a job may keep; or the only cutout
            cannot be made.
        NotFoundFault: the only data set does not exist, or the caller may not see it, or its file is missing.
        TransientFault: it took longer than its execution duration, or the database is not available.
        FatalFault: the only file cannot be read.
    """
    parameters = Parameters(execution.job.parameters)
    work = _Work(archive, execution, parameters)
    single = len(work.entries) == 1 and not cutout_orders.is_bulk(parameters)
    results = work.single() if single else work.several()
    # Not before: a worker that dies leaves the job to another one.
    uploads.discard(archive.settings, parameters)
    return results


class _Work:
    """The cutouts of one job.

    Args:
        archive: the open archive.
        execution: the attempt.
        parameters: of the job.
    """

    def __init__(self, archive: Archive, execution: Execution, parameters: Parameters) -> None:
        self._archive = archive
        self._execution = execution
        self._deadline = execution.started + execution.job.execution_duration
        self._limits = Limits(archive.settings.cutout_bytes, self._deadline)
        self._connections = execution.cancellation.guard(archive.jobs_database.connection)
        self._media_type = vo.media_type(parameters)
        self._done, self._reported = 0, 0.0
        orders = cutout_orders.orders(
            archive, execution.context, parameters, self._connections, self._deadline - time.monotonic()
        )
        self.entries = [Entry(order) for order in orders]

    def single(self) -> list[Result]:
        """Write the only cutout as it is; what goes wrong with it goes wrong with the job."""
        found: list[Result] = []

        def keep(_: int, made: Made) -> str:
            name = f"cutout{PurePosixPath(made.name).suffix}"
            path = self._execution.partial(name)
            cutout_archive.write(path, made, self._archive.settings.job_result_bytes)
            found.append(Result(name, made.media_type, made.size))
            return name

        self._make(keep, is_only=True)
        return [*found, self._manifest(self._execution.partial(MANIFEST))]

    def several(self) -> list[Result]:
        """Write all cutouts into one tar, and the manifest as its last file."""
        path = self._execution.partial(TAR)
        with path.open("wb") as file:
            tar = cutout_archive.Archive(file, self._archive.settings.job_result_bytes)

            def keep(number: int, made: Made) -> str:
                name = f"{number:06d}_{made.name}"
                tar.add(name, made.parts, made.size)
                return name

            self._make(keep)
            manifest = self._manifest(self._execution.partial(MANIFEST))
            content = self._execution.partial(MANIFEST).read_bytes()
            tar.add(MANIFEST, [content], len(content))
            tar.end()
            size = file.tell()
        return [Result(TAR, TAR_TYPE, size), manifest]

    def _manifest(self, path: Path) -> Result:
        content = cutout_archive.manifest(self.entries)
        path.write_bytes(content)
        return Result(MANIFEST, _CSV_TYPE, len(content))

    def _make(self, keep: Keep, *, is_only: bool = False) -> None:
        """Make all cutouts, file by file."""
        for product, extent, numbers in self._groups():
            try:
                if product is None:
                    raise _unknown(self.entries[numbers[0]])
                self._make_of(product, extent, numbers, keep, is_only)
            except TransientFault:
                raise
            except Fault as fault:
                if is_only:
                    raise
                self._note(numbers, fault)
        self._report()

    def _make_of(
        self, product: Product, extent: Extent, numbers: Sequence[int], keep: Keep, is_only: bool
    ) -> None:
        """Make the cutouts of one file.

        Raises:
            Fault: the file cannot be had, or not be understood.
        """
        download = files.opened_as_ingested(self._archive, product)
        try:
            with sources.opened(download, self._limits) as source:
                for number in numbers:
                    self._check()
                    entry = self.entries[number]
                    lines = soda.history(product, entry.order.selection)
                    try:
                        made = source.cut(entry.order.selection, extent, lines, self._media_type)
                    except (TransientFault, FatalFault):
                        raise
                    except Fault as fault:
                        if is_only:
                            raise
                        self._note([number], fault)
                        continue
                    self._done += 1
                    if made is None:
                        entry.status, entry.reason = NO_OVERLAP, "The selection and the data do not overlap."
                    else:
                        entry.file, entry.status = keep(number + 1, made), OK
        finally:
            download.close()

    def _note(self, numbers: Sequence[int], fault: Fault) -> None:
        """Note why cutouts cannot be made; those that have been made stay."""
        status = UNKNOWN if isinstance(fault, _UnknownFault) else FAILED
        for entry in (self.entries[number] for number in numbers):
            if not entry.status:
                entry.status, entry.reason = status, str(fault)
                self._done += 1

    def _groups(self) -> Iterator[tuple[Product | None, Extent, list[int]]]:
        """Yield data sets with the numbers of their orders; None for those that the caller does not see."""
        part = registry_part(self._archive)
        by_identifier: dict[str, list[int]] = {}
        for number, entry in enumerate(self.entries):
            given = entry.order.identifier
            if entry.order.fault or given is None:
                entry.status = FAILED if entry.order.fault else NO_OVERLAP
                entry.reason = entry.order.fault or "No image that you may see holds this position."
                self._done += 1
                continue
            # PostgreSQL stores no NUL, so nothing is called so.
            stored = given if "\0" in given else canonical_identifier(given, part)
            by_identifier.setdefault(stored, []).append(number)
        names = list(by_identifier)
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            products, covered = self._looked_up([name for name in batch if "\0" not in name])
            for name in sorted(batch, key=lambda name: products[name].path if name in products else ""):
                yield products.get(name), covered.get(name, Extent()), by_identifier[name]

    def _looked_up(self, names: list[str]) -> tuple[dict[str, Product], dict[str, Extent]]:
        self._check()
        settings = self._archive.transaction_settings(self._execution.context)
        with self._connections() as connection:
            products = observations.by_identifier(connection, settings, names)
            return products, extents(connection, settings, list(products))

    def _check(self) -> None:
        """Stop where the job has been aborted or its time is over; report now and then.

        Raises:
            TransientFault: it is to stop.
        """
        if self._execution.cancellation.requested:
            raise TransientFault("The job was stopped.")
        now = time.monotonic()
        if now > self._deadline:
            raise TransientFault("The job took longer than its execution duration.")
        if now - self._reported > _REPORT_SECONDS:
            self._reported = now
            self._report()

    def _report(self) -> None:
        self._execution.report({"cutouts_total": len(self.entries), "cutouts_done": self._done})


class _UnknownFault(NotFoundFault):
    """There is no such data set, or none that the caller may see."""


def _unknown(entry: Entry) -> Fault:
    return _UnknownFault(f"There is no data set {entry.order.identifier!r}, or none that you may see.")
