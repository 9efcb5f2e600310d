"""Previews and thumbnails over HTTP, and the links to them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import requests
from astropy.io.votable import parse_single_table
from PIL import Image

from ingest.load import ingest
from ost_vo.services.analysis import Analyst, Tools
from pixels.apart import Looker
from pixels.placing import solution
from tests.conftest import Service, execute
from tests.previews.conftest import write_image

RUN = "pictured"


@dataclass(frozen=True)
class Pictured:
    """An archive with a product that has pictures and one that has none (yet): their identifiers."""

    service: Service
    shown: str
    unmade: str

    def get(self, path: str, identifier: str, **headers: str) -> requests.Response:
        url = f"{self.service.url}/{path}"
        return requests.get(url, params={"ID": identifier}, headers=headers, timeout=60)

    def links(self, identifier: str) -> dict[str, tuple[str, str, int, str, bool]]:
        table = parse_single_table(io.BytesIO(self.get("datalink/links", identifier).content)).to_table()
        return {
            str(row["semantics"]): (
                str(row["access_url"]),
                str(row["content_type"]),
                row["content_length"],
                str(row["link_auth"]),
                bool(row["link_authorized"]),
            )
            for row in table
        }


@pytest.fixture(scope="module")
def pictured(service: Service, looker: Looker) -> Iterator[Pictured]:
    settings = service.settings
    for number, name in enumerate(("shown", "unmade")):
        pixels = np.full((300, 400), 100 + number, "int16")
        write_image(settings.data / RUN / f"{name}.fits", pixels)
    ingest([settings.data / RUN], settings)
    rows = execute(
        settings.dsn("ost_owner"),
        "SELECT obs_publisher_did FROM archive.products WHERE path LIKE %s ORDER BY path",
        f"{RUN}/%",
    )
    # Of all that is in the queue, one product alone.
    execute(
        settings.dsn("ost_owner"),
        "UPDATE archive.analysis_queue SET due = 'infinity' WHERE product_id NOT IN "
        "(SELECT product_id FROM archive.products WHERE path = %s)",
        f"{RUN}/shown.fits",
    )
    Analyst(settings, Tools(looker, solution)).work()
    yield Pictured(service, rows[0][0], rows[1][0])
    execute(settings.dsn("ost_owner"), "UPDATE archive.analysis_queue SET due = now()")
    execute(settings.dsn("ost_owner"), "DELETE FROM archive.products WHERE path LIKE %s", f"{RUN}/%")
    execute(settings.dsn("ost_owner"), "DELETE FROM archive.runs WHERE name = %s", RUN)
    for path in (settings.data / RUN).iterdir():
        path.unlink()
    for path in (settings.state / "previews").rglob("*.png"):
        path.unlink()


@pytest.mark.parametrize(("path", "side"), [("previews", 400), ("thumbnails", 192)])
def test_pictures_can_be_had(pictured: Pictured, path: str, side: int) -> None:
    answer = pictured.get(path, pictured.shown)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Cache-Control"].startswith("private")
    assert Image.open(io.BytesIO(answer.content)).size == (side, side * 3 // 4)
    again = pictured.get(path, pictured.shown, **{"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == answer.headers["ETag"]


@pytest.mark.parametrize("semantics", ["preview", "thumbnail"])
def test_pictures_that_there_are_get_linked(pictured: Pictured, semantics: str) -> None:
    url, media_type, size, auth, authorized = pictured.links(pictured.shown)[f"#{semantics}"]
    answer = requests.get(url, timeout=60)
    assert answer.headers["Content-Type"] == media_type
    assert len(answer.content) == size
    assert (auth, authorized) == ("false", True)
    assert f"#{semantics}" not in pictured.links(pictured.unmade)


@pytest.mark.parametrize("path", ["previews", "thumbnails"])
def test_hidden_unknown_and_unmade_look_the_same(pictured: Pictured, path: str) -> None:
    dsn = pictured.service.settings.dsn("ost_owner")
    change = "UPDATE archive.products SET privileges = %s WHERE obs_publisher_did = %s"
    execute(dsn, change, 2, pictured.shown)
    answers = {
        name: pictured.get(path, identifier)
        for name, identifier in {
            pictured.shown: pictured.shown,
            pictured.unmade: pictured.unmade,
            "ivo://nowhere/x?1": "ivo://nowhere/x?1",
        }.items()
    }
    execute(dsn, change, 5, pictured.shown)
    assert {answer.status_code for answer in answers.values()} == {404}
    assert len({answer.text.replace(name, "ID") for name, answer in answers.items()}) == 1


def test_an_identifier_is_needed(pictured: Pictured) -> None:
    assert requests.get(f"{pictured.service.url}/previews", timeout=60).status_code == 400


def test_pictures_are_nobody_elses_files(pictured: Pictured) -> None:
    directory: Path = pictured.service.settings.state / "previews"
    assert directory.stat().st_mode & 0o077 == 0
