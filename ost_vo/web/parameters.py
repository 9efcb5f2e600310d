"""Reading the parameters of a request: query string, form and multipart body become one multimap."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from ost_vo.faults import UsageFault
from ost_vo.vo.parameters import Parameters

# An ADQL query is capped far below this; uploads are files and do not count [bytes].
BODY_BYTES = 4 * 2**20


async def read(request: Request) -> Parameters:
    """Return the parameters of the query string and of the body.

    Raises:
        UsageFault: the body is not a form, or is larger than 4 MB.
    """
    pairs = list(request.query_params.multi_items())
    if request.method == "POST":
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length) > BODY_BYTES:
            raise UsageFault(f"The request's body is larger than {BODY_BYTES} bytes.", "Send less.")
        try:
            form = await request.form(max_part_size=BODY_BYTES)
        except (MultiPartException, HTTPException) as error:
            raise UsageFault(f"The request's body is not a form: {_reason(error)}.") from error
        pairs += [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    return Parameters(pairs)


def _reason(error: MultiPartException | HTTPException) -> str:
    return str(error.message if isinstance(error, MultiPartException) else error.detail).rstrip(".")
