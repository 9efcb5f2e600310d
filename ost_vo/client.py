"""The archive from Python: queries, the context, publishing.

::

    from ost_vo.client import Archive

    archive = Archive("https://archive.example.org", "anna", password)
    archive.context.set_project("BLUES", privileges=2)
    rows = archive.products.search(project="BLUES", is_valid=1)
    archive.publish(rows[0], privileges=3, reason="paper accepted")

It needs pyvo, astropy and requests, and nothing that the server needs. What the archive refuses comes as an
exception of :mod:`ost_vo.faults`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from os import PathLike, fspath
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyvo
import requests
from astropy.table import MaskedColumn, Row, Table
from astropy.time import Time
from pyvo.dal import DALFormatError, DALQueryError, DALServiceError, Record
from pyvo.utils.http import create_session
from requests.auth import AuthBase, HTTPBasicAuth

from ost_vo import faults

# For a connection, and for the next bytes of an answer [s].
_TIMEOUT = (10, 120)
# For which to wait where too many passwords were wrong, unless the archive says it [s].
_THROTTLED = 60
# How long the archive may hold an answer while a job runs [s], and how often a broken transfer goes on.
_WAIT, _TRIES = 50, 10
_CHUNK_BYTES = 2**20
_KEY = "obs_publisher_did"
_NAMED: dict[str, type[faults.Fault]] = {
    kind.code: kind for kind in (faults.NotFoundFault, faults.TransientFault, faults.FatalFault)
}
_FAULTS: dict[int, type[faults.Fault]] = {
    401: faults.AuthenticationFault,
    403: faults.AuthorizationFault,
    404: faults.NotFoundFault,
    409: faults.ConflictFault,
    412: faults.PreconditionFault,
    503: faults.TransientFault,
}
_PROJECT_COLUMNS = {
    "name": str,
    "description": str,
    "instrument": str,
    "is_public": bool,
    "max_privileges": int,
    "is_member": bool,
    "is_manager": bool,
}


class Archive:
    """An archive, as one user sees it.

    Args:
        url: of the archive; with the prefix of a context, as in ``https://.../context/BLUES/2``, everything
            happens in that context.
        user, password: to log in with.
        token: an API token, instead of these.

    Attributes:
        url: without a slash at the end.
        session: the HTTP session that carries the login, to this archive and nowhere else.
        context: the context that the archive keeps for the user.
        products: the data products.

    Raises:
        UsageFault: a user without a password, or a token beside them.
    """

    def __init__(
        self, url: str, user: str | None = None, password: str | None = None, token: str | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self.session: requests.Session = create_session()
        self.session.auth = _Login(self.url, _credentials(user, password, token))
        self.context = CurrentContext(self)
        self.products = Products(self)

    @cached_property
    def tap(self) -> pyvo.dal.TAPService:
        """The TAP service, with the login."""
        return pyvo.dal.TAPService(f"{self.url}/tap", session=self.session)

    @cached_property
    def sia(self) -> pyvo.dal.SIA2Service:
        """The SIA service, with the login."""
        return pyvo.dal.SIA2Service(f"{self.url}/sia", session=self.session)

    def search(self, adql: str, *, maxrec: int | None = None) -> Table:
        """Return the result of an ADQL query.

        Args:
            adql: the query.
            maxrec: the most rows to return; what the archive takes by default if None.

        Raises:
            UsageFault: the query is wrong.
            AuthenticationFault, AuthorizationFault: the login is, or it is good for something else.
            TransientFault: the archive is busy or does not answer.
        """
        try:
            query = self.tap.create_query(adql, maxrec=maxrec)
            return query.execute().to_table()
        except DALQueryError as error:
            raise _fault_of(_status(query), str(error.reason)) from error
        except (DALServiceError, DALFormatError) as error:
            raise _service_fault(error, self.url) from error

    def me(self) -> dict[str, Any]:
        """Return who the caller is: name, role, permissions, scopes of the login, context.

        Raises:
            AuthenticationFault: nobody has logged in.
        """
        answer: dict[str, Any] = self.call("GET", "me")
        return answer

    def projects(self) -> Table:
        """Return the projects that the caller may know of."""
        rows: list[dict[str, Any]] = []
        following: str | None = ""
        while following is not None:
            page = self.call("GET", "projects", params={"cursor": following})
            rows += page["projects"]
            following = page["next"]
        return Table([_column(name, kind, rows) for name, kind in _PROJECT_COLUMNS.items()])

    def publish(self, product: Any, privileges: int, reason: str = "") -> list[str]:
        """Raise products to a level, up to level 3 with everything that they were made from; all or none.

        Args:
            product: an identifier, a row with one, a :class:`Product`, or several of these, as in a table.
            privileges: 2 (project), 3 (users of the archive), 4 (world) or 5 (VO).
            reason: why, for the audit log.

        Returns:
            The identifiers of what was raised.

        Raises:
            UsageFault, NotFoundFault, AuthorizationFault: what stands in the way; nothing has been changed.
        """
        return self._change("publish", product, reason, privileges=int(privileges))

    def unpublish(self, product: Any, privileges: int = 2, reason: str = "") -> list[str]:
        """Lower products to a level, 2 at the lowest; arguments and answer are those of :meth:`publish`.

        Raises:
            UsageFault, NotFoundFault, AuthorizationFault, ConflictFault: what stands in the way.
        """
        return self._change("unpublish", product, reason, privileges=int(privileges))

    def update_is_valid(self, product: Any, is_valid: int, reason: str = "") -> list[str]:
        """Make products valid (1) or invalid (0); return the identifiers of those that were not so before.

        Raises:
            UsageFault, NotFoundFault, AuthorizationFault: what stands in the way.
        """
        return self._change("validity", product, reason, is_valid=bool(is_valid))

    def release(self, product: Any, moment: datetime | Time | None, reason: str = "") -> list[str]:
        """Say from when on everybody sees products; None takes that back.

        Args:
            product: as for :meth:`publish`.
            moment: with a time zone; an astropy time has one.
            reason: why, for the audit log.

        Raises:
            UsageFault, NotFoundFault, AuthorizationFault: what stands in the way.
        """
        if isinstance(moment, Time):
            moment = moment.utc.to_datetime(timezone=UTC)
        return self._change("release", product, reason, release_date=moment.isoformat() if moment else None)

    def delete(self, product: Any, reason: str = "") -> list[str]:
        """Delete the records of products; their files stay on disk.

        Raises:
            UsageFault, NotFoundFault, AuthorizationFault, ConflictFault: what stands in the way.
        """
        return self._change("delete", product, reason)

    def download(self, product: Any, path: str | PathLike[str], **parameters: Any) -> Path:
        """Fetch the files of products as one archive, going on where a transfer breaks; return its path.

        Args:
            product: as for :meth:`publish`; None where the parameters alone choose.
            path: where to put the archive.
            parameters: further ones of ``/downloads`` in lower case, as in ``responseformat="tar.zst"``,
                ``semantics=["#this", "#calibration"]``, ``run="20260214"`` or ``partial=True``.

        Raises:
            UsageFault, NotFoundFault: nothing can be made of this.
            TransientFault: too many downloads of the caller are in preparation; the archive does not answer.
        """
        wanted: dict[str, Any] = {name.upper(): value for name, value in parameters.items()}
        if product is not None:
            wanted["ID"] = list(_identifiers(product))
        job = self._ask("POST", f"{self.url}/downloads", data={**wanted, "PHASE": "RUN"}).url
        while (phase := self._ask("GET", f"{job}/phase").text) in ("QUEUED", "EXECUTING"):
            self._ask("GET", job, params={"WAIT": _WAIT, "PHASE": phase})
        if phase != "COMPLETED":
            code, _, said = self._ask("GET", f"{job}/error").text.strip().partition(": ")
            raise _NAMED.get(code, faults.UsageFault)(said)
        part = Path(f"{fspath(path)}.part")
        part.unlink(missing_ok=True)
        self._fetch(f"{job}/results/archive", part)
        self._ask("DELETE", job)
        return part.replace(path)

    def call(self, method: str, path: str, **request: Any) -> Any:
        """Call an endpoint of the HTTP API; return what its JSON says, None for no content.

        Args:
            method: of HTTP.
            path: below ``/api/v1/``.
            request: further arguments of :meth:`requests.Session.request`, such as ``params`` and ``json``.

        Raises:
            Fault: what the archive refused, or why it did not answer.
        """
        response = self._ask(method, f"{self.url}/api/v1/{path}", **request)
        return response.json() if response.content else None

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: str, url: str, **request: Any) -> requests.Response:
        """Return the answer to a request that is not refused."""
        try:
            response = self.session.request(method, url, timeout=_TIMEOUT, **request)
        except requests.RequestException as error:
            raise _silent(self.url, error) from error
        if response.status_code >= 400:
            raise _fault(response)
        return response

    def _fetch(self, url: str, path: Path) -> None:
        """Fetch a document into a file, and go on where the connection breaks."""
        for _ in range(_TRIES):
            with path.open("ab") as file, suppress(requests.RequestException):
                ranges = {"Range": f"bytes={file.tell()}-"} if file.tell() else {}
                answer = self._ask("GET", url, headers={"Accept-Encoding": "identity", **ranges}, stream=True)
                for chunk in answer.iter_content(_CHUNK_BYTES):
                    file.write(chunk)
                return
        raise faults.TransientFault(f"The connection to {self.url} breaks again and again.", "Try again.")

    def _change(self, action: str, product: Any, reason: str, **values: object) -> list[str]:
        body = {"identifiers": list(_identifiers(product)), "reason": reason, **values}
        changed: list[str] = self.call("POST", f"products/{action}", json=body)["changed"]
        return changed


class CurrentContext:
    """The context that the archive keeps for a user: it holds in all clients of that user.

    Without a current project, level 2 covers every project that the user is a member of.
    """

    def __init__(self, archive: Archive) -> None:
        """Look at the context through an archive."""
        self._archive = archive

    def set_project(self, project: str | None, privileges: int = 1) -> None:
        """Make a project current, with a lowest level; None covers all of the user's projects.

        Raises:
            AuthorizationFault: the user is not a member.
            UsageFault: the level is none of 1 to 5.
        """
        self._archive.call("PUT", "me/context", json={"project": project, "privileges": privileges})

    def get_current_project(self) -> str | None:
        """Return the name of the current project, None for all."""
        project: str | None = self._archive.call("GET", "me/context")["project"]
        return project

    def set_privileges(self, privileges: int) -> None:
        """Set the lowest level of what is shown; the project stays.

        Raises:
            UsageFault: the level is none of 1 to 5.
        """
        self.set_project(self.get_current_project(), privileges)

    def get_current_privileges(self) -> int:
        """Return the lowest level of what is shown."""
        return int(self._archive.call("GET", "me/context")["privileges"])


class Product:
    """A data product; whatever is asked of it is as the archive has it then.

    Attributes:
        identifier: the IVOA identifier, obs_publisher_did.
    """

    def __init__(self, archive: Archive, identifier: str) -> None:
        """Name a product of an archive; :attr:`Archive.products` looks it up, too."""
        self._archive = archive
        self.identifier = identifier

    def __repr__(self) -> str:
        return f"<Product {self.identifier}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Product) and other.identifier == self.identifier

    def __hash__(self) -> int:
        return hash(self.identifier)

    @property
    def row(self) -> dict[str, Any]:
        """The row of ost.products.

        Raises:
            NotFoundFault: there is no such product in the context.
        """
        return self._archive.products.row(self.identifier)

    @property
    def creator(self) -> str:
        """The user who ingested or made it."""
        return str(self.row["creator"])

    @property
    def project(self) -> str:
        """The project that it belongs to."""
        return str(self.row["project"])

    @property
    def privileges(self) -> int:
        """The level: 1 creator, 2 project, 3 users of the archive, 4 world, 5 VO."""
        return int(self.row["privileges"])

    @property
    def is_valid(self) -> int:
        """1 valid, 0 invalidated."""
        return int(self.row["is_valid"])

    @property
    def progenitors(self) -> list[Product]:
        """What it was made from directly, as far as the caller may see it."""
        return self._related("progenitors")

    @property
    def derivations(self) -> list[Product]:
        """What was made from it directly, as far as the caller may see it."""
        return self._related("derivations")

    def set_progenitors(self, products: Any, reason: str = "") -> None:
        """Say what it was made from, in place of what was said before.

        Raises:
            NotFoundFault, AuthorizationFault, ConflictFault: what stands in the way.
        """
        progenitors = list(_identifiers(products))
        body = {"identifier": self.identifier, "progenitors": progenitors, "reason": reason}
        self._archive.call("PUT", "products/lineage", json=body)

    def _related(self, how: str) -> list[Product]:
        lineage = self._archive.call("GET", "products/lineage", params={"id": self.identifier})
        return [Product(self._archive, identifier) for identifier in lineage[how]]


class Products:
    """The data products of an archive, by identifier."""

    def __init__(self, archive: Archive) -> None:
        """Look at the products of an archive."""
        self._archive = archive

    def __getitem__(self, identifier: str) -> Product:
        """Return a product.

        Raises:
            NotFoundFault: there is none of that identifier in the context.
        """
        self.row(identifier)
        return Product(self._archive, identifier)

    def row(self, identifier: str) -> dict[str, Any]:
        """Return the row of ost.products of a product.

        Raises:
            NotFoundFault: there is none of that identifier in the context.
        """
        found = self._archive.call("GET", "products", params={"id": identifier})["products"]
        if not found:
            raise faults.NotFoundFault(f"There is no data product {identifier} in your context.")
        row: dict[str, Any] = found[0]
        return row

    def search(
        self,
        *,
        project: str | None = None,
        creator: str | None = None,
        run: str | None = None,
        privileges: int | None = None,
        is_valid: int | None = None,
        limit: int | None = None,
    ) -> Table:
        """Return the rows of ost.products that have these values, in the context.

        Args:
            project, creator, run: names.
            privileges: the level, 1 to 5.
            is_valid: 0 for invalidated ones, 1 for the others; both if None.
            limit: the most rows to return; all that the archive gives if None.
        """
        wanted = {"project": project, "creator": creator, "run_name": run}
        conditions = [f"{name} = {_literal(value)}" for name, value in wanted.items() if value is not None]
        numbers = {'"privileges"': privileges, "is_valid": is_valid}
        conditions += [f"{name} = {int(value)}" for name, value in numbers.items() if value is not None]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        most = limit if limit is not None else self._archive.tap.hardlimit
        return self._archive.search(f"SELECT * FROM ost.products{where}", maxrec=most)  # noqa: S608 literals


class _Login(AuthBase):
    """Shows the login to the archive, and to no other host that a link or a redirect leads to."""

    def __init__(self, url: str, credentials: AuthBase | None) -> None:
        self._origin = _origin(url)
        self._credentials = credentials

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._credentials is not None and _origin(request.url or "") == self._origin:
            return self._credentials(request)
        return request


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _credentials(user: str | None, password: str | None, token: str | None) -> AuthBase | None:
    if (user is None) != (password is None) or (token is not None and user is not None):
        raise faults.UsageFault("That is no way to log in.", "Give user and password, or a token.")
    if token is not None:
        return _Bearer(token)
    if user is None or password is None:
        return None
    # Names are ASCII; passwords go as UTF-8, as the archive asks for (RFC 7617 section 2.1).
    return HTTPBasicAuth(user.encode(), password.encode())


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _identifiers(products: Any) -> Iterator[str]:
    """Yield the identifiers of one product or of several, however they are given."""
    if isinstance(products, str):
        yield str(products)
    elif isinstance(products, Product):
        yield products.identifier
    elif isinstance(products, (Row, Record, Mapping)):
        yield str(products[_KEY])
    elif isinstance(products, (Iterable, Table)):
        for product in products:
            yield from _identifiers(product)
    else:
        raise faults.UsageFault(
            f"{products!r} is no data product.", f"Give an identifier, or a row with {_KEY}."
        )


def _column(name: str, kind: type, rows: Sequence[Mapping[str, Any]]) -> MaskedColumn:
    values = [row[name] for row in rows]
    filled = [kind() if value is None else value for value in values]
    return MaskedColumn(filled, name=name, mask=[value is None for value in values], dtype=kind)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _fault(response: requests.Response) -> faults.Fault:
    """Return the fault that an answer tells of."""
    status = response.status_code
    try:
        problem = response.json()
        detail, hint = str(problem["detail"]), str(problem["hint"])
    except (ValueError, KeyError, TypeError):
        return _fault_of(status, f"{response.url} answered {status} {response.reason}.")
    return _fault_of(status, detail, hint, response.headers.get("Retry-After", ""))


def _fault_of(status: int, detail: str, hint: str = "", retry_after: str = "") -> faults.Fault:
    if status == 429:
        seconds = int(retry_after) if retry_after.isdigit() else _THROTTLED
        return faults.ThrottledFault(detail, hint, seconds=seconds)
    kind = _FAULTS.get(status, faults.UsageFault if status < 500 else faults.FatalFault)
    return kind(detail, hint)


def _status(query: pyvo.dal.TAPQuery) -> int:
    """Return the HTTP status of the answer in which a query was refused."""
    try:
        query.raise_if_error()
    except DALServiceError as error:
        return int(error.code)
    return 400


def _service_fault(error: DALServiceError | DALFormatError, url: str) -> faults.Fault:
    """Return the fault for what pyvo makes of an answer that is no result."""
    cause = error.cause
    response = getattr(cause, "response", None)
    return _fault(response) if response is not None else _silent(url, cause or error)


def _silent(url: str, error: BaseException) -> faults.TransientFault:
    return faults.TransientFault(f"The archive at {url} does not answer: {error}.", "Try again later.")
