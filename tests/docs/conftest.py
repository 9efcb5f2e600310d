"""Tests here work on a project of their own, and on one build of the documentation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.blues import blues, blues_project

__all__ = ["blues", "blues_project"]

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation as HTML, built as `make docs` does it."""
    out = tmp_path_factory.mktemp("docs")
    strict = ("--fail-on-warning", "--keep-going", "--nitpicky", "--quiet")
    command = [sys.executable, "-m", "sphinx", *strict, "--doctree-dir", out / "trees", DOCS, out / "html"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=DOCS.parent, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return out / "html"
