"""The types of the values that the HTTP API takes: what fits neither the tables nor a text is refused."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints


def _number(value: object) -> object:
    """Refuse what only looks like a number to Python: in JSON, a text and a truth value are none."""
    if isinstance(value, (bool, str)):
        raise ValueError("a number is needed")
    return value


def _text(value: object) -> object:
    """Refuse a number as a moment: it would count as seconds since 1970."""
    if not isinstance(value, str) or value[4:5] != "-":
        raise ValueError("a moment as in 2027-01-01T00:00:00Z is needed")
    return value


# PostgreSQL stores no NUL.
_TEXT = r"^[^\x00]*$"

Text = Annotated[str, StringConstraints(pattern=_TEXT, max_length=10_000)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.@-]{1,64}$")]
ProjectName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Directory = Annotated[str, StringConstraints(pattern=_TEXT, min_length=1, max_length=1000)]
Identifier = Annotated[str, StringConstraints(pattern=_TEXT, min_length=1, max_length=1000)]
_IN_JSON = BeforeValidator(_number)
Level = Annotated[int, Field(ge=1, le=5, description="Privileges level."), _IN_JSON]
Published = Annotated[int, Field(ge=2, le=5, description="Privileges level to rise to."), _IN_JSON]
Lowered = Annotated[int, Field(ge=2, le=4, description="Privileges level to go down to."), _IN_JSON]
Flag = Annotated[bool, Field(strict=True)]
Moment = Annotated[AwareDatetime, BeforeValidator(_text)]
Role = Literal["staff", "supervisor", "student"]
Scope = Literal["read", "write", "admin"]
Reason = Annotated[
    str,
    StringConstraints(pattern=_TEXT, max_length=1000),
    Field(description="Why, for the audit log."),
]
ReasonQuery = Annotated[Reason, Query()]


class Body(BaseModel):
    """A body of a request; what it does not know is refused."""

    model_config = ConfigDict(extra="forbid")


class Changed(BaseModel):
    """What a change has changed."""

    changed: list[str] = Field(description="Identifiers of the products that are different now.")
