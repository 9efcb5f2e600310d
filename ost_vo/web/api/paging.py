"""Pages of what is listed by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ost_vo.web.api.fields import Text

MAX_PAGE = 1000
NEXT = Field(description="`cursor` of the next page; null on the last.")


class Named(Protocol):
    """What has a name, by which it is listed."""

    @property
    def name(self) -> str:
        """The name."""


T = TypeVar("T", bound=Named)


class NameQuery(BaseModel):
    """Which page of a list by name."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(100, ge=1, le=MAX_PAGE, description="Entries on a page.")
    cursor: Text = Field("", description="`next` of the page before.")

    @property
    def wanted(self) -> tuple[str, int]:
        """The name that the entries follow, and one entry more than the page has, which tells of another."""
        return self.cursor, self.limit + 1


def split(found: Sequence[T], limit: int) -> tuple[Sequence[T], str | None]:
    """Return the entries of a page of those that were found, and the cursor of the next page."""
    return found[:limit], found[limit - 1].name if len(found) > limit else None
