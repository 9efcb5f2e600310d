"""The log of a process: one line an event, on standard error.

What is bound with :func:`structlog.contextvars.bound_contextvars` is in every line: ``request`` is the id of
a request, ``job`` that of a job.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import Processor

Format = Literal["text", "json"]


def configure(form: Format = "text") -> None:
    """Choose how the log is written; to be called once by every program.

    Tracebacks come without the values of variables, among which are passwords and tokens.

    Args:
        form: ``text`` for people, or ``json`` for one object a line, of libraries as well.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, *_rendering(form)],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    if form == "json":
        _redirect_libraries(shared)


def _rendering(form: Format) -> list[Processor]:
    if form == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    ]


def _redirect_libraries(shared: list[Processor]) -> None:
    """Have what Python's own logging gets written in the same form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering("json")],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
