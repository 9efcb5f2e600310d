"""When archive and disk are compared in full: at times of the day that the settings name."""

from __future__ import annotations

import time as clock
from contextlib import closing
from datetime import datetime, time, timedelta

import structlog

from ingest.discovery import Found
from ingest.load import Loader
from ingest.reconcile import Reconciler
from ost_vo.settings import Settings
from ost_vo.store.ingesting import open_connection

_log = structlog.get_logger(__name__)


def following(settings: Settings, now: float) -> float:
    """Return the next time for a full comparison, infinity where there is none.

    Args:
        settings: of the installation.
        now: the time after which it is [s since 1970], as the result is.
    """
    today = datetime.fromtimestamp(now, settings.zone).date()
    texts = filter(None, map(str.strip, settings.watch_reconcile_at.split(",")))
    times = [time.fromisoformat(text) for text in texts]
    moments = (
        datetime.combine(today + timedelta(days=days), moment, settings.zone).timestamp()
        for days in (0, 1)
        for moment in times
    )
    return min((moment for moment in moments if moment > now), default=float("inf"))


def compare(settings: Settings) -> None:
    """Compare archive and disk beside a watcher, to which files that somebody may still be writing are left.

    Raises:
        LossFault: the disk looks as if it were not mounted; the alarm sounds, and nothing was changed.
        TransientFault: the database does not answer.
    """

    def is_fresh(found: Found) -> bool:
        return clock.time() - found.modified_ns / 1e9 < settings.watch_delay

    with open_connection(settings) as connection, closing(Loader(connection, settings)) as loader:
        findings = Reconciler(connection, settings, loader, is_fresh).run()
    _log.info("compared with the disk", findings=str(findings))
