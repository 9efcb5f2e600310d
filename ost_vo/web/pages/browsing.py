"""Runs and targets: lists, and each by itself; calibration frames."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ost_vo.access.context import Context
from ost_vo.catalogues.visibility import Night, Place, Site, night
from ost_vo.faults import Fault, NotFoundFault, UsageFault
from ost_vo.services import products, runs, search
from ost_vo.services.archive import Archive
from ost_vo.services.notes import RUN_PERMISSIONS, TARGET_PERMISSIONS
from ost_vo.services.products import Filters
from ost_vo.store.runs import Run
from ost_vo.web.pages import layout, notes, plots, skymap, wording

_RUNS = 50
# Targets of a night whose altitudes are drawn, and exposures that are marked.
_TARGETS, _EXPOSURES = 12, 500
_DAY = 86_400.0  # s
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

    def look() -> tuple[Run, list[dict[str, Any]], list[dict[str, Any]]]:
        run = runs.get(archive, context, name)
        return (
            run,
            runs.files(archive, context, name, {}),
            search.places(archive, context, run.targets[:_TARGETS]),
        )

    try:
        run, every, places = await run_in_threadpool(look)
    except NotFoundFault as fault:
        return await layout.refusal(request, fault)
    # All files are at hand, so what there is to choose from costs no further statement.
    files = [file for file in every if all(file[key] == value for key, value in narrowed.items())]
    order = request.query_params.get("sort", "")
    files = _sorted(files, order)
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
        order=order,
        choices={key: values for key, values in choices.items() if len(values) > 1 or key in narrowed},
        conditions=conditions,
        map=skymap.whole(files),
        adql=search.query_of_files({"run_name": name, **narrowed}),
        visibility=_visibility(request, places, run.t_min, every),
        is_cut=len(every) == runs.MAX_FILES,
        **await notes.forms(request, context, RUN_PERMISSIONS),
    )


async def targets_page(request: Request) -> Response:
    """List targets by name."""
    archive: Archive = request.app.state.archive
    context = await layout.context_of(request)
    text = request.query_params.get("text", "")
    found = await run_in_threadpool(search.targets, archive, context, text)
    return await layout.render(
        request,
        "targets.html",
        targets=found,
        text=text,
        most=search.MAX_FOUND,
        adql=search.query_of_targets(text),
    )


async def target_page(request: Request) -> Response:
    """Show a target and its files."""
    archive: Archive = request.app.state.archive
    context = await layout.context_of(request)
    name = request.path_params["name"]
    try:
        target, files = await run_in_threadpool(search.target, archive, context, name)
    except NotFoundFault as fault:
        return await layout.refusal(request, fault)
    has_place = target["s_ra"] is not None
    return await layout.render(
        request,
        "target.html",
        target=target,
        tags=target["tags"].split(",") if target["tags"] else [],
        adql=search.query_of_files({"target_name": name}),
        map=skymap.around(target["s_ra"], target["s_dec"], files) if has_place else None,
        visibility=_visibility(request, [target], wording.now(), []) if has_place else None,
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
        adql=search.query_of_calibrations(wanted) if files else "",
        fault=fault,
        kinds=search.CALIBRATION_KINDS,
        values=search.CALIBRATION_VALUES,
        most=search.MAX_FOUND,
    )


def _sorted(files: list[dict[str, Any]], order: str) -> list[dict[str, Any]]:
    """Return files by a column, from the end with '-' before it; what has no value comes last."""
    column = order.removeprefix("-")
    if column not in runs.COLUMNS:
        return files
    known = [file for file in files if file[column] is not None]
    known.sort(key=lambda file: file[column], reverse=order.startswith("-"))
    return known + [file for file in files if file[column] is None]


def _visibility(
    request: Request, targets: list[dict[str, Any]], moment: float | None, files: list[dict[str, Any]]
) -> tuple[Night, plots.Sky] | None:
    """Return how high targets stand in the night of a moment [MJD, UTC], and the plot of it."""
    places = [
        Place(target["target_name"], target["s_ra"], target["s_dec"])
        for target in targets
        if target["s_ra"] is not None and target["s_dec"] is not None
    ]
    if moment is None or not places:
        return None
    settings = request.app.state.archive.settings
    site = Site(settings.site_latitude, settings.site_longitude, settings.site_elevation)
    found = night(site, moment, places)
    observed = [
        (file["t_min"], file["t_min"] + (file["t_exptime"] or 0.0) / _DAY)
        for file in files
        if file["t_min"] is not None and file["exposure_type"] == "light"
    ]
    moon = layout.translator(layout.language_of(request))("Moon")
    return found, plots.altitudes(found, moon, observed[:_EXPOSURES])


def _values_of(archive: Archive, context: Context, identifier: str) -> dict[str, str]:
    """Return what darks for a frame must have; nothing where the caller does not see the frame."""
    found = products.page(archive, context, Filters((identifier,)), None, 1).products
    names = (name for name in search.CALIBRATION_VALUES if name != "filter_name")
    return {name: str(found[0][name]) for name in names if found and found[0][name] is not None}
