"""What an error of the database means to whoever asked, told without any value from the database."""

from __future__ import annotations

import re

import psycopg2
import structlog
from psycopg2 import errorcodes

from ost_vo.faults import FatalFault, Fault, TransientFault, UsageFault

log = structlog.get_logger(__name__)

_DATA_FAULTS = {
    errorcodes.DIVISION_BY_ZERO: "The query divides by zero.",
    errorcodes.NUMERIC_VALUE_OUT_OF_RANGE: "The query computes a number out of the range of its type.",
    errorcodes.INVALID_TEXT_REPRESENTATION: "The query casts a text that does not spell such a value.",
    errorcodes.INVALID_DATETIME_FORMAT: "The query casts a text that does not spell a date or time.",
    errorcodes.DATETIME_FIELD_OVERFLOW: "The query computes a date or time that does not exist.",
    errorcodes.INVALID_ARGUMENT_FOR_LOGARITHM: "The query takes the logarithm of a number not above zero.",
    errorcodes.INVALID_ARGUMENT_FOR_POWER_FUNCTION: "The query takes a power or root that is not real.",
    errorcodes.INVALID_REGULAR_EXPRESSION: "The query holds a regular expression that is not valid.",
}
# How pg_sphere says that a geometry cannot be made; none of its texts holds a value.
_GEOMETRY = re.compile(
    r"((?:sphere(?:point|circle|line|poly)|spoly|radius must)[^\n]*?)[.\s]*$", re.MULTILINE
)
_DATA_HINT = "Exclude the rows for which it cannot be computed in the WHERE clause."


def fault_of(error: psycopg2.Error, *, limit: float | None = None) -> Fault:
    """Return the fault to report for a database error, without any value from the database.

    Args:
        error: what psycopg2 raised.
        limit: the time limit that the statement has reached (s), None if it has not reached one.
    """
    code = error.pgcode or ""
    if code == errorcodes.QUERY_CANCELED:
        return _stopped(limit)
    if code.startswith("22"):
        return UsageFault(_DATA_FAULTS.get(code, "The query computes a value that is not valid."), _DATA_HINT)
    if code.startswith("54"):
        return UsageFault("The query is too complex for the database.", "Split it, or simplify it.")
    geometry = _GEOMETRY.match(str(error))
    if code == errorcodes.INTERNAL_ERROR and geometry:
        return UsageFault(f"A geometry that the query computes is not valid: {geometry[1]}.", _DATA_HINT)
    log.error("database error", sqlstate=code, kind=type(error).__name__, message=str(error).strip())
    if code == errorcodes.CONFIGURATION_LIMIT_EXCEEDED:
        return TransientFault("The query needs more temporary space than it may use.", "Narrow the query.")
    if code[:2] in ("08", "40", "53", "57") or (not code and isinstance(error, psycopg2.OperationalError)):
        return TransientFault("The archive's database is not available at the moment.", "Try again later.")
    return FatalFault("The archive's database failed to run the query.", "The operators can see why.")


def _stopped(limit: float | None) -> Fault:
    if limit is None:
        return TransientFault("The query was stopped by the archive.", "Try again later.")
    return TransientFault(
        f"The query and the transfer of its result took longer than the limit of {limit:g} s.",
        "Narrow the query, or run it as an asynchronous job.",
    )


def out_of_time(limit: float | None) -> Fault:
    """Return the fault of a query that the database has worked on for too long [s]."""
    return TransientFault(
        f"The database worked on the query for longer than the limit of {limit or 0:g} s.",
        "Narrow the query, or run it as an asynchronous job.",
    )
