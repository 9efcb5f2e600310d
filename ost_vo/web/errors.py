"""Faults become answers here, and nowhere else.

Source: DALI 1.1 section 4.2 (HTTP status) and 4.4 (error documents).
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from ost_vo import faults
from ost_vo.vo import votable

log = structlog.get_logger(__name__)

RETRY_SECONDS = "5"
PROBLEM_TYPE = "application/problem+json"

_STATUS = (
    (faults.NotFoundFault, 404),
    (faults.ConflictFault, 409),
    (faults.PreconditionFault, 412),
    (faults.UsageFault, 400),
    (faults.AuthenticationFault, 401),
    (faults.AuthorizationFault, 403),
    (faults.ThrottledFault, 429),
    (faults.TransientFault, 503),
)

# Behind the prefix of a context as well, which may be what is wrong.
_SODA = re.compile(r"(/context/[^/]*(/[^/]*)?)?/soda/a?sync(/|$)")
# By the codes of faults; everything else is just an error.
_SODA_CODES = {
    "MultiValuedParamNotSupported": "MultiValuedParamNotSupported",
    faults.UsageFault.code: "UsageError",
    faults.NotFoundFault.code: "UsageError",
    faults.AuthenticationFault.code: "AuthenticationError",
    faults.AuthorizationFault.code: "AuthorizationError",
    faults.TransientFault.code: "ServiceUnavailable",
}


def status(fault: faults.Fault) -> int:
    """Return the HTTP status of a fault."""
    return next((code for kind, code in _STATUS if isinstance(fault, kind)), 500)


def headers(fault: faults.Fault) -> dict[str, str]:
    """Return the HTTP headers that go with a fault."""
    if isinstance(fault, faults.ThrottledFault):
        return {"Retry-After": str(fault.seconds)}
    return {"Retry-After": RETRY_SECONDS} if fault.transient else {}


async def fault_as_votable(request: Request, error: Exception) -> Response:
    """Answer with a VOTable whose QUERY_STATUS is ERROR, as TAP and SIA clients read it.

    It is one whatever RESPONSEFORMAT asks for, as DALI 1.1 section 4.2 permits; its Content-Type says so.
    """
    fault = _fault(request, error)
    message = str(fault) if request.url.path.startswith("/tap") else f"{fault.code}: {fault}"
    document = votable.error_document(message)
    return Response(document, status(fault), headers(fault), votable.CONTENT_TYPE)


async def fault_as_text(request: Request, error: Exception) -> Response:
    """Answer with a line of text, for endpoints that people and programs read directly."""
    fault = _fault(request, error)
    return PlainTextResponse(f"{fault.code}: {fault}\n", status(fault), headers(fault))


def soda_text(code: str, message: str) -> str:
    """Return a line of text that begins as SODA 1.0 section 5.2 has it, for the code of a fault."""
    return f"{_SODA_CODES.get(code, 'Error')}: {message}\n"


async def fault_as_soda(request: Request, error: Exception) -> Response:
    """Answer with a line of text, for clients of SODA."""
    fault = _fault(request, error)
    return PlainTextResponse(soda_text(fault.code, str(fault)), status(fault), headers(fault))


async def fault_as_problem(request: Request, error: Exception) -> Response:
    """Answer with problem details, for the HTTP API (RFC 9457)."""
    fault = _fault(request, error)
    return problem(status(fault), fault, headers(fault))


def problem(code: int, fault: faults.Fault, extra_headers: dict[str, str]) -> Response:
    """Return the problem details of a fault with an HTTP status."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(code).phrase,
        "status": code,
        "detail": fault.detail,
        "code": fault.code,
        "hint": fault.hint,
    }
    return Response(json.dumps(document), code, extra_headers, PROBLEM_TYPE)


async def client_gone(request: Request, error: Exception) -> Response:
    """Answer nobody: the client has gone away."""
    log.info("client gone", path=request.url.path, reason=type(error).__name__)
    return Response(status_code=400)


async def fault_response(request: Request, error: Exception) -> Response:
    """Answer in the form that clients of the endpoint expect."""
    path = request.url.path
    if _SODA.match(path):
        return await fault_as_soda(request, error)
    if path.startswith(("/tap/sync", "/sia/query", "/datalink/links")):
        return await fault_as_votable(request, error)
    if path.startswith("/api/"):
        return await fault_as_problem(request, error)
    return await fault_as_text(request, error)


async def status_response(request: Request, error: Exception) -> Response:
    """Answer where there is no endpoint, or none of that method: below /api/ with problem details."""
    assert isinstance(error, HTTPException)
    if not request.url.path.startswith("/api/"):
        return PlainTextResponse(error.detail, error.status_code, error.headers)
    kind = faults.NotFoundFault if error.status_code == 404 else faults.Fault
    fault = kind(f"{error.detail}.", "/api/v1/openapi.json says what there is.")
    return problem(error.status_code, fault, dict(error.headers or {}))


def _fault(request: Request, error: Exception) -> faults.Fault:
    if isinstance(error, faults.Fault):
        return error
    log.error("request failed", path=request.url.path, exc_info=error)
    return faults.FatalFault("The archive failed to answer this request.", "The operators can see why.")
