"""Passwords that an LDAP directory knows.

The name is looked for by the archive's own account there, or anonymously; then the password is tried by
binding as the entry that was found. Whoever has a password of ours is not looked for: only that one counts.

Source: RFC 4513 sections 3 (StartTLS) and 5.1.2 (a bind without a password succeeds, and says nothing);
RFC 4515 section 3 (escaping in filters); RFC 4511 section 4.1.9 (result codes).
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from ost_vo.services import elsewhere
from ost_vo.services.logins import NAME, StoredPasswords, Verifier
from ost_vo.services.passwords import encoded
from ost_vo.settings import Settings, is_loopback
from ost_vo.store.connections import Database

if TYPE_CHECKING:
    from ldap3 import Connection

log = structlog.get_logger(__name__)

# How long to wait for the directory, each time [s]: others wait meanwhile to have their passwords looked at.
_CONNECT_SECONDS = 3
_ANSWER_SECONDS = 5

# Answers to a bind: all but these leave open whether the password is right.
_SUCCESS, _SIZE_LIMIT_EXCEEDED = 0, 4
# noSuchObject, inappropriateAuthentication, invalidCredentials, insufficientAccessRights, unwillingToPerform
_REFUSALS = frozenset({32, 48, 49, 50, 53})


class _DirectoryError(Exception):
    """The directory answered what it should not."""


def verifiers(database: Database, settings: Settings) -> Sequence[Verifier]:
    """Return who is asked about a password: the archive itself, then the directory if there is one."""
    own = StoredPasswords(database)
    return (own, Directory(database, settings)) if settings.ldap_url else (own,)


class Directory:
    """The verifier of passwords that a directory knows.

    Args:
        database: of the role ost_accounts.
        settings: of the installation, with an `ldap_url`.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        elsewhere.require("ldap3", "OST_VO_LDAP_URL")
        self._database = database
        self._settings = settings
        self._silence = elsewhere.Silence("The directory")
        parts = urlsplit(settings.ldap_url)
        self._host = parts.hostname
        is_open = is_loopback(parts.hostname) and settings.ldap_ca is None
        self._asks_for_tls = parts.scheme == "ldap" and not is_open

    def __call__(self, name: str, password: str) -> int | None:
        """Return the user's id; None where the directory does not know the two, or the archive not the name.

        Raises:
            TransientFault: the directory does not answer, or cannot be believed.
        """
        if not NAME.fullmatch(name) or not password or encoded(password) is None:
            return None
        user = elsewhere.known(self._database, name)
        if user is not None and user.has_password:
            return None
        # Asked also about names that are nobody's here: the time tells nothing then.
        if not self._is_right(name, password):
            return None
        if user is None and self._settings.ldap_create:
            user = elsewhere.made(self._database, name, self._settings.ldap_role, "the directory")
        return user.user_id if user is not None else None

    def _is_right(self, name: str, password: str) -> bool:
        from ldap3.core.exceptions import LDAPException

        self._silence.check()
        try:
            with self._connection() as connection:
                entry = self._entry(connection, name)
                return entry is not None and _binds(connection, entry, password)
        except _DirectoryError as error:
            log.error("directory failed", url=self._settings.ldap_url, reason=str(error))
            raise self._silence.fault() from error
        except (LDAPException, OSError) as error:
            log.error("directory does not answer", url=self._settings.ldap_url, reason=str(error))
            raise self._silence.begin() from error

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """Yield a connection that is as secret as it should be, bound for searching."""
        import ldap3

        settings = self._settings
        ca = str(settings.ldap_ca) if settings.ldap_ca else None
        tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=ca, sni=self._host)
        server = ldap3.Server(
            settings.ldap_url, tls=tls, get_info=ldap3.NONE, connect_timeout=_CONNECT_SECONDS
        )
        secret = settings.ldap_bind_password
        connection = ldap3.Connection(
            server,
            settings.ldap_bind_dn or None,
            secret.get_secret_value() if secret else None,
            # A referral could take the password to anybody.
            auto_referrals=False,
            read_only=True,
            receive_timeout=_ANSWER_SECONDS,
        )
        try:
            connection.open(read_server_info=False)
            if self._asks_for_tls and not connection.start_tls(read_server_info=False):
                raise _DirectoryError("StartTLS failed")
            if not connection.bind(read_server_info=False):
                raise _DirectoryError(f"the archive's own bind: {connection.result['description']}")
            yield connection
        finally:
            connection.strategy.close()

    def _entry(self, connection: Connection, name: str) -> str | None:
        """Return the distinguished name of the one entry with a name, spelt as it is there."""
        from ldap3.utils.conv import escape_filter_chars

        settings = self._settings
        attribute = settings.ldap_attribute
        connection.search(
            settings.ldap_base,
            f"(&({attribute}={escape_filter_chars(name)}){settings.ldap_filter})",
            attributes=[attribute],
            size_limit=2,
            time_limit=_ANSWER_SECONDS,
        )
        if connection.result["result"] not in (_SUCCESS, _SIZE_LIMIT_EXCEEDED):
            raise _DirectoryError(f"the search: {connection.result['description']}")
        entries = [found for found in connection.response if found["type"] == "searchResEntry"]
        if len(entries) > 1:
            log.warning("directory has several entries of one name", name=name)
            return None
        # It ignores case; we do not, since each spelling would be a user, and be guessed at, of its own.
        if not entries or name.encode() not in entries[0]["raw_attributes"].get(attribute, ()):
            return None
        return str(entries[0]["dn"]) or None


def _binds(connection: Connection, entry: str, password: str) -> bool:
    """Say whether a password is that of an entry; it must not be empty."""
    from ldap3.core.exceptions import LDAPSASLPrepError

    try:
        connection.rebind(entry, password, read_server_info=False)
    except LDAPSASLPrepError:  # characters that no password has, or none but such as count for nothing
        return False
    code = connection.result["result"]
    if code != _SUCCESS and code not in _REFUSALS:
        raise _DirectoryError(f"the bind: {connection.result['description']}")
    return bool(code == _SUCCESS)
