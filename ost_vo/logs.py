"""The log of a process: one line an event, on standard error."""

from __future__ import annotations

import sys

import structlog


def configure() -> None:
    """Choose how the log is written; to be called once by every program.

    Tracebacks come without the values of variables, among which are passwords and tokens.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
