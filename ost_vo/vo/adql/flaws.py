"""What is wrong with a query, at which character; parse and translate turn it into a QueryFault."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from ost_vo.faults import QueryFault


class Flaw(Exception):
    """A mistake in a query, found somewhere that knows the offset but not the text.

    Attributes:
        detail, hint: as in ``ost_vo.faults.Fault``.
        position: offset in the query, in characters.
    """

    def __init__(self, position: int, detail: str, hint: str = "") -> None:
        super().__init__(detail)
        self.position = position
        self.detail = detail
        self.hint = hint

    def fault(self, query: str) -> QueryFault:
        """Return the fault that names line and column in the query, both counted from 1."""
        before = query[: self.position]
        column = len(before) - before.rfind("\n")
        return QueryFault(self.detail, self.hint, line=before.count("\n") + 1, column=column)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean ...?`` for the known name nearest to the given one, or a full stop."""
    spellings = {spelling.lower(): spelling for spelling in known}
    near = get_close_matches(name.lower(), spellings, n=1, cutoff=0.6)
    return f"; did you mean {spellings[near[0]]}?" if near else "."
