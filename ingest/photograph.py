"""Photographs: JPEG, TIFF, and the raw files of cameras; what EXIF says of them.

Source: Exif 2.32, section 4.6; JPEG (ITU T.81), annex B; MRW and CR3 as their cameras write them.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import BinaryIO
from zoneinfo import ZoneInfo

from ingest import formats, translation
from ingest.boxes import Box, boxes, first
from ingest.datafile import DataFile, Describe, Description, stored
from ingest.daylight import from_local_time
from ingest.headers import Remark
from ingest.stream import CHUNK_BYTES, Unreadable
from ingest.tiff import Directory, Value, directories, is_tiff, read_at

_NAMES = {
    0x100: "ImageWidth", 0x101: "ImageLength", 0x102: "BitsPerSample", 0x103: "Compression",
    0x10E: "ImageDescription", 0x10F: "Make", 0x110: "Model", 0x112: "Orientation",
    0x115: "SamplesPerPixel", 0x131: "Software",
    0x132: "DateTime", 0x13B: "Artist", 0x153: "SampleFormat", 0x829A: "ExposureTime", 0x829D: "FNumber",
    0x8827: "PhotographicSensitivity", 0x9003: "DateTimeOriginal", 0x9004: "DateTimeDigitized",
    0x9010: "OffsetTime", 0x9011: "OffsetTimeOriginal", 0x9012: "OffsetTimeDigitized", 0x920A: "FocalLength",
    0x9290: "SubSecTime", 0x9291: "SubSecTimeOriginal", 0x9292: "SubSecTimeDigitized",
    0xA002: "PixelXDimension", 0x8831: "StandardOutputSensitivity",
    0x8832: "RecommendedExposureIndex", 0x8833: "ISOSpeed",
    0xA003: "PixelYDimension", 0xA431: "BodySerialNumber", 0xA434: "LensModel",
}  # fmt: skip
_TAGS = {name: tag for tag, name in _NAMES.items()}
_SENSOR = (2, 3)  # Panasonic's tags for width and height
_STRIPS, _TILES, _JPEG = (0x111, 0x117), (0x144, 0x145), (0x201, 0x202)  # tags of offsets and of sizes
_DATE = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_ZONE = re.compile(r"([+-])(\d\d):(\d\d)$")
_SENSITIVITY_ELSEWHERE = 65_535
_FLOATS = 3  # SampleFormat
_MAX_SHOWN = 200  # characters of a value in the stored header
_MAX_SEGMENTS = 1000
_END_OF_JPEG = b"\xff\xd9"
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
_FRAMES = (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_START_OF_SCAN, _APP1 = 0xDA, 0xE1
_CANON = "uuid 85c0b687820f11e08111f4ce462b6a48"


@dataclass(frozen=True, slots=True)
class _Photograph:
    """What was found in a file.

    Attributes:
        size: (width, height) [pixels].
        parts: the directories of EXIF and TIFF.
        remarks: what is doubtful in them.
    """

    size: tuple[int, int]
    parts: list[Directory]
    remarks: list[Remark]

    def number(self, name: str) -> float | None:
        """Return the first number of that name."""
        return next((n for part in self.parts if (n := part.number(_TAGS[name])) is not None), None)

    def text(self, name: str) -> str:
        """Return the first text of that name, '' where there is none."""
        return next((t for part in self.parts if (t := part.text(_TAGS[name]))), "")


def read(file: DataFile) -> Describe:
    """Photographs point to and fro in their file, so nothing is taken off the stream."""
    return partial(_describe, file)


def _describe(file: DataFile) -> Description:
    photograph = _photograph(file)
    begin, doubts = _begin(photograph, file.observatory.zone_of(file.path))
    is_raw = formats.is_raw_photograph(file.path)
    cards: dict[str, translation.Value | None] = {
        "DATE-OBS": translation.iso(begin) if begin else None,
        "EXPTIME": photograph.number("ExposureTime"),
        "ISO": _sensitivity(photograph),
        "INSTRUME": _camera(photograph),
        "FOCALLEN": photograph.number("FocalLength"),
        "SOFTWARE": photograph.text("Software"),
    }
    content = translation.Content(
        "image",
        "raw photograph" if is_raw else "photograph",
        # What was rendered for the eye is photometry of no known scale.
        "phot.count" if is_raw else "phot",
        photograph.size,
        _bitpix(photograph),
    )
    metadata, others = translation.described(file, content, cards)
    metadata = translation.observed_by(metadata, photograph.text("Artist"), file)
    text, cut = stored(_listing(photograph))
    return Description(metadata, text, [*photograph.remarks, *doubts, *others, *cut])


def _photograph(file: DataFile) -> _Photograph:
    """Find directories and size, by the content of the file and not by its name.

    Raises:
        Unreadable: no photograph that is read, damaged, or truncated.
    """
    beginning = read_at(file.raw, 0, 16)
    if not beginning:
        raise Unreadable("The file is empty.")
    if beginning.startswith(b"\xff\xd8"):
        return _jpeg(file)
    if beginning.startswith(b"\0MRM"):
        return _minolta(file.raw)
    if beginning[4:12] == b"ftypcrx ":
        return _canon_boxes(file)
    if not is_tiff(beginning):
        raise Unreadable("Neither JPEG nor TIFF nor a raw photograph: its first bytes are of no such format.")
    parts, remarks = directories(file.raw)
    _check_pixels(parts, file.size)
    return _Photograph(_largest(parts, is_raw=formats.is_raw_photograph(file.path)), parts, remarks)


def _largest(parts: list[Directory], *, is_raw: bool) -> tuple[int, int]:
    """Return the size of the picture: a TIFF's first; a raw file's largest, as others are previews."""
    sizes = [size for part in parts if (size := part.size())]
    if is_raw or not sizes:
        exif = (part.size(_TAGS["PixelXDimension"], _TAGS["PixelYDimension"]) for part in parts)
        sizes += [size for size in (*exif, parts[0].size(*_SENSOR)) if size]
    if not sizes:
        raise Unreadable("No image: no directory gives its width and height.")
    return max(sizes, key=lambda size: size[0] * size[1]) if is_raw else sizes[0]


def _check_pixels(parts: list[Directory], size: int) -> None:
    """Raise Unreadable where a directory has pixels beyond the end of the file."""
    for part in parts:
        for offsets, counts in (_STRIPS, _TILES, _JPEG):
            pairs = zip(_integers(part.tags.get(offsets)), _integers(part.tags.get(counts)), strict=False)
            end = max((offset + count for offset, count in pairs), default=0)
            if end > size:
                raise Unreadable(
                    f"Truncated: the pixels of {part.name} reach to byte {end}, the file has {size}."
                )


def _integers(value: Value | None) -> tuple[int, ...]:
    return tuple(int(v) for v in value if v == v) if isinstance(value, tuple) else ()


def _jpeg(file: DataFile) -> _Photograph:
    size: tuple[int, int] | None = None
    parts: list[Directory] = []
    remarks: list[Remark] = []
    end = 0
    for marker, start, stop in _segments(file.raw):
        end = stop
        segment = read_at(file.raw, start, stop - start)
        if marker in _FRAMES and len(segment) >= 5:
            size = struct.unpack_from(">HH", segment, 1)[::-1]
        elif marker == _APP1 and segment.startswith(b"Exif\0\0") and not parts:
            parts, remarks = _exif(segment[6:])
    if size is None or 0 in size:
        raise Unreadable("Truncated or damaged: the JPEG data have no frame header with a size.")
    if not _has_end(file.raw, end):
        raise Unreadable("Truncated: the JPEG data have no end marker.")
    return _Photograph((int(size[0]), int(size[1])), parts, remarks)


def _segments(raw: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) of a JPEG's segments up to the header of its first scan."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        head = read_at(raw, at, 4)
        if len(head) < 4 or head[0] != 0xFF:
            return
        marker = head[1]
        if marker == 0xFF or marker in _WITHOUT_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        length = struct.unpack_from(">H", head, 2)[0]
        yield marker, at + 4, at + 2 + max(length, 2)
        at += 2 + max(length, 2)
        if marker == _START_OF_SCAN:
            return


def _has_end(raw: BinaryIO, at: int) -> bool:
    """Whether a JPEG's end marker follows; in the data of scans its two bytes never stand together."""
    raw.seek(at)
    last = b""
    while chunk := raw.read(CHUNK_BYTES):
        if _END_OF_JPEG in last + chunk:
            return True
        last = chunk[-1:]
    return False


def _exif(segment: bytes) -> tuple[list[Directory], list[Remark]]:
    try:
        return directories(io.BytesIO(segment))
    except Unreadable as fault:
        return [], [Remark("EXIF", f"Cannot be read. {fault.detail}")]


def _minolta(raw: BinaryIO) -> _Photograph:
    """Read Minolta's MRW: blocks of four letters, of which TTW holds TIFF."""
    length = struct.unpack(">I", read_at(raw, 4, 4).rjust(4, b"\0"))[0]
    at, end = 8, 8 + min(length, CHUNK_BYTES)
    while at + 8 <= end and len(head := read_at(raw, at, 8)) == 8:
        size = struct.unpack_from(">I", head, 4)[0]
        if head.startswith(b"\0TTW"):
            parts, remarks = directories(io.BytesIO(read_at(raw, at + 8, min(size, end - at))))
            return _Photograph(_largest(parts, is_raw=True), parts, remarks)
        at += 8 + size
    raise Unreadable("Truncated or damaged: the raw photograph of Minolta has no block TTW.")


def _canon_boxes(file: DataFile) -> _Photograph:
    """Read Canon's CR3: boxes as in movies, of which CMT1 and so on hold TIFF."""
    parts: list[Directory] = []
    remarks: list[Remark] = []
    whole = Box("", 0, file.size)
    # All of the file's boxes are looked at, so that one that is cut off is noticed.
    for outer in list(boxes(file.raw, 0, file.size)):
        holder = first(file.raw, whole, "moov", _CANON) if outer.kind == "moov" else None
        for inner in boxes(file.raw, holder.start, holder.end) if holder else ():
            if inner.kind in ("CMT1", "CMT2"):
                content = read_at(file.raw, inner.start, min(inner.end - inner.start, CHUNK_BYTES))
                found, doubts = _exif(content)
                parts, remarks = [*parts, *found], [*remarks, *doubts]
    if not parts:
        raise Unreadable("Damaged: the raw photograph of Canon has no EXIF data.")
    return _Photograph(_largest(parts, is_raw=True), parts, remarks)


def _camera(photograph: _Photograph) -> str:
    """Return make and model, the make once."""
    make, model = photograph.text("Make"), photograph.text("Model")
    if not make or model.lower().startswith(make.split()[0].lower()):
        return model
    return f"{make} {model}".strip()


def _sensitivity(photograph: _Photograph) -> float | None:
    """Return the ISO speed; what does not fit into its 16 bits stands elsewhere (Exif 2.32, section 4.6)."""
    value = photograph.number("PhotographicSensitivity")
    if value is not None and value >= _SENSITIVITY_ELSEWHERE:
        names = ("ISOSpeed", "RecommendedExposureIndex", "StandardOutputSensitivity")
        value = next((n for name in names if (n := photograph.number(name))), value)
    return value or None


def _bitpix(photograph: _Photograph) -> int:
    """Return the bits of a value as FITS counts them."""
    if photograph.number("SampleFormat") == _FLOATS:
        return -32
    return 8 if (photograph.number("BitsPerSample") or 8) <= 8 else 16


def _begin(photograph: _Photograph, clocks: ZoneInfo) -> tuple[datetime | None, list[Remark]]:
    """Return when the exposure began (UTC), and what is doubtful about it.

    Args:
        photograph: what was found in it.
        clocks: zone of times that have none.
    """
    for name, zone, fraction in (
        ("DateTimeOriginal", "OffsetTimeOriginal", "SubSecTimeOriginal"),
        ("DateTimeDigitized", "OffsetTimeDigitized", "SubSecTimeDigitized"),
    ):
        text = photograph.text(name)
        local = _moment(text, photograph.text(fraction))
        if local is None:
            if text.strip("0: "):
                return None, [Remark(name, f"{text!r} is not a date and time.")]
            continue
        offset = _ZONE.match(photograph.text(zone) or photograph.text("OffsetTime"))
        if offset:
            return _shifted(local, offset), []
        moment, remark = from_local_time(local, clocks, name)
        return moment, [remark] if remark else []
    reason = "The photograph does not say when it was taken."
    if photograph.text("DateTime"):
        reason += f" DateTime is {photograph.text('DateTime')!r}, when the file was changed last."
    return None, [Remark("DateTimeOriginal", reason)]


def _moment(text: str, fraction: str) -> datetime | None:
    match = _DATE.match(text)
    if not match:
        return None
    try:
        moment = datetime(*(int(part) for part in match.groups()))  # type: ignore[arg-type]
    except ValueError:
        return None
    digits = fraction.strip()
    return (
        moment + timedelta(seconds=float(f"0.{digits}")) if digits.isascii() and digits.isdigit() else moment
    )


def _shifted(local: datetime, offset: re.Match[str]) -> datetime | None:
    ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
    try:
        return local + ahead if offset[1] == "-" else local - ahead
    except OverflowError:
        return None


def _listing(photograph: _Photograph) -> str:
    lines = [f"Size = {photograph.size[0]} x {photograph.size[1]}"]
    for part in photograph.parts:
        for tag, value in part.tags.items():
            lines.append(f"{part.name} {_NAMES.get(tag, f'0x{tag:04x}')} = {_shown(value)}")
    return "\n".join(lines)


def _shown(value: Value) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = value if isinstance(value, str) else " ".join(f"{v:.12g}" for v in value[:_MAX_SHOWN])
    return " ".join(text[:_MAX_SHOWN].split())
