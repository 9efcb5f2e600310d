"""Logging in through a provider of OpenID Connect, for browsers: there and back again.

Source: OpenID Connect Core 1.0 section 3.1.2; RFC 6265 section 4.1 (cookies).
"""

from __future__ import annotations

from functools import partial
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ost_vo.faults import Fault, NotFoundFault
from ost_vo.services.archive import Archive
from ost_vo.services.logins import Logins
from ost_vo.services.openid import ATTEMPT_SECONDS, CALLBACK, Provider
from ost_vo.web import errors, login
from ost_vo.web.addresses import counted_address, networks
from ost_vo.web.authentication import LOGIN

# The log-in that a browser has begun; shown to the callback alone.
_COOKIE = "ost_login"
_BEGIN = f"{LOGIN}/openid"


async def begin(request: Request) -> Response:
    """Send the browser to the provider; `next` is the local path to go on to afterwards."""
    try:
        provider = _provider(request)
        url, cookie = await run_in_threadpool(provider.begin, request.query_params.get("next", LOGIN))
    except Fault as fault:
        return await _refusal(request, fault)
    response = RedirectResponse(url, 303, login.HEADERS)
    base_url = request.app.state.archive.settings.base_url
    response.set_cookie(
        _COOKIE,
        cookie,
        max_age=ATTEMPT_SECONDS,
        path=_cookie_path(base_url),
        secure=base_url.startswith("https:"),
        httponly=True,
        # The browser comes back from another site, by following a link.
        samesite="lax",
    )
    return response


async def come_back(request: Request) -> Response:
    """Begin a session for the user whom the provider names."""
    try:
        response = await _welcome(request)
    except Fault as fault:
        response = await _refusal(request, fault)
    path = _cookie_path(request.app.state.archive.settings.base_url)
    response.delete_cookie(_COOKIE, path=path, httponly=True, samesite="lax")
    return response


async def _welcome(request: Request) -> Response:
    provider, logins = _provider(request), _logins(request)
    archive: Archive = request.app.state.archive
    answer = dict(request.query_params)
    attempt = await run_in_threadpool(provider.attempt, request.cookies.get(_COOKIE), answer.get("state"))
    address = counted_address(request.scope, networks(archive.settings.trusted_proxies))
    identify = partial(provider.user, attempt, answer)
    actor = await run_in_threadpool(logins.by_provider, identify, address)
    response = RedirectResponse(f"{archive.settings.base_url}{attempt.target}", 303, login.HEADERS)
    await login.begin_session(request, actor, response)
    return response


async def _refusal(request: Request, fault: Fault) -> Response:
    """Answer with the form for a browser; never with a challenge, which would open a window over it."""
    if not login.wants_page(request):
        return await errors.fault_as_text(request, fault)
    response = await login.page(request, str(fault), errors.status(fault))
    response.headers.update(errors.headers(fault))
    return response


def _provider(request: Request) -> Provider:
    provider: Provider | None = request.app.state.provider
    if provider is None:
        raise NotFoundFault("This archive has no provider to log in through.", "Use a name and a password.")
    return provider


def _logins(request: Request) -> Logins:
    logins: Logins = request.app.state.logins
    return logins


def _cookie_path(base_url: str) -> str:
    return f"{urlsplit(base_url).path}{_BEGIN}"


routes = [
    Route(_BEGIN, begin),
    Route(CALLBACK, come_back),
]
