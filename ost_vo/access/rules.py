"""The rules of runs: where new files belong, by the name of their run's directory.

An operator writes them in a table in TOML:

    [[rule]]
    directory = "*_BLUES"
    project = "BLUES"
    privileges = 2
    release_days = 365
    creator = "anna"
    time_zone = "Africa/Windhoek"
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ost_vo.faults import UsageFault

_HINT = "docs/ingest.md shows a table of rules."
_LONGEST_PERIOD = 36_500  # days of a release period: a century


@dataclass(frozen=True, slots=True)
class Rule:
    """What the files of some runs are ingested as.

    Attributes:
        number: its place in the table, from 1.
        directory: pattern of the run's name, as the shell writes them; capitals count.
        project: name of their project.
        privileges: their level.
        release_days: time after the night when the world may see them [d]; None for never.
        creator: name of their creator; None for the account of ingest.
        zone: of the clocks that their local times were read from; None for the observatory's.
    """

    number: int
    directory: str
    project: str
    privileges: int
    release_days: float | None = None
    creator: str | None = None
    zone: ZoneInfo | None = None

    def __str__(self) -> str:
        return f"rule {self.number}, {self.directory}"


def first_match(rules: Sequence[Rule], run: str) -> Rule | None:
    """Return the first rule for a run of that name."""
    return next((rule for rule in rules if fnmatchcase(run, rule.directory)), None)


def read(path: Path | None) -> list[Rule]:
    """Return the rules of a file, none where there is no file.

    Raises:
        UsageFault: it cannot be read, or says something that no rule can say.
    """
    if path is None:
        return []
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageFault(f"The rules of runs, {path}, cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UsageFault(f"The rules of runs, {path}, are no TOML: {error}.", _HINT) from error
    entries = table.pop("rule", [])
    if table or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UsageFault(f"{path} may only have tables [[rule]].", _HINT)
    return [_rule(path, number, entry) for number, entry in enumerate(entries, 1)]


def _rule(path: Path, number: int, entry: dict[str, Any]) -> Rule:
    def fail(problem: str) -> UsageFault:
        return UsageFault(f"Rule {number} of {path}: {problem}", _HINT)

    known = ("directory", "project", "privileges", "release_days", "creator", "time_zone")
    if strange := sorted(set(entry) - set(known)):
        raise fail(f"{', '.join(strange)} is nothing that a rule has.")
    for key in ("directory", "project", "creator"):
        if key == "creator" and key not in entry:
            continue
        if not isinstance(entry.get(key), str) or not entry[key]:
            raise fail(f"{key} is missing, or no text.")
    if "/" in entry["directory"]:
        raise fail("directory is the name of a run: it has no '/'.")
    level = entry.get("privileges")
    if type(level) is not int or not 1 <= level <= 5:
        raise fail("privileges is missing, or no level from 1 to 5.")
    days = entry.get("release_days")
    if days is not None and (type(days) not in (int, float) or not 0 <= days <= _LONGEST_PERIOD):
        raise fail(f"release_days is no number from 0 to {_LONGEST_PERIOD}.")
    try:
        zone = ZoneInfo(entry["time_zone"]) if "time_zone" in entry else None
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise fail(f"there is no time_zone {entry['time_zone']!r}, give one as Europe/Berlin.") from error
    return Rule(number, entry["directory"], entry["project"], level, days, entry.get("creator"), zone)
