"""Files of many kinds to cut out of, in the running archive for the time of these tests."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from ingest.load import ingest
from tests.conftest import Service, execute

RUN = "cutouts"

SIP = {
    "OBJECT": "somewhere", "EXPTIME": 30.0, "DATE-OBS": "2026-02-14T20:00:00",
    "CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "CRVAL1": 10.0, "CRVAL2": 41.0,
    "CRPIX1": 150.5, "CRPIX2": 100.25, "CD1_1": -1e-3, "CD1_2": 2e-5, "CD2_1": 2e-5, "CD2_2": 1e-3,
    "A_ORDER": 2, "B_ORDER": 2, "A_2_0": 2e-5, "B_0_2": 3e-5, "A_1_1": 1e-5,
    "CTYPE1A": "LINEAR", "CTYPE2A": "LINEAR", "CRPIX1A": 1.0, "CRPIX2A": 1.0, "LTV1": 0.0, "LTV2": 0.0,
}  # fmt: skip
CUBE = {
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 83.8, "CRVAL2": -5.4, "CRPIX1": 10.0, "CRPIX2": 8.0,
    "CDELT1": -1e-3, "CDELT2": 1e-3, "CTYPE3": "WAVE", "CUNIT3": "nm", "CRVAL3": 500.0, "CRPIX3": 1.0,
    "CDELT3": 1.0, "CTYPE4": "STOKES", "CRVAL4": 1.0, "CRPIX4": 1.0, "CDELT4": 1.0,
}  # fmt: skip


# A plane every ten seconds from MJD 61085.5 in TT on, which is 69.184 s ahead of UTC.
SERIES = {
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 83.8, "CRVAL2": -5.4, "CRPIX1": 10.0, "CRPIX2": 8.0,
    "CDELT1": -1e-3, "CDELT2": 1e-3, "CTYPE3": "TIME", "CUNIT3": "s", "CRVAL3": 0.0, "CRPIX3": 1.0,
    "CDELT3": 10.0, "TIMESYS": "TT", "MJDREFI": 61085, "MJDREFF": 0.5,
}  # fmt: skip


def header(cards: dict[str, object], **more: object) -> fits.Header:
    found = fits.Header()
    for keyword, value in {**cards, **more}.items():
        found[keyword] = value
    return found


def pixels(*shape: int) -> np.ndarray:
    """Return noise that a counter makes, so that every pixel is told from the others."""
    return np.random.default_rng(1).normal(1000, 30, shape).astype("uint16")


def _write(root: Path) -> None:
    root.mkdir()
    image = pixels(200, 300)
    one = fits.PrimaryHDU(image, header(SIP))
    one.add_checksum()
    one.writeto(root / "sip.fits")
    (root / "packed.fits.gz").write_bytes(gzip.compress((root / "sip.fits").read_bytes()))
    tiled = fits.CompImageHDU(image, header(SIP), compression_type="RICE_1", tile_shape=(16, 32))
    fits.HDUList([fits.PrimaryHDU(), tiled]).writeto(root / "tiled.fits.fz")
    east = header(SIP, EXTNAME="EAST")
    west = header(SIP, EXTNAME="WEST", CRPIX1=-169.5)
    none = fits.ImageHDU(np.zeros((5, 5), "i2"), name="NOSKY")
    extensions = [fits.ImageHDU(image.astype("f4"), east), none, fits.ImageHDU(image, west)]
    fits.HDUList([fits.PrimaryHDU(header=header({"OBSERVER": "A. N. Other"})), *extensions]).writeto(
        root / "many.fits"
    )
    fits.PrimaryHDU(pixels(4, 20, 16, 18), header(CUBE)).writeto(root / "cube.fits")
    fits.PrimaryHDU(pixels(9, 16, 18), header(SERIES)).writeto(root / "series.fits")
    fits.PrimaryHDU(image, header({"OBJECT": "nowhere"})).writeto(root / "nowhere.fits")
    hostile = header(SIP, PLTRAH="oops", XPIXELSZ=1e300, CNPIX1="x", PV1_1=1e40)
    fits.PrimaryHDU(image, hostile).writeto(root / "hostile.fits")


@pytest.fixture(scope="package")
def made(service: Service) -> Iterator[dict[str, str]]:
    """The identifiers of the files, by their names up to the first dot."""
    with ingested(service, RUN, _write) as found:
        yield {name.split(".")[0]: identifier for name, identifier in found.items()}


@contextmanager
def ingested(service: Service, run: str, write: Callable[[Path], None]) -> Iterator[dict[str, str]]:
    """Take the files of a run into the running archive for the time of a block; hand out name to identifier.

    Args:
        service: the archive.
        run: name of the run.
        write: makes the directory of the run, and the files in it.
    """
    root, owner = service.settings.data / run, service.settings.dsn("postgres")
    write(root)
    ingest([root], service.settings, None)
    rows = execute(
        owner, "SELECT path, obs_publisher_did FROM archive.products WHERE path LIKE %s", f"{run}/%"
    )
    yield {Path(path).name: identifier for path, identifier in rows}
    execute(owner, "DELETE FROM archive.products WHERE path LIKE %s", f"{run}/%")
    execute(owner, "DELETE FROM archive.runs WHERE name = %s", run)
    for path in root.iterdir():
        path.unlink()
    root.rmdir()
