"""Every format: what its files are called, and that no damage does more than end in quarantine."""

from __future__ import annotations

import gzip
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from ingest import formats
from ingest.formats import Family
from ingest.load import Outcome, ingest
from ingest.unpacking import Unreadable
from ost_vo.settings import Settings
from tests.ingest import photographs, test_packing, test_ser, test_videos, test_xisf
from tests.ingest.frames import TAN, description, rows, write_frame

NAMES = [
    ("a.fit", Family.FITS, "image/fits", "run/a"),
    ("a.FTS.GZ", Family.FITS, "application/gzip", "run/a"),
    ("a.fits.bz2", Family.FITS, "application/x-bzip2", "run/a"),
    ("a.fits.Z", Family.FITS, "application/x-compress", "run/a"),
    ("a.fits.fz", Family.FITS, "image/fits", "run/a"),
    ("a.b.xisf", Family.XISF, "image/x-xisf", "run/a.b"),
    ("a.SER", Family.SER, "video/x-ser", "run/a"),
    ("a.CR2", Family.PHOTOGRAPH, "image/x-canon-cr2", "run/a"),
    ("a.jpg", Family.PHOTOGRAPH, "image/jpeg", "run/a"),
    ("a.avi", Family.AVI, "video/x-msvideo", "run/a"),
    ("a.mov", Family.MOVIE, "video/quicktime", "run/a"),
    (".jpg", Family.PHOTOGRAPH, "image/jpeg", "run/.jpg"),
]


@pytest.mark.parametrize(("name", "family", "media_type", "obs_id"), NAMES)
def test_names(name: str, family: Family, media_type: str, obs_id: str) -> None:
    assert formats.family(name) is family
    assert formats.media_type(name, "image") == media_type
    assert formats.without_suffixes(f"run/{name}") == obs_id
    assert formats.refusal(name) is None


@pytest.mark.parametrize("name", ["notes.txt", "a.fit.filepart", "a.png", "Z", "fits", "a.ser.gz", "a.Z"])
def test_names_of_other_files(name: str) -> None:
    assert not formats.is_data(name)
    assert formats.refusal(name) is None
    assert formats.without_suffixes(f"run/{name}") == f"run/{name}"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("a.fits.xz", "Packed with a program"), ("a.fit.7Z", "Packed"), ("a.crw", "A raw photo")],
)
def test_names_of_data_that_cannot_be_read(name: str, reason: str) -> None:
    assert (formats.refusal(name) or "").startswith(reason)


def samples(directory: Path) -> list[Path]:
    """Write a good file of each format."""
    fits = write_frame(directory / "a.fit", TAN | {"OBJECT": "M31", "EXPTIME": 30.0})
    packed = directory / "a.fits.Z"
    packed.write_bytes(test_packing.compress(fits.read_bytes()))
    test_ser.write_video(directory / "a.ser", test_ser.every_second())
    test_xisf.write(directory / "a.xisf", test_xisf.image(test_xisf.keywords(test_xisf.LIGHT)))
    contents = {
        "a.cr2": photographs.tiff(photographs.SHOT, sub={photographs.WIDTH: 9, photographs.HEIGHT: 9}),
        "a.jpg": photographs.jpeg(photographs.SHOT),
        "a.mrw": photographs.minolta(photographs.SHOT),
        "a.cr3": photographs.canon_boxes(photographs.SHOT),
        "a.avi": test_videos.avi(),
        "a.mov": test_videos.movie(),
    }
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    return sorted(directory.iterdir())


@pytest.fixture
def good(tmp_path: Path) -> list[Path]:
    """A good file of each format."""
    (tmp_path / "good").mkdir()
    return samples(tmp_path / "good")


def is_read(path: Path) -> bool:
    """Whether a file is read; any other end than that or a refusal is an error."""
    try:
        description(path)
    except Unreadable:
        return False
    return True


def test_good_files_are_read(good: list[Path]) -> None:
    assert all(is_read(path) for path in good)


def test_files_that_end_anywhere_are_read_or_refused(good: list[Path]) -> None:
    for path in good:
        content = path.read_bytes()
        for size in {*range(0, min(len(content), 600), 7), len(content) - 1}:
            path.write_bytes(content[:size])
            is_read(path)


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
def test_files_with_wrong_bytes_are_read_or_refused(good: list[Path]) -> None:
    numbers = random.Random(7)
    for path in good:
        content = path.read_bytes()
        for _ in range(100):
            damaged = bytearray(content)
            for _ in range(numbers.choice((1, 3, 10))):
                damaged[numbers.randrange(min(len(content), 1500))] = numbers.choice((0, 1, 127, 128, 255))
            path.write_bytes(damaged)
            is_read(path)


def test_files_of_another_format_are_refused(good: list[Path]) -> None:
    contents = {path: path.read_bytes() for path in good}
    for path in good:
        for other, content in contents.items():
            if formats.family(path.name) is not formats.family(other.name):
                path.write_bytes(content)
                assert not is_read(path)


def test_only_fits_may_be_packed(tmp_path: Path) -> None:
    video = test_ser.write_video(tmp_path / "a.ser", test_ser.every_second())
    video.write_bytes(gzip.compress(video.read_bytes()))
    with pytest.raises(Unreadable, match="Packed: only FITS files are read so"):
        description(video)


def test_every_format_gets_into_the_archive(archive: Any, good: list[Path]) -> None:
    settings: Settings = archive.settings
    run = settings.data / "20220701"
    run.mkdir()
    for path in good:
        shutil.copy(path, run / path.name)
    (run / "b.crw").write_bytes(b"raw")
    (run / "b.mov").write_bytes(test_videos.movie()[:400])
    report = ingest([settings.data], settings)
    assert report.counts[Outcome.INGESTED] == len(good)
    assert sorted(path for path, _ in report.quarantined) == ["20220701/b.crw", "20220701/b.mov"]
    found = rows(
        settings, "SELECT path, media_type FROM archive.products JOIN archive.headers USING (product_id)"
    )
    assert len(found) == len(good)
    again = ingest([settings.data], settings)
    assert again.counts[Outcome.UNCHANGED] == len(good)
