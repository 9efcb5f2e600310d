"""Who asks: a password or a token with each request, or the cookie of a session.

Whoever shows nothing is anonymous, and always welcome; a wrong password or token is refused, so that nobody
takes the answer for the whole. A cookie that has expired makes its owner anonymous.

Source: SSO 2.0 (ways to log in; challenges; X-VO-Authenticated); RFC 7617 (Basic); RFC 6750 (Bearer);
RFC 6265 section 4.1 (cookies).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ost_vo.access.actor import READ, Actor
from ost_vo.access.context import Context
from ost_vo.faults import AuthenticationFault, AuthorizationFault, Fault, TransientFault
from ost_vo.services import contexts, uploads
from ost_vo.services.archive import Archive
from ost_vo.services.description import PASSWORD_LOGIN
from ost_vo.services.logins import Logins
from ost_vo.settings import Settings
from ost_vo.vo.parameters import Parameters
from ost_vo.web import errors
from ost_vo.web.addresses import counted_address, networks
from ost_vo.web.prefix import choice_of

COOKIE = "ost_session"
LOGIN, LOGOUT = "/login", "/logout"

_ACTOR = "ost_vo.actor"
# Where a login shows more: anonymous callers get the challenges with any answer.
_WIDENED = ("/tap", "/sia", "/datalink", "/files", "/soda", "/downloads")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Passwords that wait to be looked at in one process: further ones are sent away.
_QUEUE = 64

_Header = tuple[bytes, bytes]


def actor_of(request: Request) -> Actor | None:
    """Return who asks; None is anonymous."""
    actor: Actor | None = request.scope.get(_ACTOR)
    return actor


async def context_of(request: Request, parameters: Parameters) -> Context:
    """Return the context to answer in: parameters beat the URL, and the URL what is kept for the user.

    Raises:
        UsageFault: a parameter is given twice, or the level is none of 1 to 5.
        AuthenticationFault: an anonymous caller chose a project.
        AuthorizationFault: the user is no member of the project, or the token has not the scope read.
        TransientFault: the database does not answer.
    """
    archive: Archive = request.app.state.archive
    try:
        choice = contexts.choose(parameters, choice_of(request))
        actor = actor_of(request)
        if actor is None:  # asks nothing of the database
            return contexts.resolve(archive, 0, choice)
        actor.require_scope(READ)
        return await run_in_threadpool(contexts.resolve, archive, actor.user_id, choice)
    except Fault:
        # Nobody will run what came with them.
        uploads.discard(archive.settings, parameters)
        raise


class PasswordDesk:
    """Where passwords are looked at: one at a time, since each takes a processor and 64 MB for a while.

    Requests that come together with the same password, as those of one client do, wait for one answer.
    """

    def __init__(self, logins: Logins) -> None:
        """Create the desk of a process."""
        self._logins = logins
        self._turn = asyncio.Semaphore(1)
        self._checks: dict[bytes, asyncio.Task[Actor]] = {}

    async def check(self, name: str, password: str, address: str) -> Actor:
        """Return the user with a name and a password.

        Raises:
            AuthenticationFault: one of them is wrong.
            ThrottledFault: too many were wrong.
            TransientFault: too many are being looked at.
        """
        known = await run_in_threadpool(self._logins.remembered, name, password)
        if known is not None:
            return known
        key = hashlib.sha256("\0".join((name, address, password)).encode(errors="surrogatepass")).digest()
        task = self._checks.get(key)
        if task is None:
            if len(self._checks) >= _QUEUE:
                raise TransientFault("Too many log-ins at this moment.", "Try again.")
            task = asyncio.create_task(self._check(name, password, address))
            self._checks[key] = task
            task.add_done_callback(lambda _: self._checks.pop(key, None))
        return await asyncio.shield(task)

    async def _check(self, name: str, password: str, address: str) -> Actor:
        async with self._turn:
            return await run_in_threadpool(self._logins.by_password, name, password, address)


@dataclass(slots=True)
class _Shown:
    """What a request shows of who asks."""

    authorization: list[bytes]
    sessions: list[str]
    origin: str | None = None
    fetch_site: str | None = None
    host: str = ""

    @classmethod
    def of(cls, headers: Iterable[_Header]) -> _Shown:
        """Read the headers of a request."""
        shown = cls([], [])
        for name, value in headers:
            if name == b"authorization":
                shown.authorization.append(value)
            elif name == b"cookie":
                shown.sessions += _sessions(value.decode("latin-1"))
            elif name == b"origin":
                shown.origin = value.decode("latin-1")
            elif name == b"sec-fetch-site":
                shown.fetch_site = value.decode("latin-1")
            elif name == b"host":
                shown.host = value.decode("latin-1")
        return shown

    @property
    def is_sent_by_browsers(self) -> bool:
        """Whether a page of another site could have made the browser show it."""
        is_basic = any(value[:6].lower() == b"basic " for value in self.authorization)
        return is_basic or bool(self.sessions)

    def is_from_elsewhere(self, own_host: str) -> bool:
        """Say whether a page of another site has sent the request."""
        if self.fetch_site is not None and self.fetch_site not in ("same-origin", "none"):
            return True
        if self.origin is None:
            return False
        host = self.origin.partition("://")[2]
        return not host or host not in (own_host, self.host)


class Authentication:
    """Middleware that finds out who asks, and tells clients how to log in."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        """Wrap an application of an installation."""
        self._app = app
        self._settings = settings
        self._scheme, self._own_host = urlsplit(settings.base_url)[:2]
        self._trusted = networks(settings.trusted_proxies)
        self._challenges = _challenges(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # The proxy in front knows TLS, redirects are made here.
        scope["scheme"] = self._scheme
        shown = _Shown.of(scope["headers"])
        answer = _Answer(send, self._challenges, scope["path"], cookie_path(self._settings))
        try:
            self._check_site(scope, shown)
            if shown.authorization or shown.sessions:
                actor = await self._actor(scope, shown)
                answer.actor, scope[_ACTOR] = actor, actor
                answer.forgets_cookie = actor is None
        except Fault as fault:
            answer.is_refused = True
            response = await errors.fault_response(Request(scope), fault)
            await response(scope, receive, answer)
            return
        await self._app(scope, receive, answer)

    def _check_site(self, scope: Scope, shown: _Shown) -> None:
        """Refuse what another site's page has made a browser send in its user's name.

        Raises:
            AuthorizationFault: so it is.
        """
        if scope["method"] in _SAFE_METHODS:
            return
        in_question = shown.is_sent_by_browsers or scope["path"] in (LOGIN, LOGOUT)
        if in_question and shown.is_from_elsewhere(self._own_host):
            raise AuthorizationFault(
                "A page of another site has sent this in your name.",
                "Use a token there, or the archive's pages.",
            )

    async def _actor(self, scope: Scope, shown: _Shown) -> Actor | None:
        logins: Logins = scope["app"].state.logins
        if shown.authorization:
            if len(shown.authorization) > 1:
                raise _wrong()
            scheme, _, credentials = shown.authorization[0].decode("latin-1").strip().partition(" ")
            if scheme.lower() == "basic":
                return await self._basic(scope, credentials.strip())
            if scheme.lower() == "bearer":
                actor = await run_in_threadpool(logins.by_token, credentials.strip())
                if actor is not None:
                    return actor
            raise _wrong()
        # Of two, one may have been planted by another host of the domain.
        if len(set(shown.sessions)) > 1:
            return None
        return await run_in_threadpool(logins.by_session, shown.sessions[0])

    async def _basic(self, scope: Scope, credentials: str) -> Actor:
        try:
            text = base64.b64decode(credentials, validate=True).decode()
        except ValueError:  # neither base64 nor UTF-8
            raise _wrong() from None
        name, colon, password = text.partition(":")
        if not colon:
            raise _wrong()
        desk: PasswordDesk = scope["app"].state.password_desk
        return await desk.check(name, password, counted_address(scope, self._trusted))


class _Answer:
    """What one answer is sent through: it gets the headers that go with who asked."""

    def __init__(self, send: Send, challenges: list[_Header], path: str, cookie_path: str) -> None:
        self._send = send
        self._challenges = challenges
        self._path = path
        self._cookie_path = cookie_path
        self.actor: Actor | None = None
        self.forgets_cookie = False
        self.is_refused = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {
                **message,
                "headers": self._headers(message["status"], list(message.get("headers", ()))),
            }
        await self._send(message)

    def _headers(self, status: int, headers: list[_Header]) -> list[_Header]:
        headers.append((b"vary", b"Authorization, Cookie"))
        if self.actor is not None:
            if not any(name.lower() == b"x-vo-authenticated" for name, _ in headers):
                headers.append((b"x-vo-authenticated", self.actor.name.encode()))
            headers = _private(headers)
        if status == 401 or (self.actor is None and not self.is_refused and self._path.startswith(_WIDENED)):
            # A browser would ask for a password in a window of its own, over the form.
            headers += self._challenges[:1] if self._path == LOGIN else self._challenges
        if self.forgets_cookie and not any(_sets_session(header) for header in headers):
            headers.append((b"set-cookie", _forgetting(self._cookie_path)))
        return headers


def cookie_path(settings: Settings) -> str:
    """Return the path below which a browser shows the cookie: that of the public URL."""
    return urlsplit(settings.base_url).path or "/"


def _challenges(settings: Settings) -> list[_Header]:
    """Return how to log in, what clients like best first."""
    realm = settings.facility.replace("\\", "").replace('"', "")
    values = (
        f'ivoa_cookie standard_id="{PASSWORD_LOGIN}", access_url="{settings.base_url}{LOGIN}"',
        f'Basic realm="{realm} archive", charset="UTF-8"',
    )
    return [(b"www-authenticate", value.encode()) for value in values]


def _wrong() -> AuthenticationFault:
    return AuthenticationFault(
        "The Authorization header shows nobody who is known here.",
        "Give a name and a password, or a token that has not expired; or nothing.",
    )


def _sessions(cookies: str) -> list[str]:
    pairs = (part.partition("=") for part in cookies.split(";"))
    return [value.strip().strip('"') for name, _, value in pairs if name.strip() == COOKIE]


def _private(headers: list[_Header]) -> list[_Header]:
    """Return headers that let no shared cache keep the answer."""
    given = [value for name, value in headers if name.lower() == b"cache-control"]
    rest = [header for header in headers if header[0].lower() != b"cache-control"]
    value = b", ".join(given)
    if b"private" not in value and b"no-store" not in value:
        value = b", ".join([b"private", *given])
    return [*rest, (b"cache-control", value)]


def _sets_session(header: _Header) -> bool:
    return header[0].lower() == b"set-cookie" and header[1].startswith(f"{COOKIE}=".encode())


def _forgetting(path: str) -> bytes:
    return f"{COOKIE}=; Path={path}; Max-Age=0; HttpOnly; SameSite=lax".encode()
