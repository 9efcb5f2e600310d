"""Logging in through a provider of OpenID Connect: the authorization code flow with PKCE.

Nothing is kept of it: what must be known again when the browser comes back is in a cookie, signed and
short-lived, and the provider's tokens are forgotten once they have said who it is.

Source: OpenID Connect Core 1.0 sections 3.1 (the flow), 5.3 and 5.7 (claims; which of them name a user);
OpenID Connect Discovery 1.0 section 4; RFC 7636 (PKCE); RFC 9207 (iss in the response); RFC 9700 section 2.1.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import structlog

from ost_vo.faults import AuthorizationFault, UsageFault
from ost_vo.services import elsewhere
from ost_vo.services.logins import NAME
from ost_vo.settings import Settings, is_loopback_http
from ost_vo.store.connections import Database

if TYPE_CHECKING:
    from authlib.integrations.requests_client import OAuth2Session
    from joserfc.jwk import OctKey

log = structlog.get_logger(__name__)

# How long somebody may take to log in at the provider [s].
ATTEMPT_SECONDS = 600
# Where the provider sends browsers back to, below the archive's URL.
CALLBACK = "/login/openid/callback"

_ANSWER_SECONDS = 5
_METADATA_SECONDS = 3600.0
# How far the provider's clock may be off [s].
_LEEWAY = 60
# Signatures that need the provider's private key; "none" and those of a shared secret are not among them.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
# RFC 3986 without the backslash, which browsers take for a slash, and not a host after two slashes.
_LOCAL_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A log-in that a browser has begun.

    Attributes:
        state: comes back with the browser.
        nonce: comes back in the provider's token.
        verifier: shows the provider that who began asks for the token (RFC 7636 section 4.1).
        target: local path to go on to.
    """

    state: str
    nonce: str
    verifier: str
    target: str


class Provider:
    """The provider of an installation.

    Args:
        database: of the role ost_accounts.
        settings: of the installation, with an `openid_issuer`.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        for package in ("authlib", "requests"):
            elsewhere.require(package, "OST_VO_OPENID_ISSUER")
        self._database = database
        self._settings = settings
        self._silence = elsewhere.Silence("The provider")
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] = {}
        self._read_at = 0.0

    def begin(self, target: str) -> tuple[str, str]:
        """Begin a log-in.

        Args:
            target: local path to go on to afterwards.

        Returns:
            The URL at the provider to send the browser to, and the cookie to give it.

        Raises:
            TransientFault: the provider does not answer.
            UsageFault: the target is no local path.
        """
        if not _LOCAL_PATH.fullmatch(target):
            raise UsageFault(
                "After a log-in it goes on at a path of this archive.", "Begin it with one slash."
            )
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        attempt = Attempt(state, nonce, verifier, target)
        endpoint = self._endpoint("authorization_endpoint")
        with self._session() as session:
            url, _ = session.create_authorization_url(
                endpoint, state=attempt.state, nonce=attempt.nonce, code_verifier=attempt.verifier
            )
        return url, self._sealed(attempt)

    def attempt(self, cookie: str | None, state: str | None) -> Attempt:
        """Return the log-in that this browser has begun and that has come back.

        Raises:
            AuthorizationFault: there is none: another browser began it, or it was too long ago.
        """
        from joserfc import jwt
        from joserfc.errors import JoseError

        begun: Attempt | None = None
        try:
            token = jwt.decode(cookie or "", self._key, algorithms=["HS256"])
            jwt.JWTClaimsRegistry(exp={"essential": True}).validate(token.claims)
            begun = Attempt(**{name: str(token.claims[name]) for name in Attempt.__slots__})
        except (JoseError, ValueError, KeyError) as error:
            log.info("no log-in was begun", reason=type(error).__name__)
        if begun is None or not hmac.compare_digest(begun.state.encode(), (state or "").encode()):
            raise AuthorizationFault(
                "This log-in was not begun in this browser, or too long ago.", "Begin it again."
            )
        return begun

    def user(self, attempt: Attempt, answer: Mapping[str, str]) -> int:
        """Return the id of the user whom the provider names.

        Args:
            attempt: what the browser has begun.
            answer: the parameters that it has come back with.

        Raises:
            AuthorizationFault: the provider refused, cannot be believed, or names nobody who is known here.
            TransientFault: it does not answer.
        """
        from authlib.integrations.base_client import OAuthError
        from joserfc.errors import JoseError

        self._check_answer(answer)
        try:
            name = self._name(self._claims(attempt, answer["code"]))
        except OAuthError as error:
            log.warning("provider refused a code", error=error.error, description=error.description)
            raise AuthorizationFault("The provider does not know this log-in.", "Begin it again.") from error
        except (JoseError, ValueError, KeyError, TypeError) as error:
            log.error("provider's token is wrong", reason=str(error))
            raise AuthorizationFault(
                "What the provider says cannot be believed.", "Begin again, or tell the operators."
            ) from error
        return self._user_id(name)

    def _check_answer(self, answer: Mapping[str, str]) -> None:
        issuer = answer.get("iss")
        if issuer != self._settings.openid_issuer and (
            issuer is not None or self._known().get("authorization_response_iss_parameter_supported")
        ):
            raise AuthorizationFault("Another provider has answered.", "Begin the log-in again.")
        if "error" in answer or "code" not in answer:
            log.info("provider refused a log-in", error=answer.get("error"))
            raise AuthorizationFault("The provider did not let you in.", "Begin the log-in again.")

    def _claims(self, attempt: Attempt, code: str) -> dict[str, Any]:
        """Return what the provider says about who has logged in, in its token or when it is asked."""
        from requests import RequestException

        settings = self._settings
        token_endpoint, keys_endpoint = self._endpoint("token_endpoint"), self._endpoint("jwks_uri")
        try:
            with self._session() as session:
                token = session.fetch_token(
                    token_endpoint, code=code, code_verifier=attempt.verifier, allow_redirects=False
                )
                keys = _document(session.get(keys_endpoint, withhold_token=True, allow_redirects=False))
                claims = self._checked(attempt, token, keys)
                if settings.openid_claim not in claims and "userinfo_endpoint" in self._known():
                    endpoint = self._endpoint("userinfo_endpoint")
                    told = _document(session.get(endpoint, allow_redirects=False))
                    if told.get("sub") != claims["sub"]:
                        raise ValueError("the user information is about somebody else")
                    claims = {**told, **claims}
        except RequestException as error:
            log.error("provider failed", reason=str(error))
            raise self._silence.begin() from error
        return claims

    def _checked(self, attempt: Attempt, token: Mapping[str, Any], keys: Any) -> dict[str, Any]:
        """Return the claims of an ID token (OpenID Connect Core, section 3.1.3.7)."""
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.jwk import KeySet
        from joserfc.jws import JWSRegistry

        settings = self._settings
        registry = JWSRegistry(algorithms=list(_ALGORITHMS), strict_check_header=False)
        signed = jwt.decode(token["id_token"], KeySet.import_key_set(keys), registry=registry)
        claims = CodeIDToken(
            signed.claims,
            signed.header,
            {
                "iss": {"essential": True, "value": settings.openid_issuer},
                "aud": {"essential": True, "value": settings.openid_client_id},
            },
            {
                "nonce": attempt.nonce,
                "client_id": settings.openid_client_id,
                "access_token": token.get("access_token"),
            },
        )
        claims.validate(leeway=_LEEWAY)
        return dict(claims)

    def _name(self, claims: Mapping[str, Any]) -> str:
        claim = self._settings.openid_claim
        name = claims.get(claim)
        if claim == "email" and claims.get("email_verified") is not True:
            raise AuthorizationFault("The provider has not verified your e-mail address.", "Do so there.")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            log.warning("provider names nobody", claim=claim)
            raise AuthorizationFault(
                f"The provider tells no {claim} that could be a user's name here.", "Ask the operators."
            )
        return name

    def _user_id(self, name: str) -> int:
        settings = self._settings
        user = elsewhere.known(self._database, name)
        if user is None and settings.openid_create:
            user = elsewhere.made(self._database, name, settings.openid_role, "the provider")
        if user is None or not user.is_active:
            raise AuthorizationFault(
                f"The provider knows you as {name}, who is no active user here.", "Ask the operators."
            )
        return user.user_id

    def _known(self) -> dict[str, Any]:
        """Return the provider's metadata, which are read again every hour."""
        from requests import RequestException

        with self._lock:
            if self._metadata and time.monotonic() - self._read_at < _METADATA_SECONDS:
                return self._metadata
            self._silence.check()
            issuer = self._settings.openid_issuer
            url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
            try:
                with self._session() as session:
                    found = _document(session.get(url, withhold_token=True, allow_redirects=False))
            except RequestException as error:
                log.error("provider does not answer", url=url, reason=str(error))
                raise self._silence.begin() from error
            if found.get("issuer") != issuer:
                log.error("provider has another issuer", url=url, issuer=found.get("issuer"))
                raise self._silence.begin()
            self._metadata, self._read_at = found, time.monotonic()
            return found

    def _endpoint(self, name: str) -> str:
        """Return a URL of the provider, of https like the issuer.

        Raises:
            TransientFault: it has none, or does not answer.
        """
        self._silence.check()
        url = self._known().get(name)
        if isinstance(url, str) and (
            url.startswith("https://")
            or (is_loopback_http(url) and is_loopback_http(self._settings.openid_issuer))
        ):
            return url
        log.error("provider has an endpoint that cannot be used", endpoint=name, url=url)
        raise self._silence.fault()

    def _session(self) -> OAuth2Session:
        from authlib.integrations.requests_client import OAuth2Session

        settings = self._settings
        secret = settings.openid_client_secret
        methods = self._metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        session = OAuth2Session(
            settings.openid_client_id,
            secret.get_secret_value() if secret else None,
            token_endpoint_auth_method=(
                "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
            ),
            scope=settings.openid_scope,
            redirect_uri=f"{settings.base_url}{CALLBACK}",
            code_challenge_method="S256",
            default_timeout=_ANSWER_SECONDS,
        )
        # No passwords from a .netrc, and no proxy that nobody has named here.
        session.trust_env = False
        return session

    def _sealed(self, attempt: Attempt) -> str:
        from joserfc import jwt

        claims = {**asdict(attempt), "exp": int(time.time()) + ATTEMPT_SECONDS}
        return jwt.encode({"alg": "HS256"}, claims, self._key)

    @cached_property
    def _key(self) -> OctKey:
        """The key of the cookies, which all processes have without telling each other.

        It is slow to derive, for who gets hold of a cookie could find out a weak secret by trying.
        """
        from joserfc.jwk import OctKey

        settings = self._settings
        secret = settings.openid_client_secret
        password = secret.get_secret_value().encode() if secret else b""
        salt = f"ost_vo cookie {settings.openid_issuer} {settings.openid_client_id}".encode()
        return OctKey.import_key(hashlib.scrypt(password, salt=salt, n=2**14, r=8, p=5, dklen=32))


def _document(response: Any) -> dict[str, Any]:
    """Return the JSON object of a response.

    Raises:
        RequestException: there is none.
    """
    from requests import RequestException

    response.raise_for_status()
    document = response.json()
    if response.status_code != 200 or not isinstance(document, dict):
        raise RequestException(f"{response.url} answers with no JSON object")
    return document
