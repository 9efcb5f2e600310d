"""Notebooks as pages: their text as it stands, their cells of Python as code.

They are shown without results: the tests run them against an archive, and results are not kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from docutils import nodes
from myst_parser.sphinx_ import Parser
from sphinx.application import Sphinx


class NotebookParser(Parser):
    """Reads a notebook (nbformat 4) as the page in Markdown that says the same."""

    supported = ("notebook",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Fill the document with what the notebook says."""
        super().parse("\n\n".join(_parts(json.loads(inputstring))), document)


def setup(app: Sphinx) -> dict[str, bool]:
    """Have Sphinx read notebooks."""
    app.add_source_suffix(".ipynb", "notebook")
    app.add_source_parser(NotebookParser)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _parts(notebook: dict) -> Iterator[str]:
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        yield text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
