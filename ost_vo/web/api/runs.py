"""Runs and their files, as the caller may see them."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from ost_vo.services import runs
from ost_vo.store.runs import Run
from ost_vo.web.api.callers import ArchiveOf, Scoped, ScopeOf
from ost_vo.web.api.fields import Text
from ost_vo.web.api.problems import refusals
from ost_vo.web.api.products import json_value

router = APIRouter(prefix="/runs", tags=["runs"])


class RunQuery(Scoped):
    """Which runs to list."""

    text: Text = Field("", description="Part of the name, or the beginning of the night (YYYY-MM-DD).")
    limit: int = Field(50, ge=1, le=runs.MAX_PAGE, description="Runs on a page.")
    cursor: Text | None = Field(None, description="`next` of the page before.")


class FileQuery(Scoped):
    """Which files of a run to list."""

    exposure_type: Text | None = Field(None, description="bias, dark, flat, light or wave.")
    target_name: Text | None = Field(None, description="Name of the target.")
    filter_name: Text | None = Field(None, description="Name of the filter.")
    instrument_name: Text | None = Field(None, description="Name of the instrument.")
    dataproduct_type: Text | None = Field(None, description="image, cube, spectrum and so on.")
    limit: int = Field(1000, ge=1, le=runs.MAX_FILES, description="The most files.")


class ListedRun(BaseModel):
    """A run, and what the caller sees of its files."""

    name: str
    night: str | None = Field(description="Date of the evening; null where the name says none.")
    project: str = Field(description="Project that its new files belong to.")
    files: int
    size: int = Field(description="Of all its files [byte].")
    t_min: float | None = Field(description="Start of the first exposure [MJD, UTC].")
    t_max: float | None = Field(description="End of the last exposure [MJD, UTC].")
    light_seconds: float = Field(description="Exposure of its light frames together [s].")
    targets: list[str]
    instruments: list[str]


class RunPage(BaseModel):
    """Some runs, the latest night first."""

    runs: list[ListedRun]
    next: str | None = Field(description="`cursor` of the next page; null on the last.")


class FileList(BaseModel):
    """Files of a run in the order of their times."""

    files: list[dict[str, Any]] = Field(description="Columns of ost.products.")


@router.get("", responses=refusals(400, 401, 403))
def list_runs(archive: ArchiveOf, context: ScopeOf, wanted: Annotated[RunQuery, Query()]) -> RunPage:
    """List the runs of which the caller's context covers a file."""
    page = runs.page(archive, context, wanted.text, wanted.cursor, wanted.limit)
    return RunPage(runs=[_listed(run) for run in page.runs], next=page.cursor)


# Names of directories hold anything but a slash.
@router.get("/{name}", responses=refusals(400, 401, 403, 404))
def get_run(
    archive: ArchiveOf, context: ScopeOf, name: Text, _scope: Annotated[Scoped, Query()]
) -> ListedRun:
    """Return a run."""
    return _listed(runs.get(archive, context, name))


@router.get("/{name}/files", response_model=FileList, responses=refusals(400, 401, 403))
def list_files(
    archive: ArchiveOf, context: ScopeOf, name: Text, wanted: Annotated[FileQuery, Query()]
) -> Response:
    """List the files of a run that the caller's context covers; none where there is no such run."""
    given = wanted.model_dump(include=set(runs.FILTERS), exclude_none=True)
    found = runs.files(archive, context, name, given, wanted.limit)
    rows = [{column: json_value(value) for column, value in row.items()} for row in found]
    return Response(json.dumps({"files": rows}, ensure_ascii=False), media_type="application/json")


def _listed(run: Run) -> ListedRun:
    return ListedRun(**{name: getattr(run, name) for name in ListedRun.model_fields})
