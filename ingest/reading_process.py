"""The processes of a crew, which read files; they start with no more than that takes."""

from __future__ import annotations

import signal
from multiprocessing.connection import Connection
from types import SimpleNamespace

from astropy import log as astropy_log
from astropy.io import fits
from astropy.io.fits import card

from ingest.reading import read

READY = None  # what a process says first


def serve(descriptor: int) -> None:
    """Read what a socket names until it closes, as it does when the other side is killed."""
    # Ctrl-C is for the other side, which ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    astropy_log.setLevel("ERROR")
    _hold_settings_of_astropy()
    connection: Connection = Connection(descriptor)
    try:
        observatory = connection.recv()
        connection.send(READY)
        while True:
            connection.send(read(connection.recv(), observatory))
    except (EOFError, OSError):
        return


def _hold_settings_of_astropy() -> None:
    """Look up once, in a process that only reads, what astropy looks up for every card."""
    names = ("enable_record_valued_keyword_cards", "strip_header_whitespace")
    card.conf = SimpleNamespace(**{name: getattr(fits.conf, name) for name in names})
