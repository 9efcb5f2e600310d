"""How much the archive has of what the caller may see."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from ost_vo.services.holdings import ORDER, Count
from ost_vo.web import holdings
from ost_vo.web.api.callers import Scoped, ScopeOf
from ost_vo.web.api.problems import refusals

router = APIRouter(prefix="/holdings", tags=["holdings"])


class Amount(BaseModel):
    """Files with something in common."""

    value: str | None = Field(description="What they have in common; null where it is unknown.")
    files: int
    size: int = Field(description="Of all of them [byte].")
    light_seconds: float = Field(description="Exposure of the light frames among them [s].")


class Amounts(BaseModel):
    """How much there is, as a whole and by what files have in common."""

    files: int
    size: int = Field(description="Of all files [byte].")
    light_seconds: float = Field(description="Exposure of the light frames together [s].")
    runs: int
    targets: int
    groups: dict[str, list[Amount]] = Field(
        description="By media type (format), instrument, filter, kind, calib_level, first day of month, and "
        "source of the position of light frames (position: wcs, header or none)."
    )


class Cells(BaseModel):
    """Where on the sky files have their centres."""

    order: int = Field(description="Of the cells of HEALPix, nested numbering.")
    # Pairs: as tuples the document would say them with a word that JSON Schema has given up.
    cells: list[list[int]] = Field(description="Number of a cell, and how many files.")


@router.get("", responses=refusals(400, 401, 403))
async def get_holdings(request: Request, context: ScopeOf, _scope: Annotated[Scoped, Query()]) -> Amounts:
    """Count the files that the caller's context covers."""
    found = await holdings.numbers(request, context)
    return Amounts(
        files=found.all.files,
        size=found.all.size,
        light_seconds=found.all.light_seconds,
        runs=found.runs,
        targets=found.targets,
        groups={name: [_amount(count) for count in counts] for name, counts in found.groups.items()},
    )


@router.get("/sky", responses=refusals(400, 401, 403))
async def get_cells(request: Request, context: ScopeOf, _scope: Annotated[Scoped, Query()]) -> Cells:
    """Count the files that the caller's context covers by cells of the sky."""
    return Cells(order=ORDER, cells=[list(cell) for cell in await holdings.cells(request, context)])


def _amount(count: Count) -> Amount:
    value = None if count.value is None else str(count.value)
    return Amount(value=value, files=count.files, size=count.size, light_seconds=count.light_seconds)
