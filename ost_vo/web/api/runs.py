"""Runs and their files, as the caller may see them."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ost_vo.services import notes, runs
from ost_vo.store.runs import Run
from ost_vo.web.api.callers import ArchiveOf, Scoped, ScopeOf, User
from ost_vo.web.api.conditions import Expected, answer
from ost_vo.web.api.fields import Body, Flag, Reason, Text
from ost_vo.web.api.problems import refusals
from ost_vo.web.api.products import json_value
from ost_vo.web.api.tags import TagName

router = APIRouter(prefix="/runs", tags=["runs"])

Note = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=notes.MAX_NOTE)]
TagNames = Annotated[list[TagName], Field(max_length=notes.MAX_TAGS)]
ReductionStatus = Literal["not", "partly", "fully", "error"]


class RunQuery(Scoped):
    """Which runs to list."""

    text: Text = Field("", description="Part of the name, or of the night (YYYY-MM-DD).")
    tag: TagName | None = Field(None, description="Those that have it.")
    reduction_status: ReductionStatus | None = Field(None, description="Those in that state of reduction.")
    limit: int = Field(50, ge=1, le=runs.MAX_PAGE, description="Runs on a page.")
    cursor: Text | None = Field(None, description="`next` of the page before.")


class FileQuery(Scoped):
    """Which files of a run to list."""

    exposure_type: Text | None = Field(None, description="bias, dark, flat, light or wave.")
    target_name: Text | None = Field(None, description="Name of the target.")
    filter_name: Text | None = Field(None, description="Name of the filter.")
    instrument_name: Text | None = Field(None, description="Name of the instrument.")
    dataproduct_type: Text | None = Field(None, description="image, cube, spectrum and so on.")
    limit: int = Field(1000, ge=1, le=runs.MAX_FILES, description="Files on a page.")
    cursor: Text | None = Field(None, description="`next` of the page before.")


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
    reduction_status: ReductionStatus = Field(description="Whether its data are reduced, as people say.")
    photometry: bool = Field(description="Whether people say that it is good for photometry.")
    spectroscopy: bool = Field(description="Whether people say that it has spectra.")
    tags: list[str]
    note: str


class RunPage(BaseModel):
    """Some runs, the latest night first."""

    runs: list[ListedRun]
    next: str | None = Field(description="`cursor` of the next page; null on the last.")


class RunChanges(Body):
    """What to write of a run; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    note: Note = ""
    tags: TagNames = []  # noqa: RUF012 pydantic copies it
    reduction_status: ReductionStatus = "not"
    photometry: Flag = False
    spectroscopy: Flag = False
    reason: Reason = ""


class FileList(BaseModel):
    """Some files of a run in the order of their times."""

    files: list[dict[str, Any]] = Field(description="Columns of ost.products.")
    next: str | None = Field(description="`cursor` of the next page; null on the last.")


@router.get("", responses=refusals(400, 401, 403))
def list_runs(archive: ArchiveOf, context: ScopeOf, wanted: Annotated[RunQuery, Query()]) -> RunPage:
    """List the runs of which the caller's context covers a file."""
    page = runs.page(
        archive,
        context,
        wanted.text,
        wanted.cursor,
        wanted.limit,
        tag=wanted.tag,
        reduction_status=wanted.reduction_status,
    )
    return RunPage(runs=[_listed(run) for run in page.runs], next=page.cursor)


# Names of directories hold anything but a slash.
@router.get("/{name}", response_model=ListedRun, responses=refusals(400, 401, 403, 404))
def get_run(archive: ArchiveOf, context: ScopeOf, name: Text, _scope: Annotated[Scoped, Query()]) -> Response:
    """Return a run."""
    return answer(_listed(runs.get(archive, context, name)))


@router.patch("/{name}", response_model=ListedRun, responses=refusals(400, 401, 403, 404, 412))
def change_run(
    archive: ArchiveOf, context: ScopeOf, actor: User, name: Text, changes: RunChanges, expected: Expected
) -> Response:
    """Write of a run what people say of it.

    The note takes the permission run_detail_edit_notes, the tags run_detail_edit_tags, all else runs_edit.
    """
    given = changes.model_dump(exclude_unset=True, exclude={"reason"})
    changed = notes.edit_run(
        archive, context, actor, name, given, changes.reason, lambda run: expected(_listed(run))
    )
    return answer(_listed(changed))


@router.get("/{name}/files", response_model=FileList, responses=refusals(400, 401, 403))
def list_files(
    archive: ArchiveOf, context: ScopeOf, name: Text, wanted: Annotated[FileQuery, Query()]
) -> Response:
    """List the files of a run that the caller's context covers; none where there is no such run."""
    given = wanted.model_dump(include=set(runs.FILTERS), exclude_none=True)
    found = runs.files(archive, context, name, given, wanted.limit + 1, wanted.cursor)
    page = found[: wanted.limit]
    rows = [{column: json_value(value) for column, value in row.items()} for row in page]
    following = runs.cursor_behind(page[-1]) if len(found) > wanted.limit else None
    document = json.dumps({"files": rows, "next": following}, ensure_ascii=False)
    return Response(document, media_type="application/json")


def _listed(run: Run) -> ListedRun:
    return ListedRun(**{name: getattr(run, name) for name in ListedRun.model_fields})
