"""Aladin Lite in place of the maps, in a Chromium that draws WebGL by itself; every message is a failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image
from playwright.sync_api import Browser, Frame, Page, expect, sync_playwright

from ost_vo.deployment.publisher import free_port
from ost_vo.settings import Settings
from ost_vo.vo.moc import FITS, parse, write
from ost_vo.web.pages import layout
from tests.conftest import Service
from tests.pages.test_browser import CHROMIUM, PATIENCE, serious
from tests.serving import Serving

WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
# What Aladin Lite draws in, on its dark sky: targets and fields. Coverage and grid are mixed with the sky.
TARGETS, FIELDS = (240, 183, 99), (141, 188, 242)
# The sky of the tests' survey.
RED = (120, 20, 20)
installed = pytest.mark.skipif(
    not layout.has_aladin_lite(), reason="etc/install-aladin-lite could not install Aladin Lite"
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *WEBGL])
        yield browser
        browser.close()


class Watched:
    """A page, with all that it and its frames ask for, and what its console has against it."""

    def __init__(self, page: Page, *sites: str) -> None:
        self.page = page
        self.sites = sites
        self.asked: set[str] = set()
        self.said: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: self.asked.add(request.url))
        page.on(
            "console", lambda message: self.said.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error: self.said.append(str(error)))

    def open(self) -> Frame:
        """Press the button, wait until all is drawn, and return the frame."""
        self.page.get_by_role("button", name="Aladin Lite").click()
        body = self.page.frame_locator("iframe").locator("body")
        expect(body).to_have_attribute("data-state", "drawn", timeout=PATIENCE)
        expect(body.locator("#status")).to_be_empty()
        return self.page.frames[1]


@pytest.fixture
def watched(chromium: Browser, service: Service) -> Iterator[Watched]:
    context = chromium.new_context(
        base_url=service.url, locale="de-DE", viewport={"width": 800, "height": 700}, color_scheme="dark"
    )
    watched = Watched(context.new_page(), f"{service.url}/")
    yield watched
    context.close()
    assert watched.said == []
    assert {url for url in watched.asked if not url.startswith((*watched.sites, "data:", "blob:"))} == set()


def await_colours(page: Page, least: dict[tuple[int, int, int], int]) -> np.ndarray:
    """Wait until so many pixels of the frame have these colours, or nearly so; return all, as (n, 3)."""
    until = time.monotonic() + PATIENCE / 1000
    while True:
        picture = Image.open(BytesIO(page.locator("iframe").screenshot())).convert("RGB")
        colours = np.asarray(picture).astype(int).reshape(-1, 3)
        found = {colour: int((abs(colours - colour).max(axis=1) <= 12).sum()) for colour in least}
        if all(found[colour] >= number for colour, number in least.items()):
            return colours
        assert time.monotonic() < until, found


class Sky(BaseHTTPRequestHandler):
    """A survey that is red everywhere (HiPS 1.0 section 4)."""

    PROPERTIES = """creator_did = ivo://survey.example/P/red
hips_version = 1.4
hips_frame = equatorial
hips_order = 3
hips_tile_width = 64
hips_tile_format = jpeg
dataproduct_type = image
"""

    def do_GET(self) -> None:
        if self.path.endswith("/properties"):
            body = self.PROPERTIES.encode()
        elif self.path.endswith("/Moc.fits"):
            body = write(parse("0/0-11"), FITS)
        else:
            picture = BytesIO()
            side = (64, 64) if "Npix" in self.path else (27 * 64, 29 * 64)
            Image.new("RGB", side, RED).save(picture, "JPEG")
            body = picture.getvalue()
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def survey() -> Iterator[str]:
    """The address of a survey on another host than the archive, as browsers reckon hosts."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Sky) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/red/"
        server.shutdown()
        thread.join()


@installed
def test_the_whole_sky_opens_and_closes(watched: Watched) -> None:
    page = watched.page
    page.goto("/")
    expect(page.locator('.sky[data-state="drawn"]')).to_be_visible()
    assert not any("/sky/aladin" in url for url in watched.asked)
    frame = watched.open()
    assert (
        page.locator("iframe").get_attribute("title") == "Himmelskarte von Aladin Lite; Escape schließt sie"
    )
    assert {"/moc", "/api/v1/targets"} <= {
        url.removeprefix(page.url[:-1]).split("?")[0] for url in watched.asked
    }
    colours = await_colours(page, {TARGETS: 100})
    # Two are the sky and what is around it; the others are coverage, grid and names.
    frequent = np.sort(np.unique(colours, axis=0, return_counts=True)[1])[-2:]
    assert len(colours) - frequent.sum() > 10_000
    assert serious(frame) == []
    # By keyboard: the frame has the focus, Escape gives it back to the button.
    page.keyboard.press("+")
    page.keyboard.press("ArrowUp")
    expect(page.locator(".sky output")).not_to_have_text("0h00m00s +0°00′00″")
    page.keyboard.press("Escape")
    expect(page.locator("iframe")).to_have_count(0)
    button = page.get_by_role("button", name="Aladin Lite")
    expect(button).to_be_focused()
    expect(page.locator(".sky canvas")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("iframe")).to_have_count(1)
    button.click()
    expect(page.locator("iframe")).to_have_count(0)


@installed
def test_a_target_is_opened_at_its_place_in_its_context_before_a_survey(
    watched: Watched, service: Service, survey: str
) -> None:
    page = watched.page
    changed = {"port": free_port(), "sky_survey": survey}
    with Serving(Settings(**{**service.settings.model_dump(), **changed})) as url:
        watched.sites = (f"{url}/", survey)
        address = f"{url}/context/-/4"
        page.goto(f"{address}/targets/M%2044")
        frame = watched.open()
        assert frame.url == f"{address}/sky/aladin"
        assert f"{address}/moc?RESPONSEFORMAT=json&ORDER=8" in watched.asked
        await_colours(page, {RED: 10_000, FIELDS: 200})
        with page.expect_request(f"{address}/targets/**"):
            page.locator("iframe").click()


def test_without_it_the_maps_are_those_of_the_pages(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "aladin.js"
    monkeypatch.setattr(layout, "ALADIN_LITE", script)
    changed = {"port": free_port(), "sky_survey": "https://hips.example/dss;x/"}
    with Serving(Settings(**{**service.settings.model_dump(), **changed})) as url:
        page = requests.get(url, headers={"Accept": "text/html"}, timeout=60)
        assert "<canvas" in page.text
        assert "data-aladin" not in page.text
        assert "frame-src" not in page.headers["Content-Security-Policy"]
        for path in ("aladin", "aladin.js"):
            missing = requests.get(f"{url}/sky/{path}", headers={"Accept": "text/html"}, timeout=60)
            assert missing.status_code == 404
            assert "etc/install-aladin-lite" in missing.text
        script.write_text("// " + "x" * 1000)
        page = requests.get(url, headers={"Accept": "text/html"}, timeout=60)
        assert "data-aladin" in page.text
        policy = requests.get(f"{url}/sky/aladin", timeout=60).headers["Content-Security-Policy"]
        assert "img-src 'self' data: https://hips.example;" in policy
        assert "script-src 'self' 'wasm-unsafe-eval';" in policy
        served = requests.get(f"{url}/sky/aladin.js", timeout=60)
        assert served.text == script.read_text()
        assert served.headers["Content-Encoding"] == "gzip"
