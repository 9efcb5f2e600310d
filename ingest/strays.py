"""What lies right below the data root and is no run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest import formats, moving
from ingest.discovery import Ignored


@dataclass(frozen=True, slots=True)
class Stray:
    """Something right below the data root that is no run: its name, and why."""

    name: str
    reason: str


def strays(root: Path, ignored: Ignored) -> Iterator[Stray]:
    """Yield what lies right below the data root and is no run, by name.

    A directory without a date is taken in all the same, with no night; so that an operator may see it.
    """
    try:
        with os.scandir(root) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError:
        return  # whoever compares archive and disk says that the root cannot be listed
    for entry in entries:
        if ignored.name(entry.name):
            continue
        if not entry.is_dir(follow_symlinks=False):
            if formats.is_data(entry.name) or formats.refusal(entry.name):
                yield Stray(entry.name, "a data file that is in no run")
        elif not _has_data(Path(entry.path), ignored):
            yield Stray(entry.name, "a directory without data files")
        elif moving.night(entry.name) is None:
            yield Stray(entry.name, "a directory whose name does not begin with a date")


def _has_data(directory: Path, ignored: Ignored) -> bool:
    """Whether a data file is in a directory or below it; mostly the first name tells, so none is sorted."""
    below: list[str | os.PathLike[str]] = [directory]
    while below:
        try:
            with os.scandir(below.pop()) as listing:
                for entry in listing:
                    if ignored.name(entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        below.append(entry.path)
                    elif formats.is_data(entry.name):
                        return True
        except OSError:
            continue  # the comparison says so; nothing is known of what is in it
    return False
