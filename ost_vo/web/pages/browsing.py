"""Runs and targets: lists, and each by itself; calibration frames."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ost_vo.access.context import Context
from ost_vo.faults import Fault, NotFoundFault, UsageFault
from ost_vo.services import products, runs, search
from ost_vo.services.archive import Archive
from ost_vo.services.notes import RUN_PERMISSIONS, TARGET_PERMISSIONS
from ost_vo.services.products import Filters
from ost_vo.web.pages import layout, notes, plots

_RUNS = 50
# What the night's conditions are plotted from: column of ost.products, and its name with the unit.
_CONDITIONS = (
    ("ambient_temperature", "Temperature [°C]"),
    ("humidity", "Humidity [%]"),
    ("pressure", "Pressure [hPa]"),
    ("wind_speed", "Wind [km/h]"),
    ("airmass", "Airmass"),
    ("ccd_temperature", "Detector [°C]"),
)


async def runs_page(request: Request) -> Response:
    """List runs, the latest night first."""
    archive: Archive = request.app.state.archive
    context = await layout.context_of(request)
    text, cursor = request.query_params.get("text", ""), request.query_params.get("cursor")
    tag = request.query_params.get("tag") or None
    page = await run_in_threadpool(runs.page, archive, context, text, cursor, _RUNS, tag=tag)
    return await layout.render(request, "runs.html", page=page, text=text, tag=tag)


async def run_page(request: Request) -> Response:
    """Show a run: its files, and the conditions of the night."""
    archive: Archive = request.app.state.archive
    context = await layout.context_of(request)
    name = request.path_params["name"]
    narrowed = {key: value for key in runs.FILTERS if (value := request.query_params.get(key))}

    def look() -> tuple[Any, list[dict[str, Any]]]:
        return runs.get(archive, context, name), runs.files(archive, context, name, {})

    try:
        run, every = await run_in_threadpool(look)
    except NotFoundFault as fault:
        return await layout.render(request, "fault.html", 404, fault=fault)
    # All files are at hand, so what there is to choose from costs no further statement.
    files = [file for file in every if all(file[key] == value for key, value in narrowed.items())]
    choices = {key: sorted({file[key] for file in every if file[key]}) for key in runs.FILTERS}
    times = [file["t_min"] for file in every]
    conditions = [
        plot for key, title in _CONDITIONS if (plot := plots.over_time(title, times, [f[key] for f in every]))
    ]
    return await layout.render(
        request,
        "run.html",
        run=run,
        files=files,
        narrowed=narrowed,
        choices={key: values for key, values in choices.items() if len(values) > 1 or key in narrowed},
        conditions=conditions,
        is_cut=len(every) == runs.MAX_FILES,
        **await notes.forms(request, context, RUN_PERMISSIONS),
    )


async def targets_page(request: Request) -> Response:
    """List targets by name."""
    archive: Archive = request.app.state.archive
    context = await layout.context_of(request)
    text = request.query_params.get("text", "")
    found = await run_in_threadpool(search.targets, archive, context, text)
    return await layout.render(request, "targets.html", targets=found, text=text, most=search.MAX_FOUND)


async def target_page(request: Request) -> Response:
    """Show a target and its files."""
    archive: Archive = request.app.state.archive
    context = await layout.context_of(request)
    name = request.path_params["name"]
    try:
        target, files = await run_in_threadpool(search.target, archive, context, name)
    except NotFoundFault as fault:
        return await layout.render(request, "fault.html", 404, fault=fault)
    return await layout.render(
        request,
        "target.html",
        target=target,
        tags=target["tags"].split(",") if target["tags"] else [],
        files=files[: search.MAX_FOUND],
        most=search.MAX_FOUND,
        **await notes.forms(request, context, TARGET_PERMISSIONS),
    )


async def darks_page(request: Request) -> Response:
    """Find the calibration frames that fit a frame of the archive, or values."""
    archive: Archive = request.app.state.archive
    context = await layout.context_of(request)
    asked = request.query_params
    wanted = {key: asked[key] for key in ("exposure_type", *search.CALIBRATION_VALUES) if asked.get(key)}
    fault: Fault | None = None
    files: list[dict[str, Any]] | None = None
    try:
        if identifier := asked.get("ID"):
            wanted = await run_in_threadpool(_values_of, archive, context, identifier)
        if wanted:
            files = await run_in_threadpool(search.calibrations, archive, context, wanted)
    except UsageFault as refused:
        fault = refused
    return await layout.render(
        request,
        "darks.html",
        400 if fault else 200,
        wanted=wanted,
        files=files,
        fault=fault,
        kinds=search.CALIBRATION_KINDS,
        values=search.CALIBRATION_VALUES,
        most=search.MAX_FOUND,
    )


def _values_of(archive: Archive, context: Context, identifier: str) -> dict[str, str]:
    """Return what darks for a frame must have; nothing where the caller does not see the frame."""
    found = products.page(archive, context, Filters((identifier,)), None, 1).products
    names = (name for name in search.CALIBRATION_VALUES if name != "filter_name")
    return {name: str(found[0][name]) for name in names if found and found[0][name] is not None}
