"""The web service: routes, middleware, and what is open while it runs."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Mount, Route

from ost_vo import logs
from ost_vo.faults import Fault
from ost_vo.services import description, directory, policies
from ost_vo.services.archive import Archive
from ost_vo.services.coverage import REMEMBERED, Footprints
from ost_vo.services.engine import Engine
from ost_vo.services.holdings import Holdings
from ost_vo.services.logins import Logins
from ost_vo.services.openid import Provider
from ost_vo.settings import Settings
from ost_vo.vo import adql, binary2, tabledata, upload_rows
from ost_vo.web import (
    datalink,
    downloads,
    errors,
    files,
    health,
    login,
    metrics,
    moc,
    openid,
    ostdata,
    pages,
    previews,
    registry,
    sia,
    soda,
    tap,
    vosi,
)
from ost_vo.web.api import application as api
from ost_vo.web.authentication import Authentication, PasswordDesk
from ost_vo.web.compression import Compression
from ost_vo.web.metrics import Observation
from ost_vo.web.patience import Patience
from ost_vo.web.prefix import ContextPrefix
from ost_vo.web.slashes import TrailingSlash


def create_app(settings: Settings | None = None) -> Starlette:
    """Return the application; its connections open when it starts.

    Args:
        settings: of the installation; read from the environment when uvicorn calls this.
    """
    chosen = settings or Settings()
    logs.configure(chosen.log_format)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        archive = Archive.open(chosen)
        app.state.archive = archive
        app.state.engine = engine = _engine(archive)
        accounts = archive.accounts_database
        app.state.logins = logins = Logins(accounts, chosen, directory.verifiers(accounts, chosen))
        app.state.provider = Provider(accounts, chosen) if chosen.openid_issuer else None
        app.state.password_desk = PasswordDesk(logins)
        app.state.cutout_limiter = anyio.CapacityLimiter(chosen.cutout_slots)
        app.state.footprints = Footprints()
        app.state.moc_limiter = anyio.CapacityLimiter(REMEMBERED)
        app.state.holdings = Holdings()
        app.state.holdings_limiter = anyio.CapacityLimiter(1)
        app.state.holdings_counting = {}
        binary2.warm()
        tabledata.warm()
        upload_rows.warm()
        # The first query would wait for the grammar to be built otherwise.
        adql.translate("SELECT TOP 0 * FROM tap_schema.tables", archive.published.catalogue)
        _spare_collections()
        engine.start()
        yield
        await asyncio.gather(*app.state.holdings_counting.values(), return_exceptions=True)
        await run_in_threadpool(app.state.footprints.close)
        await run_in_threadpool(engine.stop)
        archive.close()

    # They are tried in this order: what programs ask for often comes first.
    routes: list[BaseRoute] = [
        *tap.routes,
        *sia.routes,
        *vosi.routes("/sia", description.sia_capabilities),
        *datalink.routes,
        *vosi.routes("/datalink", description.datalink_capabilities),
        *soda.routes,
        *vosi.routes("/soda", description.soda_capabilities),
        *files.routes,
        *previews.routes,
        *pages.routes,
        *downloads.routes,
        *ostdata.routes,
        *moc.routes,
        *registry.routes,
        *login.routes,
        *openid.routes,
        *api.routes,
        Route("/availability", vosi.availability),
        *health.routes,
        *metrics.routes,
    ]
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(Observation, settings=chosen, endpoints=_endpoints(routes)),
            Middleware(Patience, seconds=chosen.stall_seconds),
            Middleware(TrailingSlash),
            # Web clients such as Aladin Lite come from other sites. They may show a token, and read what is
            # public; browsers let them see no answer to a cookie, because credentials are not allowed here.
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=["*"],
            ),
            Middleware(ContextPrefix),
            Middleware(Authentication, settings=chosen),
            Middleware(Compression),
        ],
        exception_handlers={
            Fault: errors.fault_response,
            HTTPException: errors.status_response,
            ClientDisconnect: errors.client_gone,
            Exception: errors.fault_response,
        },
        lifespan=lifespan,
    )


def _spare_collections() -> None:
    """Have the collector leave alone what lives as long as the process, and look at the rest more rarely.

    A request for many links makes some 100,000 objects, none of them in cycles: it spent a tenth of its time
    on looking for these.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _endpoints(routes: list[BaseRoute]) -> set[str]:
    """Return the first parts of the paths of all routes."""
    return {route.path.split("/")[1] for route in routes if isinstance(route, Route | Mount)}


def _engine(archive: Archive) -> Engine:
    """Return what looks after jobs here, and runs them unless the workers of a broker do."""
    loop = asyncio.get_running_loop()
    if archive.settings.broker:
        from ost_vo.tasks import dispatcher  # Celery takes a while to import

        return Engine(archive, 0, dispatch=dispatcher(archive.settings), loop=loop)
    own = policies.places(archive.settings)
    return Engine(archive, archive.settings.job_slots, own=own, loop=loop)
