"""Results of downloads on their way out: whether they may still be sent, and what is put together then.

A job has run in the context of its creator as it was at that moment. What has been withdrawn since does not
go out any more, and what has changed on disk does not go out under the old checksum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ost_vo.access.context import Context
from ost_vo.faults import AuthorizationFault, ConflictFault, NotFoundFault
from ost_vo.services import contexts, files
from ost_vo.services.archive import Archive
from ost_vo.services.download_plan import ARCHIVE, DOCUMENTS, PLAN, Plan
from ost_vo.services.files import Download
from ost_vo.store import observations
from ost_vo.store.jobs import JobStore
from ost_vo.store.observations import Product
from ost_vo.vo.spans import Spans
from ost_vo.vo.uws import Result


class Assembly:
    """An archive of stored files that is put together while it is sent.

    Args:
        archive: the open archive.
        plan: what is in it.
        documents: name to content of what is in it besides the files.
        products: identifier to product, of all files.

    Attributes:
        spans: its bytes, in which files are numbered as in the plan.
    """

    def __init__(
        self, archive: Archive, plan: Plan, documents: Mapping[str, bytes], products: Mapping[str, Product]
    ) -> None:
        self._archive = archive
        self._plan = plan
        self._products = products
        self.spans: Spans = plan.spans(documents)

    @property
    def etag(self) -> str:
        """The entity tag: another one for any other archive."""
        sums = "".join(file.sha256 for file in self._plan.files)
        return f'"{hashlib.sha256(f"{self.spans.digest}{sums}".encode()).hexdigest()}"'

    def open(self, number: int) -> Download:
        """Open the file that was read for the plan; whoever gets it closes it.

        Raises:
            ConflictFault: it is another one by now, or not there.
            FatalFault: it cannot be opened.
        """
        planned = self._plan.files[number]
        try:
            download = files.opened(self._archive, self._products[planned.identifier])
        except NotFoundFault:
            raise _outdated() from None
        if (download.status.st_size, download.status.st_mtime_ns) != (planned.size, planned.modified):
            download.close()
            raise _outdated()
        return download

    def check(self) -> None:
        """Look at every file before the first byte is sent; faults are those of :meth:`open`."""
        for number in range(len(self._plan.files)):
            self.open(number).close()


@dataclass(frozen=True)
class Outgoing:
    """A result that may be sent.

    Attributes:
        name: for those who keep it.
        path: of its file.
        made: when it was made [s since 1970, UTC].
        assembly: in place of a file, what is put together; else None.
    """

    name: str
    path: Path
    made: int
    assembly: Assembly | None = None


def prepare(archive: Archive, job_id: str, path: Path, result: Result, caller: Context) -> Outgoing:
    """Return a result of a download, if its creator, and whoever else asks, may have what is in it now.

    Args:
        archive: the open archive.
        job_id: of the job.
        path: of the file of the result.
        result: what it is.
        caller: who asks.

    Raises:
        ConflictFault: something in it may not be given out any more, or has changed.
        NotFoundFault: it is gone.
        AuthenticationFault, AuthorizationFault: the creator may not use the context of the job any more; or
            the caller, who is somebody else, does not see all that is in it.
        TransientFault: out of time or connections.
        FatalFault: a file cannot be opened.
    """
    try:
        plan = Plan.read(path.with_name(PLAN))
        products = _cleared(archive, job_id, plan, caller)
        if result.id != ARCHIVE:
            return Outgoing(DOCUMENTS[result.id], path, plan.made)
        if not plan.is_streamed:
            return Outgoing(plan.name, path, plan.made)
        documents = {name: path.with_name(result).read_bytes() for result, name in DOCUMENTS.items()}
    except FileNotFoundError:
        raise NotFoundFault("The files of the job are gone.", "Create another one.") from None
    assembly = Assembly(archive, plan, documents, products)
    if assembly.spans.size != result.size:
        raise _outdated()
    assembly.check()
    return Outgoing(plan.name, path, plan.made, assembly)


def _cleared(archive: Archive, job_id: str, plan: Plan, caller: Context) -> dict[str, Product]:
    """Return the products in an archive, all of which its creator sees now, and whoever asks for it."""
    origin = JobStore(archive.jobs_database).origin(job_id)
    if origin is None:
        raise NotFoundFault(f"There is no job {job_id}.", "It may have been destroyed.")
    context = contexts.of_job(archive, origin.owner_id, origin.parameters, origin.context)
    identifiers = [file.identifier for file in plan.files]
    found = _seen(archive, context, identifiers)
    if found.keys() != set(identifiers):
        raise _outdated()
    if (
        origin.owner_id not in (None, caller.user_id)
        and found.keys() != _seen(archive, caller, identifiers).keys()
    ):
        raise AuthorizationFault(
            "You may not see all that is in this download.", "What you may see, you can download yourself."
        )
    return found


def _seen(archive: Archive, context: Context, identifiers: list[str]) -> dict[str, Product]:
    with archive.database.connection() as connection:
        return observations.by_identifier(connection, archive.transaction_settings(context), identifiers)


def _outdated() -> ConflictFault:
    return ConflictFault(
        "What is in this download has changed, or may not be given out any more.", "Create another one."
    )
