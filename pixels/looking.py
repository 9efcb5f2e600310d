"""One look at one file: what can be seen in it, drawn small, and the statistics of its pixels."""

from __future__ import annotations

import errno
import os
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from lxml import etree
from PIL import Image as Pillow

from ingest import formats
from ingest.formats import Family
from ingest.stream import CHUNK_BYTES, Stream, Unreadable
from ost_vo.services import pictures
from ost_vo.services.looks import RETRY, Findings, Plane, Task
from ost_vo.services.picture_store import Kind
from ost_vo.store.findings import DONE, FAILED, NONE
from pixels import fits_images, spectra
from pixels.image import Image, NoPicture, Reduced, reduced
from pixels.ridges import ridges
from pixels.spectra import Spectrum

# What a file can be that does not keep to its format.
DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    SyntaxError,  # Pillow's, of broken files
    Unreadable,
    fits.VerifyError,
    zlib.error,
    etree.XMLSyntaxError,
    Pillow.DecompressionBombError,
)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_WITHOUT_DECODER = {
    Family.AVI: "The frames of AVI videos are not decoded.",
    Family.MOVIE: "The frames of movies are not decoded.",
}
# Stars are wider than a pixel of a larger frame, and fields of this size have enough of them.
_PLANE_SIDE = 2048
# What may show dispersed light; the planes of cubes are other things.
_OF_TWO_AXES = ("image", "spectrum")

Sight = Image | Spectrum | Pillow.Image


def prepare(task: Task) -> None:
    """Import what a task will need, once for all that need it; nothing of the file is read."""
    family = formats.family(task.path)
    if task.product_type == "spectrum":
        import matplotlib.figure  # noqa: F401
    elif family is Family.SER:
        from pixels import videos  # noqa: F401
    elif family is Family.XISF:
        from pixels import xisf_images  # noqa: F401
    elif family is Family.PHOTOGRAPH:
        from pixels import photographs  # noqa: F401


def look(task: Task) -> Findings:
    """Do what a task asks for: write pictures, or a plane for plate solving, into its directory."""
    warnings.simplefilter("ignore")
    try:
        with open(task.path, "rb", buffering=0) as file, seen(file, task) as sight:
            return _solvable(sight, task) if task.is_for_solving else _shown(sight, task)
    except NoPicture as error:
        return Findings(NONE, str(error))
    except MemoryError:
        return Findings(FAILED, f"It needs more than {task.memory >> 20} MiB of memory.")
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            return Findings(RETRY, str(error))
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return Findings(FAILED, f"It cannot be read: {reason}")


@contextmanager
def seen(file: Any, task: Task) -> Iterator[Sight]:
    """Give what there is to see in a file, while it is open.

    Raises:
        NoPicture: nothing.
    """
    family = formats.family(task.path)
    if family is Family.FITS:
        with _unpacked(file, Path(task.scratch)) as plain, _opened(plain) as hdus:
            yield _of_fits(plain, hdus, task.product_type)
    elif family is Family.SER:
        from pixels import videos

        yield videos.middle_frame(file)
    elif family is Family.XISF:
        from pixels import xisf_images

        yield xisf_images.first_image(file)
    elif family is Family.PHOTOGRAPH:
        from pixels import photographs

        is_raw = formats.is_raw_photograph(task.path)
        yield photographs.opened(file, Kind.PREVIEW.side, is_raw=is_raw)
    else:
        raise NoPicture(_WITHOUT_DECODER.get(family, "Files of this format are not shown."))  # type: ignore[arg-type]


@contextmanager
def _unpacked(file: BinaryIO, scratch: Path) -> Iterator[BinaryIO]:
    """Give a file that is not packed: the one given, or a temporary one without a name."""
    stream = Stream(file)
    if not stream.is_packed:
        yield file
        return
    with tempfile.TemporaryFile(dir=scratch) as plain:
        while chunk := stream.read(CHUNK_BYTES):
            plain.write(chunk)
        plain.flush()
        yield plain


def _opened(plain: BinaryIO) -> fits.HDUList:
    # By a handle of its own, which can read alone whatever the given one can. Not mapped: a file that is cut
    # short while it is read would end the process.
    handle = open(f"/proc/self/fd/{plain.fileno()}", "rb")  # noqa: SIM115 - closed with the list of units
    return fits.open(handle, mode="readonly", memmap=False, lazy_load_hdus=True, do_not_scale_image_data=True)


def _of_fits(plain: BinaryIO, hdus: fits.HDUList, product_type: str | None) -> Sight:
    hdu = fits_images.main_image(hdus)
    if hdu is None:
        table = next(iter(fits_images.units(hdus)), None)
        if table is None:
            raise NoPicture("The file has neither pixels nor rows.")
        return spectra.of_table(table)
    is_spectrum = product_type == "spectrum" and spectra.is_row(hdu)
    if is_spectrum or not fits_images.is_plane(hdu):
        return spectra.of_image(hdu)
    return fits_images.image(plain, hdu)


def _shown(sight: Sight, task: Task) -> Findings:
    """Write the pictures."""
    if isinstance(sight, Spectrum):
        for kind in Kind:
            is_small = kind is Kind.THUMBNAIL
            plotted = pictures.plot(sight.x, sight.y, sight.labels, kind.side, bare=is_small)
            (Path(task.scratch) / kind.file_name).write_bytes(plotted)
        return Findings(DONE)
    statistics, dispersed = None, None
    if isinstance(sight, Image):
        small = reduced(sight, 2 * Kind.PREVIEW.side - 1)
        if small.statistics is None:
            raise NoPicture("No pixel of the image has a value.")
        if sight.is_measured:
            statistics = small.statistics
            dispersed = ridges(_grey(small)) if task.product_type in _OF_TWO_AXES else None
        shades = pictures.stretched(small.values)
        picture = shades[::-1] if sight.is_bottom_up else shades
    else:
        picture = np.asarray(sight)
    for kind in Kind:
        (Path(task.scratch) / kind.file_name).write_bytes(pictures.shrunk(picture, kind.side))
    return Findings(DONE, statistics=statistics, ridges=dispersed)


def _solvable(sight: Sight, task: Task) -> Findings:
    """Write a plane of moderate size as FITS, the way up that the sky has in it."""
    if not isinstance(sight, Image) or not sight.is_measured:
        raise NoPicture("Only frames of a detector are solved.")
    small = reduced(sight, _PLANE_SIDE)
    if small.statistics is None:
        raise NoPicture("No pixel of the image has a value.")
    values = _grey(small)
    values = np.where(np.isfinite(values), values, np.float32(small.statistics.median))
    upright = values if sight.is_bottom_up else values[::-1]
    with open(Path(task.scratch) / Plane.FILE_NAME, "wb") as file:
        fits.PrimaryHDU(np.ascontiguousarray(upright, dtype=">f4")).writeto(file)
        os.fsync(file.fileno())
    return Findings(DONE, plane=Plane(upright.shape[1], upright.shape[0], small.step))


def _grey(small: Reduced) -> Any:
    return small.values.mean(axis=2) if small.values.ndim == 3 else small.values
