"""Names of targets: one spelling for what observers write in many ways."""

from __future__ import annotations

import re

# What programs and observers write where there is no target.
_UNUSABLE = frozenset(
    {
        "unknown",
        "none",
        "null",
        "n/a",
        "na",
        "--",
        "??",
        "test",
        "data",
        "image",
        "object",
        "target",
        "noname",
    }
    | {"bias", "dark", "darks", "flat", "flats", "light", "lights", "snapshot", "focus", "flatwizard", "sky"}
    | {"untitled", "unnamed", "science", "calibration", "zenith", "park", "home", "lamp", "arc"}
)
_CATALOGUE = re.compile(
    r"(M|NGC|IC|UGC|PGC|AGC|ARP|ABELL|LDN|LBN|VDB|HD|HIP|HR|SAO|GJ|KIC|TIC)[\s_-]*0*(\d+)\s?([a-z]?)$",
    re.IGNORECASE,
)
_WITH_HYPHEN = re.compile(r"(WASP|HAT-P|TOI|SH ?2|KOI)[\s_-]*(\d[\w.]*)$", re.IGNORECASE)
_MESSIER = re.compile(r"messier(?=[\s_-]*\d)", re.IGNORECASE)


def target_name(header_target: str) -> str | None:
    """Return the name that all spellings of a target share, or None for no target's name.

    Names of the catalogues known here are upper-case with one blank or hyphen ("m31" and "M_31" are "M 31");
    others keep their spelling but for needless blanks, and hyphens at the ends.
    """
    name = _MESSIER.sub("M", " ".join(header_target.split()).strip("_- "))
    if len(name) < 2 or name.lower() in _UNUSABLE:
        return None
    if match := _CATALOGUE.match(name):
        return f"{match[1].upper()} {match[2]}{match[3].upper()}"
    if match := _WITH_HYPHEN.match(name):
        return f"{match[1].upper().replace(' ', '')}-{match[2]}"
    return name
