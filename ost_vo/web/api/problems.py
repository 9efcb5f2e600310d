"""Faults as problem details, the errors of the HTTP API.

Source: RFC 9457.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ost_vo import faults
from ost_vo.web.api.paths import allowed_methods
from ost_vo.web.errors import PROBLEM_TYPE, problem

# What is wrong with a request is told for so many of its parts.
_TOLD = 20


class Problem(BaseModel):
    """Why a request was not carried out."""

    type: str = Field("about:blank", description="No kinds beyond those of HTTP are told apart by it.")
    title: str = Field(description="What the status means.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What was wrong, and where.")
    code: str = Field(description="Kind of the fault, by its name in the protocols of the VO.")
    hint: str = Field("", description="What to do about it.")


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what the OpenAPI document says of the refusals of an endpoint."""
    content = {"content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    described: dict[int | str, dict[str, Any]] = {
        status: {"description": HTTPStatus(status).phrase, **content} for status in statuses
    }
    return described | {"default": {"description": "Any other refusal", **content}}


async def of_validation(request: Request, error: Exception) -> Response:
    """Answer a request whose parameters or body are not what the endpoint takes."""
    assert isinstance(error, RequestValidationError)
    told = "; ".join(_told(item) for item in error.errors()[:_TOLD])
    fault = faults.UsageFault(f"The request is not valid: {told}.", _hint(request))
    return problem(400, fault, {})


async def of_status(request: Request, error: Exception) -> Response:
    """Answer a request for which there is no endpoint, no method, or too large a body."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    path = request.scope["path"]
    fault: faults.Fault
    if error.status_code == 404:
        fault = faults.NotFoundFault("There is nothing at this address.", _hint(request))
    elif error.status_code == 405:
        allowed = allowed_methods(request.app, path.removeprefix(request.scope["root_path"]))
        headers = {"Allow": ", ".join(allowed)}
        fault = faults.Fault(f"{request.method} is not possible here.", f"Possible are {', '.join(allowed)}.")
    else:
        fault = faults.UsageFault(str(error.detail).rstrip(".") + ".", _hint(request))
    return problem(error.status_code, fault, headers)


def _told(item: dict[str, Any]) -> str:
    """Say where something is wrong and what, without the value: it may be a password."""
    where = ".".join(str(part) for part in item["loc"])
    return f"{where}: {item['msg']}"


def _hint(request: Request) -> str:
    base = request.scope.get("root_path", "")
    return f"{base}/openapi.json says what the API takes."
