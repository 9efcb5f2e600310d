"""Queries in ADQL, with their results as a table and a plot in the page."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from ost_vo.services.archive import Archive
from ost_vo.services.examples import EXAMPLES
from ost_vo.web.pages import layout

_FIRST = """SELECT TOP 100 target_name, instrument_name, t_min, t_exptime, s_ra, s_dec, obs_publisher_did
FROM ivoa.obscore
ORDER BY t_min"""


async def query_page(request: Request) -> Response:
    """Show the editor; the query in the URL stands in it."""
    archive: Archive = request.app.state.archive
    tables = {
        table.sql_name: [column.name for column in table.columns] for table in archive.published.catalogue
    }
    text = request.query_params.get("query", _FIRST)
    return await layout.render(request, "query.html", query=text, tables=tables, examples=EXAMPLES)
