"""The metrics of the archive in Prometheus' text format: what processes count, what the database tells."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from ost_vo.faults import Fault
from ost_vo.services.archive import Archive
from ost_vo.services.worker import EXECUTORS
from ost_vo.store.connections import Database
from ost_vo.store.measures import Measures, measures

# Where the processes of a service keep their counts for each other; prometheus_client reads it, too.
DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


def exposition(archive: Archive) -> bytes:
    """Return the metrics; what the database tells is missing where it does not answer, and said to be so."""
    counted = CollectorRegistry() if os.environ.get(DIRECTORY) else REGISTRY
    if os.environ.get(DIRECTORY):
        MultiProcessCollector(counted)
    told = CollectorRegistry()
    told.register(_Telling(archive))
    return generate_latest(counted) + generate_latest(told)


class _Telling(Collector):
    """What the database and the disk tell."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def collect(self) -> Iterator[GaugeMetricFamily]:
        settings = self._archive.settings
        free = GaugeMetricFamily("ost_vo_disk_free_bytes", "Free space.", labels=["directory"])
        for name, path in (("state", settings.state), ("data", settings.data)):
            if path.exists():
                free.add_metric([name], shutil.disk_usage(path).free)
        yield free
        found = self._measured()
        yield GaugeMetricFamily(
            "ost_vo_database_up", "Whether the database answers.", value=found is not None
        )
        if found is not None:
            yield from _families(found)

    def _measured(self) -> Measures | None:
        database = Database(self._archive.settings.dsn("ost_owner"), 1)
        try:
            with database.connection() as connection:
                return measures(connection)
        except Fault:
            return None  # said by ost_vo_database_up
        finally:
            database.close()


def _families(found: Measures) -> Iterator[GaugeMetricFamily]:
    jobs = GaugeMetricFamily("ost_vo_jobs", "Jobs by kind and phase.", labels=["kind", "phase"])
    for (kind, phase), count in found.jobs.items():
        jobs.add_metric([kind, phase], count)
    yield jobs
    queues = GaugeMetricFamily(
        "ost_vo_job_queue_seconds",
        "How long the first job of a kind in the queue has waited.",
        labels=["kind"],
    )
    for kind in sorted({*EXECUTORS, *found.queue_seconds}):
        queues.add_metric([kind], found.queue_seconds.get(kind, 0.0))
    yield queues
    sessions = GaugeMetricFamily("ost_vo_database_connections", "Connections by state.", labels=["state"])
    for state, count in found.sessions.items():
        sessions.add_metric([state], count)
    yield sessions
    for name, text, value in (
        ("analysis_queue", "Products that wait for previews, statistics or plate solutions.", found.analyses),
        ("analysis_queue_seconds", "How long the first that is due has waited.", found.analysis_seconds),
        ("watchers", "Processes that watch the data root.", found.watchers),
        ("alarms", "What the watcher has found wrong with the disk.", found.alarms),
        ("products", "Products, about.", found.products),
        ("quarantine_files", "Files that could not be ingested.", found.quarantine),
        ("ingest_lag_seconds", "Median time from a file's change to its ingest.", found.ingest_lag_seconds),
        ("ingest_age_seconds", "Time since the newest product was ingested.", found.ingest_age_seconds),
        ("database_bytes", "Size of the database.", found.bytes),
    ):
        if value is not None:
            yield GaugeMetricFamily(f"ost_vo_{name}", text, value=value)
