"""Asking SIMBAD about a name: only where the operator has switched it on, and only when he says so.

It is asked through its TAP service, one name at a time.
"""

from __future__ import annotations

import csv
import io
import math
import urllib.error
import urllib.request
from http.client import HTTPException
from urllib.parse import urlencode, urlsplit

from ost_vo.catalogues.entries import CLUSTER, GALAXY, NEBULA, OTHER, STAR, Entry
from ost_vo.faults import TransientFault, UsageFault
from ost_vo.settings import Settings

CATALOGUE = "SIMBAD"
# An answer has one row of five columns [bytes].
_MAX_BYTES = 65_536
# What stands before names and designations that are of no catalogue.
_PREFIXES = ("NAME ", "* ", "** ", "V* ", "Cl* ", "EM* ")
# SIMBAD's short types; one with an asterisk is a star, but for these, and what is not here is another object.
_KINDS = {
    GALAXY: "G IG GiC GiG GiP PaG BiC GrG CGG ClG SyG Sy1 Sy2 AGN LIN SBG bCG LSB EmG rG H2G QSO BLL Bla",
    CLUSTER: "OpC GlC Cl* As*",
    NEBULA: "PN HII SNR Cld DNe RNe GNe MoC ISM HH glb bub",
}
_KIND_OF = {code: kind for kind, codes in _KINDS.items() for code in codes.split()}

_QUERY = """SELECT TOP 1 main_id, ra, dec, otype, galdim_majaxis
FROM basic JOIN ident ON oidref = oid WHERE id = '{name}'"""
_ARCMIN = 60.0


class Simbad:
    """A SIMBAD that answers.

    Args:
        settings: have its address, and how long to wait for an answer.

    Raises:
        UsageFault: the operator has not switched it on.
    """

    def __init__(self, settings: Settings) -> None:
        if not settings.simbad_url:
            raise UsageFault(
                "SIMBAD is switched off.", "Set OST_VO_SIMBAD_URL to the address of its TAP service."
            )
        if urlsplit(settings.simbad_url).scheme not in ("http", "https"):
            raise UsageFault("OST_VO_SIMBAD_URL is no address.", "It begins with https://.")
        self._address = f"{settings.simbad_url.rstrip('/')}/sync"
        self._seconds = settings.simbad_seconds

    def ask(self, name: str) -> Entry | None:
        """Return what SIMBAD has of a name, None where it has nothing with a position.

        Raises:
            TransientFault: it does not answer, or with something else.
        """
        query = _QUERY.format(name=name.replace("'", "''"))
        form = {"REQUEST": "doQuery", "LANG": "ADQL", "FORMAT": "csv", "MAXREC": "1", "QUERY": query}
        try:
            # The address is the operator's own, of http or https.
            with urllib.request.urlopen(
                self._address, urlencode(form).encode(), timeout=self._seconds
            ) as answer:
                text = answer.read(_MAX_BYTES).decode("utf-8", "replace")
        except (OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise TransientFault(f"SIMBAD does not answer: {reason}.", "Try again later.") from error
        return _entry(name, text)


def _entry(name: str, text: str) -> Entry | None:
    rows = csv.DictReader(io.StringIO(text))
    if not {"main_id", "ra", "dec"} <= set(rows.fieldnames or ()):
        raise TransientFault(
            "SIMBAD answers with something else than a table.", "Is OST_VO_SIMBAD_URL right?"
        )
    row = next(rows, None)
    if row is None:
        return None
    ra, dec, size = (_number(row.get(column)) for column in ("ra", "dec", "galdim_majaxis"))
    if ra is None or dec is None or not (0.0 <= ra <= 360.0 and -90.0 <= dec <= 90.0):
        return None
    called = " ".join((row["main_id"] or "").split())
    for prefix in _PREFIXES:
        called = called.removeprefix(prefix)
    return Entry(
        called or name,
        _kind(row.get("otype") or ""),
        CATALOGUE,
        s_ra=ra % 360.0,
        s_dec=dec,
        size=size / _ARCMIN if size and size > 0 else None,
        aliases=(name,),
    )


def _kind(otype: str) -> str:
    code = otype.rstrip("?")
    return _KIND_OF.get(code) or (STAR if "*" in code else OTHER)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "nan")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
