"""One key for all spellings of a name."""

from __future__ import annotations

import re
import unicodedata

from ost_vo.catalogues import designations

# Signs of declinations tell "BD+12 45" from "BD-12 45", and a point the parts of a number.
_PART = re.compile(r"[^\W\d_]+|\d+|\+|\.(?=\d)")
# What has no letter or digit is its own key; names are no longer than FITS headers have them.
_MAX = 200


def key(name: str) -> str:
    """Return what all spellings of a name have in common; it is never empty for a name that is not.

    Case, accents, blanks, hyphens and leading zeros make no difference ("NGC-0224", "ngc 224" and "NGC224"),
    but for what keeps two numbers apart ("MCG+07-02-016"); nor whether a star is "alf Lyr", "alpha Lyrae",
    "α Lyr" or, as SIMBAD writes it, "* alf Lyr"; nor its "V*" before variable stars.
    """
    plain = name.casefold().removeprefix("v*")
    if not plain.isascii():
        plain = "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
    written = ""
    for part in _PART.findall(plain):
        is_number = part.isdecimal()
        if is_number and not written.endswith("."):
            part = part.lstrip("0") or "0"
        if is_number and written[-1:].isdecimal():
            written += " "
        written += part
    return (designations.short(written) or plain.strip() or name)[:_MAX]
