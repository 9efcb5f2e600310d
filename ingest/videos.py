"""What AVI and QuickTime movies have in common: frames and a length, and hardly a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest import translation
from ingest.datafile import DataFile, Description, stored
from ingest.headers import Remark

_NANOSECONDS = 1_000_000_000
_LONGEST_SECONDS = 1e6  # eleven days; what claims more is damaged


@dataclass(frozen=True, slots=True)
class Video:
    """What the header of a video says.

    Attributes:
        size: (width, height) of a frame [pixels].
        frames: their number; 0 for unknown.
        seconds: length of the video [s]; 0 for unknown.
        created: when it was begun (UTC), None where it does not say.
        fields: the header's fields, for people.
    """

    size: tuple[int, int]
    frames: int
    seconds: float
    created: datetime | None
    fields: dict[str, Any]


def description(file: DataFile, video: Video) -> Description:
    """Return the metadata of a video; without a time of its own it ends when its file was changed last."""
    length = video.seconds if 0 < video.seconds < _LONGEST_SECONDS else None
    begin = video.created or _modified(file) - timedelta(seconds=length or 0)
    cards: dict[str, translation.Value | None] = {
        "DATE-OBS": translation.iso(begin),
        "DATE-END": translation.iso(begin + timedelta(seconds=length or 0)),
        "EXPTIME": length,
    }
    # What was rendered for the eye is photometry of no known scale.
    shape = (*video.size, max(video.frames, 1))
    content = translation.Content("cube", "video", "phot", shape, 8, video.frames or None)
    metadata, others = translation.described(file, content, cards)
    text, cut = stored(translation.listing(video.fields))
    return Description(metadata, text, [_doubt(video), *_length_doubts(length), *others, *cut])


def _modified(file: DataFile) -> datetime:
    return datetime.fromtimestamp(file.modified_ns / _NANOSECONDS, UTC).replace(tzinfo=None)


def _doubt(video: Video) -> Remark:
    if video.created is None:
        reason = (
            "Only the file's own time is known: the video is taken to end when the file was changed last."
        )
        return Remark("DATE-OBS", reason)
    reason = "Is when the movie was created by its header: UTC by the standard, local time by some cameras."
    return Remark("DATE-OBS", reason)


def _length_doubts(length: float | None) -> list[Remark]:
    if length is None:
        return [Remark("EXPTIME", "The header does not say how long the video is.")]
    return [Remark("EXPTIME", "The exposure of a frame is not known: t_exptime is the video's length.")]
