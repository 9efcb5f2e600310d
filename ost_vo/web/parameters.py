"""Reading the parameters of a request: query string, form and multipart body become one multimap."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message, Receive

from ost_vo.faults import UsageFault
from ost_vo.services import uploads
from ost_vo.settings import Settings
from ost_vo.vo.parameters import Parameters

# An ADQL query is capped far below this; files of uploads have a limit of their own [bytes].
BODY_BYTES = 4 * 2**20


async def read(request: Request) -> Parameters:
    """Return the parameters of the query string and of the body.

    A file that UPLOAD names is kept; in the parameters, a value stands for it (see ``services.uploads``).

    Raises:
        UsageFault: the body is not a form, or too large: 4 MB, and what the settings say for uploads.
    """
    pairs = list(request.query_params.multi_items())
    files: dict[str, UploadFile] = {}
    if request.method == "POST":
        form = await _form(request)
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                files[name.upper()] = value
            else:
                pairs.append((name, value))
    if any(uploads.is_kept(value) for _, value in pairs):
        raise UsageFault("A parameter begins with 'upload:'.", "Send the table as a part of the request.")
    parameters = Parameters(pairs)
    if not _takes_uploads(request) or not files:
        return parameters
    settings: Settings = request.app.state.archive.settings
    return await run_in_threadpool(_with_files, settings, parameters, files)


async def _form(request: Request) -> FormData:
    limit = BODY_BYTES
    if _takes_uploads(request):
        limit = max(limit, request.app.state.archive.settings.upload_bytes)
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    try:
        counted = Request(request.scope, _counted(request, limit))
        return await counted.form(max_part_size=BODY_BYTES)
    except (MultiPartException, HTTPException) as error:
        raise UsageFault(f"The request's body is not a form: {_reason(error)}.") from error


def _counted(request: Request, limit: int) -> Receive:
    size = 0

    async def receive() -> Message:
        nonlocal size
        message = await request.receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise _too_large(limit)
        return message

    return receive


def _too_large(limit: int) -> UsageFault:
    return UsageFault(f"The request's body is larger than {limit} bytes.", "Send less.")


def _takes_uploads(request: Request) -> bool:
    return str(request.scope["path"]).startswith(("/tap/sync", "/tap/async", "/soda/async"))


def _with_files(settings: Settings, parameters: Parameters, files: Mapping[str, UploadFile]) -> Parameters:
    """Keep the files that UPLOAD names; what else came is dropped."""
    kept = [
        (name, uploads.keep(settings, files[name].file))
        for name in sorted(uploads.names(parameters) & files.keys())
    ]
    return Parameters([*parameters, *kept])


def _reason(error: MultiPartException | HTTPException) -> str:
    return str(error.message if isinstance(error, MultiPartException) else error.detail).rstrip(".")
