"""World coordinate systems made of the sound cards of a header alone.

Wcslib corrupts its memory over odd values and over incomplete plate solutions of Schmidt surveys (PLTRAH,
AMDX1, XPIXELSZ, ...), so it sees none of these.

Source: FITS 4.0 section 8 (WCS); Shupe et al. 2005 (SIP).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from astropy.io import fits

if TYPE_CHECKING:
    from astropy.wcs import WCS

CARD_BYTES = 80
_MAX_AXES = 9
_LOOKUP_DISTORTIONS = ("CPDIS1", "CPDIS2", "CPERR1", "D2IMDIS1", "D2IMDIS2", "AXISCORR", "D2IMERR1")
_WCS_TEXT = re.compile(r"(CTYPE|CUNIT)[1-9]$|RADESYS$|RADECSYS$")
_WCS_NUMBER = re.compile(
    r"(CRVAL|CRPIX|CDELT|CROTA)[1-9]$|(CD|PC|PV)[1-9]_\d{1,2}$|PC00[1-9]00[1-9]$|(LON|LAT)POLE$|EQUINOX$|EPOCH$"
    r"|(A|B|AP|BP)_([0-9]_[0-9]|ORDER)$"
)
_LOOKUP_CARD = re.compile(r"(CPDIS|CPERR|DP|D2IM|D2IMDIS|D2IMERR)[1-9]\b|AXISCORR")
_SCALE = re.compile(r"(CD\d_\d|CDELT\d)$")
_LARGEST_NUMBER = 1e30
_LARGEST_SIP_ORDER = 9
_CELESTIAL = re.compile(r"(RA--|DEC-|[GEHS]LON|[GEHS]LAT|[A-Z]{2}L[NT]-)")

Value = bool | int | float | str


def value_of(header: fits.Header, keyword: str) -> Value | None:
    """Return a keyword's value as it stands; None where it is absent, undefined, or cannot be read."""
    try:
        value = header.get(keyword)
    except (fits.VerifyError, ValueError):
        return None
    return value if isinstance(value, Value) else None


def text_of(header: fits.Header, keyword: str) -> str:
    """Return a keyword's text without blanks around it; '' where it is absent or no text."""
    value = value_of(header, keyword)
    return value.strip() if isinstance(value, str) else ""


def needs_lookup(header: fits.Header) -> bool:
    """Whether the WCS has distortion tables in other extensions."""
    return any(value_of(header, keyword) for keyword in _LOOKUP_DISTORTIONS)


def celestial_axes(header: fits.Header) -> list[int]:
    """Return the numbers of the axes for longitude and latitude, in their order in the file."""
    return [axis for axis in range(1, _MAX_AXES + 1) if _CELESTIAL.match(text_of(header, f"CTYPE{axis}"))]


def has_celestial_wcs(header: fits.Header) -> bool:
    """Whether a header has a world coordinate system for the sky: types, reference point, and a scale."""
    axes = celestial_axes(header)
    return (
        len(axes) == 2
        and all(value_of(header, f"CRVAL{axis}") is not None for axis in axes)
        and any(_SCALE.match(keyword) and value_of(header, keyword) for keyword in header)
    )


def celestial_wcs(
    header: fits.Header, shape: Sequence[int], hdus: fits.HDUList | None = None, cards: str = ""
) -> WCS:
    """Return the celestial WCS of an image; its axes are in the order that they have in the file.

    Args:
        header: of the image.
        shape: lengths of its axes, NAXIS1 first.
        hdus: the whole file, where `needs_lookup` says that distortions lie in extensions; else None.
        cards: the header's characters, 80 a card, which are looked at for these distortions.

    Raises:
        WcsError, ValueError, KeyError, IndexError, TypeError, MemoryError: it cannot be used.
    """
    # Imported here: it takes a second, and most files are ingested without.
    from astropy.wcs import WCS

    sound = sound_header(header, shape, cards if hdus is not None else "")
    axes = celestial_axes(sound)
    if len(shape) == 2 and axes == [1, 2] and "CTYPE3" not in sound:
        return WCS(sound, fobj=hdus)
    # Distortions work in two dimensions only, so the others have to go before they are looked at.
    return WCS(sound, fobj=hdus, naxis=axes)


def sound_header(header: fits.Header, shape: Sequence[int], lookup_cards: str = "") -> fits.Header:
    """Return the sound cards of the primary WCS alone, and those of distortion tables among some cards.

    The fewer they are, the better: astropy checks and copies every card several times.
    """
    sound = fits.Header()
    for keyword, value in sound_values(header).items():
        sound[keyword] = value
    starts = range(0, len(lookup_cards), CARD_BYTES)
    cards = (lookup_cards[start : start + CARD_BYTES] for start in starts)
    lookup = "".join(card for card in cards if _LOOKUP_CARD.match(card))
    if lookup:
        sound.extend(fits.Header.fromstring(lookup).cards)
    sound["NAXIS"] = len(shape)
    for number, length in enumerate(shape, 1):
        sound[f"NAXIS{number}"] = length
    return sound


def sound_values(header: fits.Header) -> dict[str, Value]:
    """Return the keywords of the primary WCS with their values, if these are sound, in the header's order."""
    found = {}
    for keyword in dict.fromkeys(header):
        # Matched first: astropy takes '*', '?' and '...' in a keyword for a pattern.
        if _WCS_TEXT.match(keyword) or _WCS_NUMBER.match(keyword):
            value = value_of(header, keyword)
            if value is not None and _is_sound(keyword, value):
                found[keyword] = value
    return found


def _is_sound(keyword: str, value: Value) -> bool:
    """Whether a card of the WCS has a value that can be right."""
    if isinstance(value, str) or _WCS_TEXT.match(keyword):
        return isinstance(value, str) and _WCS_TEXT.match(keyword) is not None
    if keyword.endswith("_ORDER"):
        return isinstance(value, int) and 0 <= value <= _LARGEST_SIP_ORDER
    return not isinstance(value, bool) and abs(value) < _LARGEST_NUMBER
