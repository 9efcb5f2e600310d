"""Logging in and out with a cookie.

Source: SSO 2.0 section 3.2 (a name and a password over TLS); RFC 6265 section 4.1 (cookies).
"""

from __future__ import annotations

from html import escape

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from ost_vo.faults import AuthenticationFault, UsageFault
from ost_vo.services.archive import Archive
from ost_vo.services.logins import Logins
from ost_vo.web import errors
from ost_vo.web.addresses import counted_address, networks
from ost_vo.web.authentication import COOKIE, LOGIN, LOGOUT, PasswordDesk, actor_of, cookie_path
from ost_vo.web.parameters import read

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in</title></head>
<body><h1>Log in</h1>
<p>{note}</p>
<form method="post" action="login">
<p><label>User name <input name="username" autocomplete="username" required></label></p>
<p><label>Password
<input name="password" type="password" autocomplete="current-password" required></label></p>
<p><button>Log in</button></p>
</form>
<form method="post" action="logout"><p><button>Log out</button></p></form>
</body></html>
"""
# Nothing is loaded, nobody frames the form, and nothing remembers it.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


async def form(request: Request) -> Response:
    """Show a form to log in with."""
    actor = actor_of(request)
    return _page(f"You are {actor.name}." if actor else "You are not logged in.")


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
        if _wants_page(request):
            return _page(fault.detail, 401)
        return await errors.fault_as_text(request, fault)
    logins: Logins = request.app.state.logins
    await run_in_threadpool(_end_sessions, request, logins)
    value = await run_in_threadpool(logins.start_session, actor)
    told = f"Logged in as {actor.name}."
    response = _page(told) if _wants_page(request) else PlainTextResponse(f"{told}\n", headers=_HEADERS)
    settings = archive.settings
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
    return response


async def log_out(request: Request) -> Response:
    """End the session, if there is one."""
    archive: Archive = request.app.state.archive
    await run_in_threadpool(_end_sessions, request, request.app.state.logins)
    told = "You are logged out."
    response = _page(told) if _wants_page(request) else PlainTextResponse(f"{told}\n", headers=_HEADERS)
    response.delete_cookie(COOKIE, path=cookie_path(archive.settings), httponly=True, samesite="lax")
    return response


def _end_sessions(request: Request, logins: Logins) -> None:
    value = request.cookies.get(COOKIE)
    if value:
        logins.end_session(value)


def _page(note: str, status: int = 200) -> Response:
    return HTMLResponse(_PAGE.format(note=escape(note)), status, _HEADERS)


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


routes = [
    Route(LOGIN, form),
    Route(LOGIN, log_in, methods=["POST"]),
    Route(LOGOUT, log_out, methods=["POST"]),
]
