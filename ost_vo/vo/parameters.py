"""Request parameters: one case-insensitive multimap for query strings, forms and multipart bodies alike.

Source: DALI 1.1 section 3 (names without regard to case, values as they are, unknown parameters ignored).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ost_vo.faults import UsageFault


class Parameters:
    """The parameters of one request, in the order in which they came."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = [(name.upper(), value) for name, value in pairs]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __contains__(self, name: str) -> bool:
        return any(key == name for key, _ in self._pairs)

    def all(self, name: str) -> list[str]:
        """Return every value of a parameter that is not empty; ``name`` is in upper case."""
        return [value for key, value in self._pairs if key == name and value.strip()]

    def one(self, *names: str) -> str | None:
        """Return the value of a parameter that may be given once, under any of its names.

        Raises:
            UsageFault: it is given several times with different values.
        """
        values = list(dict.fromkeys(value for name in names for value in self.all(name)))
        if len(values) > 1:
            raise UsageFault(
                f"{names[0]} is given {len(values)} times with different values.", "Give it once."
            )
        return values[0] if values else None

    def count(self, name: str) -> int | None:
        """Return the value of a parameter that is a whole number from 0 on, as MAXREC is (DALI 3.4.4).

        Raises:
            UsageFault: it is something else.
        """
        text = self.one(name)
        if text is None:
            return None
        if not (text.strip().isascii() and text.strip().isdigit()) or len(text) > 18:
            raise UsageFault(f"{name}={text!r} is not a whole number.", "Give 0 or more.")
        return int(text)
