"""Logging in and out with a cookie.

Source: SSO 2.0 section 3.2 (a name and a password over TLS); RFC 6265 section 4.1 (cookies).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from ost_vo.access.actor import Actor
from ost_vo.faults import AuthenticationFault, UsageFault
from ost_vo.services.archive import Archive
from ost_vo.services.logins import Logins
from ost_vo.settings import Settings
from ost_vo.web import errors
from ost_vo.web.addresses import counted_address, networks
from ost_vo.web.authentication import COOKIE, LOGIN, LOGOUT, PasswordDesk, actor_of, cookie_path
from ost_vo.web.pages import layout
from ost_vo.web.parameters import read

# Nothing is loaded, nobody frames the form, and nothing remembers it.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    # With no-referrer, browsers would send the form with the origin "null", and it would be refused.
    "Referrer-Policy": "same-origin",
}


async def form(request: Request) -> Response:
    """Show a form to log in with."""
    actor = actor_of(request)
    return await page(request, f"You are {actor.name}." if actor else "You are not logged in.")


async def log_in(request: Request) -> Response:
    """Begin a session, and answer with its cookie, which is a new one whatever the client has shown."""
    archive: Archive = request.app.state.archive
    if {key.upper() for key in request.query_params} & {"USERNAME", "PASSWORD"}:
        raise UsageFault("A password in a URL can be read by others.", "Post it in the body, as a form.")
    parameters = await read(request)
    name, password = parameters.one("USERNAME"), parameters.one("PASSWORD")
    if name is None or password is None:
        raise UsageFault("The parameters username and password are needed.", "Post both, as a form.")
    desk: PasswordDesk = request.app.state.password_desk
    address = counted_address(request.scope, networks(archive.settings.trusted_proxies))
    try:
        actor = await desk.check(name, password, address)
    except AuthenticationFault as fault:
        if wants_page(request):
            return await page(request, fault.detail, 401)
        return await errors.fault_as_text(request, fault)
    response = _done(request, f"Logged in as {actor.name}.\n")
    await begin_session(request, actor, response)
    return response


async def begin_session(request: Request, actor: Actor, response: Response) -> None:
    """Begin a session, end the one that the client has shown, and give the cookie to a response."""
    logins: Logins = request.app.state.logins
    await run_in_threadpool(_end_sessions, request, logins)
    value = await run_in_threadpool(logins.start_session, actor)
    settings = request.app.state.archive.settings
    response.set_cookie(
        COOKIE,
        value,
        max_age=int(settings.session_hours * 3600),
        path=cookie_path(settings),
        secure=settings.base_url.startswith("https:"),
        httponly=True,
        samesite="lax",
    )
    response.headers["X-VO-Authenticated"] = actor.name


async def log_out(request: Request) -> Response:
    """End the session, if there is one."""
    archive: Archive = request.app.state.archive
    await run_in_threadpool(_end_sessions, request, request.app.state.logins)
    response = _done(request, "You are logged out.\n")
    response.delete_cookie(COOKIE, path=cookie_path(archive.settings), httponly=True, samesite="lax")
    return response


def _done(request: Request, told: str) -> Response:
    """Send a browser to the first page, which shows who is logged in; tell other clients."""
    if wants_page(request):
        return RedirectResponse(f"{request.app.state.archive.settings.base_url}/", 303, HEADERS)
    return PlainTextResponse(told, headers=HEADERS)


def _end_sessions(request: Request, logins: Logins) -> None:
    value = request.cookies.get(COOKIE)
    if value:
        logins.end_session(value)


async def page(request: Request, note: str, status: int = 200) -> Response:
    """Return the form with a note over it."""
    settings: Settings = request.app.state.archive.settings
    other = None
    if settings.openid_issuer:
        host = urlsplit(settings.openid_issuer).netloc
        other = {"url": f"{settings.base_url}{LOGIN}/openid", "host": host}
    response = await layout.render(request, "login.html", status, note=note, other=other)
    response.headers["Cache-Control"] = HEADERS["Cache-Control"]
    response.headers["Referrer-Policy"] = HEADERS["Referrer-Policy"]
    return response


def wants_page(request: Request) -> bool:
    """Say whether it is a browser that asks."""
    return "text/html" in request.headers.get("accept", "")


routes = [
    Route(LOGIN, form),
    Route(LOGIN, log_in, methods=["POST"]),
    Route(LOGOUT, log_out, methods=["POST"]),
]
