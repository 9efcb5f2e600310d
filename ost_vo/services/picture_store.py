"""Where the pictures of data products are kept.

They are kept by the SHA-256 of the file that they were made of, so copies of a file share them, and the
pictures of a file that has changed are not found any more.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

# Whoever makes pictures needs no settings, which take a while to import.
if TYPE_CHECKING:
    from ost_vo.settings import Settings

MEDIA_TYPE = "image/png"


class Kind(Enum):
    """A picture of a product: its name, and the most pixels that its longer side has."""

    PREVIEW = ("preview", 1024)
    THUMBNAIL = ("thumbnail", 192)

    @property
    def title(self) -> str:
        """Its name, also in the vocabulary of DataLink."""
        return self.value[0]

    @property
    def side(self) -> int:
        """The most pixels along the longer side."""
        return self.value[1]

    @property
    def file_name(self) -> str:
        """Name of the file that it is made in."""
        return f"{self.title}.png"


def path(settings: Settings, digest: str, kind: Kind) -> Path:
    """Return where the picture of a file with a SHA-256 (hexadecimal) is, if it has been made."""
    return Path(_place(settings, digest, kind))


def sizes(settings: Settings, digest: str) -> dict[Kind, int]:
    """Return the sizes of the pictures that there are of a file [byte]."""
    found = {}
    for kind in Kind:
        try:
            found[kind] = os.stat(_place(settings, digest, kind)).st_size
        except FileNotFoundError:
            break  # they are made together
    return found


def keep(settings: Settings, digest: str, made: Path) -> None:
    """Move the pictures from the directory that they were made in to their places, the preview last."""
    for kind in reversed(Kind):
        place = path(settings, digest, kind)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(made / kind.file_name, place)


def remove(settings: Settings, digests: Sequence[str]) -> None:
    """Remove the pictures of files, where there are any."""
    for digest in digests:
        for kind in Kind:
            with suppress(FileNotFoundError):
                path(settings, digest, kind).unlink()


def _place(settings: Settings, digest: str, kind: Kind) -> str:
    """Return a path as a text, in a tenth of the time of a Path: links are sought by the thousand."""
    suffix = ".png" if kind is Kind.PREVIEW else f".{kind.file_name}"
    return f"{settings.state}/previews/{digest[:2]}/{digest}{suffix}"
