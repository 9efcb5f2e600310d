"""What a process counts of its work, for Prometheus; `/metrics` shows it.

Whoever does the work counts it here; names and units are those of Prometheus' conventions: seconds, bytes,
and ``_total`` for what only grows.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

# Bounds of the classes of durations [s]: from an index look-up to the longest synchronous query.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

REQUESTS = Counter("ost_vo_requests", "Requests that were answered.", ("endpoint", "method", "status"))
REQUEST_SECONDS = Histogram(
    "ost_vo_request_seconds", "Time from a request to the end of its answer.", ("endpoint",), buckets=_SECONDS
)
RESPONSE_BYTES = Counter("ost_vo_response_bytes", "Bytes of answers that this service sent.", ("endpoint",))
SENDFILE_BYTES = Counter(
    "ost_vo_sendfile_bytes", "Bytes of files that the web server in front was asked to send, without ranges."
)
REQUESTS_RUNNING = Gauge(
    "ost_vo_requests_running", "Requests that are being answered.", multiprocess_mode="livesum"
)
ROWS = Counter("ost_vo_rows", "Rows of results of queries.")
CACHE = Counter("ost_vo_cache_lookups", "Looks into what a process remembers.", ("cache", "outcome"))


def cache(name: str, *, hit: bool) -> None:
    """Count a look into a cache."""
    CACHE.labels(name, "hit" if hit else "miss").inc()
