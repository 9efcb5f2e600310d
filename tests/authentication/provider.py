"""A provider of OpenID Connect for the tests: Authlib's own server, on a loopback port, in a thread.

It insists on PKCE and on the client's secret, and a code is good for one token. Attributes make it misbehave.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import flask
from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector, current_token
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode
from joserfc.jwk import KeySet, RSAKey
from werkzeug.serving import make_server

CLIENT, SECRET = "the archive", "0123456789 of the archive"


class Provider:
    """A provider at which somebody has logged in.

    Attributes:
        user: what it says about who that is; what is here beats what it would say in its token otherwise.
        information: what it says when it is asked, instead of `user`.
        metadata: what beats its metadata.
        answer: parameters to send browsers back with, besides.
        key: what it signs with.
        authorized: what browsers were sent to it with, the last time.
        tokens: how many it has been asked for.
        is_down: whether it answers everything with status 503.
    """

    def __init__(self) -> None:
        self.key = self._published_key = RSAKey.generate_key(2048, {"kid": "tests"})
        self.reset()
        self._codes: dict[str, _Code] = {}
        self._issued: set[str] = set()
        self._server = make_server("127.0.0.1", 0, self._application(), threaded=True)
        self.issuer = f"http://127.0.0.1:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def reset(self) -> None:
        """Behave again, and say nothing about anybody."""
        self.user: dict[str, Any] = {}
        self.information: dict[str, Any] | None = None
        self.metadata: dict[str, Any] = {}
        self.answer: dict[str, str] = {}
        self.authorized: dict[str, str] = {}
        self.key = self._published_key
        self.tokens = 0
        self.is_down = False

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join(120)
        self._server.server_close()

    def _application(self) -> flask.Flask:
        app = flask.Flask("provider")
        server = AuthorizationServer(
            app, query_client=lambda name: _Client() if name == CLIENT else None, save_token=self._save
        )
        server.register_grant(self._grant(), [CodeChallenge(required=True), self._tokens()])
        protector = ResourceProtector()
        protector.register_token_validator(_Tokens(self._issued))

        @app.before_request
        def refuse() -> Any:
            return flask.Response(status=503) if self.is_down else None

        @app.get("/.well-known/openid-configuration")
        def configuration() -> dict[str, Any]:
            paths = {
                "authorization_endpoint": "/authorize",
                "token_endpoint": "/token",
                "jwks_uri": "/keys",
                "userinfo_endpoint": "/user",
            }
            endpoints = {name: f"{self.issuer}{path}" for name, path in paths.items()}
            return {"issuer": self.issuer, **endpoints, **self.metadata}

        @app.get("/keys")
        def keys() -> dict[str, Any]:
            return dict(KeySet([self._published_key]).as_dict(private=False))

        @app.get("/authorize")
        def authorize() -> Any:
            self.authorized = dict(flask.request.args)
            grant = server.get_consent_grant(end_user=self.user)
            response = server.create_authorization_response(grant_user=self.user, grant=grant)
            for name, value in self.answer.items():
                response.headers["Location"] += f"&{name}={value}"
            return response

        @app.post("/token")
        def token() -> Any:
            self.tokens += 1
            return server.create_token_response()

        @app.get("/user")
        @protector()
        def information() -> dict[str, Any]:
            assert current_token
            return self.user if self.information is None else self.information

        return app

    def _save(self, token: dict[str, Any], _: Any) -> None:
        self._issued.add(token["access_token"])

    def _grant(provider) -> type[grants.AuthorizationCodeGrant]:
        class Grant(grants.AuthorizationCodeGrant):
            TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post")

            def save_authorization_code(self, code: str, request: Any) -> None:
                data = request.payload.data
                provider._codes[code] = _Code(
                    code,
                    request.payload.redirect_uri,
                    request.payload.scope,
                    data.get("nonce"),
                    data.get("code_challenge"),
                    data.get("code_challenge_method"),
                )

            def query_authorization_code(self, code: str, _: Any) -> _Code | None:
                return provider._codes.get(code)

            def delete_authorization_code(self, code: _Code) -> None:
                del provider._codes[code.code]

            def authenticate_user(self, _: _Code) -> dict[str, Any]:
                return provider.user or {"sub": "nobody"}

        return Grant

    def _tokens(provider) -> OpenIDCode:
        class Tokens(OpenIDCode):
            def exists_nonce(self, *_: Any) -> bool:
                return False

            def resolve_client_private_key(self, _: Any) -> Any:
                return provider.key

            def get_client_algorithm(self, _: Any) -> str:
                return "RS256" if isinstance(provider.key, RSAKey) else "HS256"

            def get_client_claims(self, _: Any) -> dict[str, Any]:
                return {"iss": provider.issuer, "aud": [CLIENT]}

            def generate_user_info(self, *_: Any) -> dict[str, Any]:
                return provider.user

        return Tokens(require_nonce=True)


@dataclass
class _Code(AuthorizationCodeMixin):
    code: str
    redirect_uri: str
    scope: str
    nonce: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str:
        return self.nonce

    def get_auth_time(self) -> None:
        return None

    get_acr = get_amr = get_auth_time


class _Client(ClientMixin):
    def get_client_id(self) -> str:
        return CLIENT

    def get_default_redirect_uri(self) -> None:
        return None

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri.endswith("/login/openid/callback")

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method: str, _: str) -> bool:
        return method.startswith("client_secret_")

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


class _Token(TokenMixin):
    def get_scope(self) -> str:
        return "openid profile"

    def is_expired(self) -> bool:
        return False

    is_revoked = is_expired


class _Tokens(BearerTokenValidator):
    def __init__(self, issued: set[str]) -> None:
        super().__init__()
        self._issued = issued

    def authenticate_token(self, token_string: str) -> _Token | None:
        return _Token() if token_string in self._issued else None
