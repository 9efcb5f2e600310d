"""The notebooks and the first lines of Python run, as somebody with the archive's address runs them."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.blues import PASSWORD, PROJECT, Blues
from tests.conftest import Service
from tests.docs.conftest import DOCS

NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


@pytest.fixture
def jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to run in, where kernels leave what they leave."""
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("MPLBACKEND", "agg")
    return tmp_path


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, jupyter: Path, blues: Blues, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OST_ARCHIVE", blues.service.url)
    monkeypatch.setenv("OST_USER", "bob")
    monkeypatch.setenv("OST_PASSWORD", PASSWORD)
    monkeypatch.setenv("OST_PROJECT", PROJECT)
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=300, startup_timeout=300, resources={"metadata": {"path": str(jupyter)}}
    ).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert shown
    assert not [output for output in shown if output.get("name") == "stderr"]


@pytest.mark.parametrize("document", ["../README.md", "astronomers.md"])
def test_the_first_lines_of_python_run(
    document: str, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = re.findall(r"```python\n(.*?)```", (DOCS / document).read_text(), re.DOTALL)[0]
    exec(compile(code.replace("http://127.0.0.1:8000", service.url), document, "exec"), {})


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_results(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs")
        assert not cell.get("execution_count")
