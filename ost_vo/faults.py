"""The faults of the domain: what went wrong, where, and what to do about it.

Nothing here knows HTTP or SQL. The code names follow DALI 1.1 section 5.4 and SIA 2.0 section 3.2; the web
layer chooses status and document from the class.
"""

from __future__ import annotations


class Fault(Exception):
    """Something that the caller is told about.

    Attributes:
        code: the standard's name of the kind of fault, the first word of a DALI error message.
        detail: what was wrong and where, in one or two sentences for the person who asked.
        hint: what to do about it; empty where the detail already says it.
        transient: whether the same request may succeed later without a change.
    """

    code = "DefaultFault"
    transient = False

    def __init__(self, detail: str, hint: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.detail} {self.hint}".rstrip()


class UsageFault(Fault):
    """The request itself is wrong: a bad parameter value, a query that does not parse."""

    code = "UsageFault"


class QueryFault(UsageFault):
    """An ADQL query that cannot run.

    Attributes:
        line: line in the query, counted from 1; 0 where no place can be named.
        column: column in that line, counted from 1; 0 where no place can be named.
    """

    def __init__(self, detail: str, hint: str = "", *, line: int = 0, column: int = 0) -> None:
        super().__init__(detail, hint)
        self.line = line
        self.column = column

    def __str__(self) -> str:
        where = f"Line {self.line}, column {self.column}: " if self.line else ""
        return where + super().__str__()


class NotFoundFault(UsageFault):
    """No such thing, or none that the caller may see: the two are never told apart."""

    code = "NotFoundFault"


class ConflictFault(UsageFault):
    """The request is well formed, and what the archive holds stands in its way."""


class PreconditionFault(Fault):
    """What is to be changed is not as the caller has seen it."""

    code = "PreconditionFault"


class AuthenticationFault(Fault):
    """The caller must log in first."""

    code = "AuthenticationFault"


class AuthorizationFault(Fault):
    """The caller is known, and may not do this."""

    code = "AuthorizationFault"


class TransientFault(Fault):
    """Try again later: too busy, out of time, a service that is down."""

    code = "TransientFault"
    transient = True


class ThrottledFault(TransientFault):
    """Too many wrong passwords: nobody listens for a while.

    Attributes:
        seconds: after which to try again.
    """

    def __init__(self, detail: str, hint: str = "", *, seconds: int) -> None:
        super().__init__(detail, hint)
        self.seconds = seconds


class FatalFault(Fault):
    """An error of the archive itself; the caller can do nothing about it."""

    code = "FatalFault"
