"""Sphinx: how `make docs` turns these pages into HTML; nothing is fetched, and any warning is an error."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

import ost_vo  # noqa: E402 the checkout's own, whichever is installed

project = "ost_vo"
author = "The ost_vo developers"
release = ost_vo.__version__

extensions = ["myst_parser", "reference", "notebooks"]
exclude_patterns = ["_ext"]
# Blocks that name no language are commands, addresses and what is printed.
highlight_language = "none"
# Sections that other pages link to.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

html_theme = "furo"
html_title = "ost_vo"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
