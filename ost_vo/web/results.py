"""Results of queries over HTTP."""

from __future__ import annotations

from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse

from ost_vo.store.results import AsyncResultStream


async def response(stream: AsyncResultStream, media_type: str) -> Response:
    """Return the answer with a result: a small one with its length, others while the database works on.

    Args:
        stream: the chunks of the document.
        media_type: of the document.
    """
    headers = {"Content-Type": media_type}
    document = await stream.whole()
    if document is not None:
        return Response(document, headers=headers)
    return StreamingResponse(stream, headers=headers, background=BackgroundTask(stream.aclose))
