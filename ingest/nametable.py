"""Tables in TOML that an operator writes: read entry by entry, with faults that name line and entry."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ost_vo.faults import UsageFault

MAX_TABLE_BYTES = 1 << 20
_HEADING = re.compile(r"\s*\[\[\s*([A-Za-z_]+)\s*\]\]")
_HINT = "docs/ingest.md says what the table of names may hold."


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, as `[[telescope]]` begins it.

    Attributes:
        where: file, line and entry, for faults.
        values: what it says.
    """

    where: str
    values: Mapping[str, Any]

    def fault(self, reason: str) -> UsageFault:
        """Return a fault of this entry."""
        return UsageFault(f"{self.where}: {reason}", _HINT)

    def has(self, key: str) -> bool:
        """Whether the entry says something of a key."""
        return key in self.values

    def text(self, key: str) -> str:
        """Return a text that is not blank; raises UsageFault where there is none."""
        value = self.values.get(key)
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise self.fault(f"{key} has to be a text on one line that is not blank.")
        return value.strip()

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts, none where the key is absent; raises UsageFault for anything else."""
        values = self.values.get(key, [])
        if not isinstance(values, list) or not all(isinstance(v, str) and v.strip() for v in values):
            raise self.fault(f"{key} has to be a list of texts that are not blank.")
        return tuple(value.strip() for value in values)

    def number(self, key: str, low: float, high: float) -> float:
        """Return a number within [low, high]; raises UsageFault where there is none."""
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.fault(f"{key} has to be a number.")
        if not low <= value <= high:
            raise self.fault(f"{key} is {value:g}; it has to be from {low:g} to {high:g}.")
        return float(value)

    def sizes(self, key: str) -> tuple[tuple[int, int], ...]:
        """Return a list of [width, height] in pixels; raises UsageFault for anything else."""
        values = self.values.get(key)
        if not isinstance(values, list) or not values or not all(map(_is_size, values)):
            raise self.fault(f"{key} has to be a list of [width, height] in pixels.")
        return tuple((width, height) for width, height in values)


def entries(path: Path, keys: Mapping[str, Collection[str]]) -> Iterator[tuple[str, Entry]]:
    """Yield (kind, entry) of a table, in the order of the kinds.

    Args:
        path: of the file.
        keys: the kinds of entry that there may be, and what each may say.

    Raises:
        UsageFault: it cannot be read, is no TOML, or has kinds or keys that are not known.
    """
    text = _text(path)
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageFault(f"{path} is no TOML: {error}.", _HINT) from error
    lines = _lines(text)
    for kind, values in content.items():
        if kind not in keys:
            raise UsageFault(f"{path}: {kind!r} is none of {', '.join(keys)}.", _HINT)
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise UsageFault(f"{path}: {kind} has to be given as [[{kind}]].", _HINT)
    for kind in keys:
        for number, value in enumerate(content.get(kind, [])):
            entry = Entry(_where(path, kind, number, value, lines), value)
            if unknown := sorted(set(value) - set(keys[kind])):
                raise entry.fault(f"{unknown[0]!r} is none of {', '.join(keys[kind])}.")
            yield kind, entry


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_TABLE_BYTES + 1)
    except OSError as error:
        raise UsageFault(f"{path} cannot be read: {error.strerror}.", "Set OST_VO_NAMES.") from error
    if len(raw) > MAX_TABLE_BYTES:
        raise UsageFault(f"{path} has more than {MAX_TABLE_BYTES} bytes.", _HINT)
    try:
        return raw.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UsageFault(f"{path}, line {line}: not UTF-8.", "Save it as UTF-8.") from error


def _lines(text: str) -> dict[str, list[int]]:
    """Return the lines on which the entries of each kind begin."""
    found: dict[str, list[int]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if match := _HEADING.match(line):
            found.setdefault(match[1], []).append(number)
    return found


def _where(path: Path, kind: str, number: int, value: Mapping[str, Any], lines: dict[str, list[int]]) -> str:
    beginnings = lines.get(kind, [])
    line = f", line {beginnings[number]}" if number < len(beginnings) else ""
    name = value.get("name")
    called = f" {name!r}" if isinstance(name, str) else f" {number + 1}"
    return f"{path}{line}, {kind}{called}"


def _is_size(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(n, int) and not isinstance(n, bool) and 0 < n <= 1_000_000 for n in value)
    )
