"""What every encoder of results is: from the COPY stream of a query to a document in some format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Unpack

from ost_vo.faults import Fault
from ost_vo.vo import votable
from ost_vo.vo.columns import Column
from ost_vo.vo.votable import Envelope, ServiceDescriptor, Status

# More than any limit, for columns and results without one.
UNBOUNDED = 1 << 31


class Encoder(ABC):
    """An encoder for one result.

    Attributes:
        content_type: media type of the document.
        copy_options: the options of the COPY statement whose output it reads.
        tells_faults: whether the end of the document can say that a fault cut the rows short.
        rows: rows taken so far.
        overflowed: whether the database sent more rows than the limit.
    """

    content_type: ClassVar[str]
    copy_options: ClassVar[str]
    tells_faults: ClassVar[bool] = True

    def __init__(
        self,
        limit: int | None = None,
        *,
        resources_after: Iterable[ServiceDescriptor] = (),
        **envelope: Unpack[Envelope],
    ) -> None:
        """Create an encoder for one result.

        Args:
            limit: the most rows to write, None for all; the query asks for one more, to see an overflow.
            resources_after: service descriptors that follow the result in a VOTable.
            envelope: the optional arguments of :func:`ost_vo.vo.votable.head`; formats other than VOTable
                tell of them what they have a place for.
        """
        self.rows = 0
        self.overflowed = limit == 0
        self._limit = limit
        self._resources_after = tuple(resources_after)
        self._envelope = envelope
        self._columns: Sequence[Column] = ()
        self._rest = b""

    @abstractmethod
    def begin(self, columns: Sequence[Column]) -> bytes:
        """Return the document up to the first row, as far as it is known yet.

        Raises:
            FatalFault: a column has a datatype or arraysize that cannot be written.
            UsageFault: the format has no room for such a result.
        """

    @abstractmethod
    def feed(self, chunk: bytes | bytearray | memoryview) -> bytes:
        """Return what the rows become that the chunk completes; it may be empty.

        Args:
            chunk: the next bytes of the COPY stream, cut anywhere.

        Raises:
            FatalFault: the stream does not hold what the columns declare.
        """

    def ending(self, *, overflowed: bool = False, error: Fault | None = None) -> Iterator[bytes]:
        """Return the rest of the document, in pieces that are small enough for memory.

        Args:
            overflowed: report an overflow that the encoder has not seen itself.
            error: report this fault, which cut the stream short.

        Raises:
            Fault: the fault given, where the format has no place for it. Whoever sends the rows then breaks
                the transfer off, so that the client does not take them for the whole result.
        """
        if error is not None and not self.tells_faults:
            raise error
        return iter(self._ending(*votable.outcome(overflowed or self.overflowed, error)))

    def end(self, *, overflowed: bool = False, error: Fault | None = None) -> bytes:
        """Return the rest of the document as :meth:`ending` does, in one piece."""
        return b"".join(self.ending(overflowed=overflowed, error=error))

    @abstractmethod
    def _ending(self, status: Status, message: str) -> Iterable[bytes]:
        """Return what follows the last row; the status is never ERROR where faults cannot be told."""

    def _left(self) -> int:
        """Return how many more rows may be written."""
        return UNBOUNDED if self._limit is None else self._limit - self.rows
