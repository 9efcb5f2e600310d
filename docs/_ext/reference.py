"""Reference pages made from the code while the documentation is built, so that they cannot be out of date.

A page asks for its part by a line of its own, `<!-- made from the code: commands -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import commands
import http_api
import tables
from sphinx.application import Sphinx

_MADE: dict[str, Callable[[], str]] = {
    "commands": commands.as_markdown,
    "tables": tables.as_markdown,
    "api": http_api.as_markdown,
}
_MARK = re.compile(r"^<!-- made from the code: (\w+) -->$", re.MULTILINE)


def setup(app: Sphinx) -> dict[str, bool]:
    """Have Sphinx fill the pages in when it reads them."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _fill(app: Sphinx, page: str, source: list[str]) -> None:
    del app, page
    source[0] = _MARK.sub(lambda found: _MADE[found[1]](), source[0])
