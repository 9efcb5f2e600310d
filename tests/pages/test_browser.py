"""What people do with the archive in a browser: in Chromium, with every message of its console a failure."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from queue import Queue
from types import SimpleNamespace

import numpy as np
import pytest
import requests
from astropy.io import fits
from astropy.io.votable import parse_single_table
from astropy.samp import SAMPHubServer, SAMPIntegratedClient
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from ost_vo.services.administration import SECTIONS
from ost_vo.services.picture_store import Kind, path
from tests.blues import PASSWORD, Blues
from tests.conftest import Service, execute

CHROMIUM = "/usr/bin/chromium"
# How long anything may take on a busy machine [ms].
PATIENCE = 120_000
expect.set_options(timeout=PATIENCE)
NIGHT = "20260214"
FRAME = "M45-002V.fit"
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 800}
# Of axe: what keeps people from using a page.
SERIOUS = ("serious", "critical")
# What a browser says of answers that a test wants to be refusals, and of a desktop without a hub of SAMP.
REFUSED = re.compile(r"status of 40[0-9]|ERR_CONNECTION_REFUSED")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, service: Service) -> Iterator[Page]:
    """A page of a browser that has never been here; its console must stay silent."""
    context = chromium.new_context(
        base_url=service.url, locale="en-GB", viewport={"width": 1280, "height": 900}
    )
    said: list[str] = []
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    opened.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: said.append(str(error)))
    yield opened
    context.close()
    assert [text for text in said if not REFUSED.search(text)] == []


@pytest.fixture(scope="module")
def frame(service: Service) -> str:
    """Address of the page of a solved frame, which has a picture."""
    dsn = service.settings.dsn("postgres")
    ((did, digest),) = execute(
        dsn,
        "SELECT obs_publisher_did, encode(sha256, 'hex') FROM archive.products WHERE path LIKE %s",
        f"%{FRAME}",
    )
    place = path(service.settings, digest, Kind.PREVIEW)
    place.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.linspace(0, 255, 834 * 1108).reshape(834, 1108).astype(np.uint8)
    Image.fromarray(pixels).save(place)
    for directory in (place.parent, place.parent.parent):
        directory.chmod(0o755)
    return f"/product?ID={did}"


def log_in(page: Page, name: str) -> None:
    page.goto("/login")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()


def rows(page: Page) -> int:
    page.wait_for_load_state()
    return page.locator("form.pick tbody tr").count()


def test_find_a_target(page: Page) -> None:
    page.goto("/")
    expect(page.locator('.sky[data-state="drawn"]')).to_be_visible()
    page.get_by_role("searchbox").fill("M 45")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?*")
    page.get_by_role("main").get_by_role("link", name="M 45", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("M 45")
    expect(page.get_by_role("img", name="Altitude over time (UTC)")).to_be_visible()
    assert rows(page) == 3
    # The map goes where one looks: Enter searches at its centre.
    page.locator(".sky canvas").focus()
    page.keyboard.press("+")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Search: 56.")
    assert rows(page) >= 3


def test_look_at_a_frame(page: Page, frame: str) -> None:
    page.goto(frame)
    assert page.locator(".overlay .marks text").first.text_content() == "M 45"
    expect(page.locator(".overlay .lines")).to_be_hidden()
    page.get_by_label("Grid").check()
    expect(page.locator(".overlay .lines")).to_be_visible()
    brightness = (
        "canvas => { const p = canvas.getContext('2d').getImageData(0, 800, 1100, 1).data; return p[2000] }"
    )
    page.get_by_label("Black").fill("250")
    canvas = page.locator(".picture canvas")
    expect(canvas).to_be_visible()
    dark = canvas.evaluate(brightness)
    page.get_by_label("Negative").check()
    assert canvas.evaluate(brightness) == 255 - dark == 255
    page.get_by_label("Search in the header").fill("exptime")
    expect(page.locator("#header")).not_to_contain_text("SIMPLE")
    expect(page.locator("#header")).to_contain_text("EXPTIME")


def test_filter_and_sort_a_night(page: Page) -> None:
    page.goto(f"/runs/{NIGHT}")
    every = rows(page)
    page.get_by_label("Kind").select_option("light")
    page.get_by_role("button", name="Narrow").click()
    page.wait_for_url("**exposure_type=light**")
    page.get_by_role("link", name="Size").click()
    expect(page.locator('th[aria-sort="ascending"]')).to_contain_text("Size")
    page.get_by_role("link", name="Size").click()
    expect(page.locator('th[aria-sort="descending"]')).to_contain_text("Size")
    assert 0 < rows(page) < every
    units = {"B": 1, "kB": 1e3, "MB": 1e6}
    sizes = [
        text.split() for text in page.locator("form.pick tbody tr td:nth-last-child(2)").all_text_contents()
    ]
    found = [float(number) * units[unit] for number, unit in sizes]
    assert found == sorted(found, reverse=True)


def test_download_what_was_chosen_on_two_pages(page: Page, frame: str, tmp_path: Path) -> None:
    page.goto(frame)
    page.get_by_role("button", name="Add to downloads").click()
    page.goto("/darks?exposure_type=bias")
    page.locator("form.pick tbody input").first.check()
    page.get_by_role("button", name="Add to downloads").click()
    page.get_by_role("link", name="Downloads (2)").click()
    expect(page.locator("#chosen li")).to_have_count(2)
    page.get_by_role("button", name="Make an archive").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Archive").click()
    download.value.save_as(tmp_path / "archive.zip")
    names = zipfile.ZipFile(tmp_path / "archive.zip").namelist()
    assert any(name.endswith(FRAME) for name in names)
    assert len([name for name in names if ".fit" in name]) == 2
    page.get_by_role("link", name="All downloads").click()
    expect(page.locator("#own-jobs li")).to_have_count(1)
    expect(page.locator("#nothing-chosen")).to_be_visible()


def test_log_in_see_more_and_publish(page: Page, blues: Blues) -> None:
    assert page.goto("/runs/blues").status == 404
    log_in(page, "bob")
    page.goto("/runs/blues")
    assert rows(page) == 4
    page.get_by_role("link", name="raw1").click()
    expect(page.get_by_role("main")).to_contain_text("You see it because you made it.")
    page.get_by_text("Change", exact=True).click()
    page.get_by_label("Publish at level").select_option("2")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("main")).to_contain_text("Level 2 in project BLUES")
    assert blues.levels()["raw1"] == 2
    page.goto(f"/product?ID={blues.did('sum')}")
    expect(page.locator(".tree a")).to_have_count(2)


@pytest.mark.usefixtures("blues")
def test_switch_the_context(page: Page) -> None:
    log_in(page, "bob")
    page.goto("/runs")
    expect(page.get_by_role("link", name="blues", exact=True)).to_be_visible()
    page.get_by_label("Level").select_option("3")
    page.get_by_role("button", name="Set").click()
    expect(page.get_by_label("Level")).to_have_value("3")
    expect(page.get_by_role("link", name="blues", exact=True)).to_have_count(0)


def test_find_darks_for_a_file_of_ones_own(page: Page, service: Service) -> None:
    own = next(service.settings.data.glob(f"**/{FRAME}"))
    sent: list[int] = []
    page.goto("/darks")
    page.on("request", lambda request: sent.append(len(request.post_data_buffer or b"")))
    page.locator("#fits").set_input_files(own)
    header = fits.getheader(own)
    expect(page.get_by_label("Width [pixel]")).to_have_value(str(header["NAXIS1"]))
    expect(page.get_by_label("Instrument")).to_have_value(header["INSTRUME"])
    page.get_by_role("main").get_by_role("button", name="Search").click()
    expect(page.locator("form.pick tbody tr td:nth-child(5)").first).to_have_text("dark")
    assert sum(sent) == 0


def test_ask_in_adql(page: Page) -> None:
    page.goto("/query")
    editor = page.get_by_label("Query", exact=True)
    editor.fill("SELECT path, t_exptime, file_size FROM ost.produ")
    editor.press("End")
    editor.press_sequentially("ct")
    expect(page.get_by_role("option", name="ost.products")).to_be_visible()
    editor.press("ArrowDown")
    editor.press("Tab")
    expect(editor).to_have_value(re.compile(r"FROM ost\.products$"))
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#rows tbody tr").first).to_be_visible()
    expect(page.locator("#plot circle").nth(10)).to_be_attached()
    expect(page.locator("#script")).to_contain_text("pyvo.dal.TAPService")
    editor.fill("SELECT nothing FROM ost.products")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#status")).to_contain_text("nothing")


def test_send_a_table_to_a_program_on_the_desktop(page: Page, tmp_path: Path) -> None:
    page.goto(f"/runs/{NIGHT}")
    send, said = page.get_by_role("button", name="Send to TOPCAT"), page.locator(".samp output")
    send.click()
    expect(said).to_contain_text("No program listens")
    user = SimpleNamespace()
    hub = SAMPHubServer(lockfile=str(tmp_path / "hub"), addr="127.0.0.1", web_profile_dialog=user)
    hub.start()
    user.queue_result.put(True)  # consents to the page
    program = SAMPIntegratedClient(addr="127.0.0.1")
    program.connect(hub)
    heard: Queue[dict[str, str]] = Queue()
    program.bind_receive_notification("table.load.votable", lambda *message: heard.put(message[4]))
    try:
        send.click()
        fetched = requests.get(heard.get(timeout=120)["url"], timeout=60)
        expect(said).to_have_text("Sent.")
    finally:
        program.disconnect()
        hub.stop()
    assert len(parse_single_table(BytesIO(fetched.content)).array) == rows(page)


def test_jobs_are_followed(page: Page, blues: Blues) -> None:
    dsn, job = blues.service.settings.dsn("postgres"), "f0" * 16
    execute(
        dsn,
        "INSERT INTO archive.jobs (job_id, kind, phase, owner_id, context, parameters, execution_duration,"
        " destruction, worker, started, queued, heartbeat, progress)"
        " SELECT %s, 'download', 'EXECUTING', user_id, '{}', '[]', 600, now() + interval '1 day', 'x',"
        """ now(), now(), now() + interval '1 hour', '{"bytes_done": 1, "bytes_total": 4}'"""
        " FROM archive.users WHERE name = 'bob'",
        job,
    )
    log_in(page, "bob")
    page.goto("/jobs")
    row = page.get_by_role("row").filter(has_text="Download")
    expect(row.get_by_role("progressbar")).to_have_js_property("position", 0.25)
    execute(dsn, "UPDATE archive.jobs SET phase = 'ABORTED', ended = now() WHERE job_id = %s", job)
    expect(row.get_by_role("progressbar")).to_have_count(0)
    with page.expect_navigation():
        row.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_solve_a_discrepancy(page: Page, blues: Blues) -> None:
    execute(
        blues.service.settings.dsn("postgres"),
        "UPDATE archive.products SET privileges = 4 WHERE path = 'blues/raw1';"
        "INSERT INTO archive.discrepancies SELECT product_id, 'IMAGETYP', 'What is Drak?'"
        " FROM archive.products WHERE path = 'blues/raw1'",
    )
    log_in(page, "root")
    page.goto("/administration/discrepancies?run=blues")
    row = page.get_by_role("row").filter(has_text="What is Drak?")
    row.get_by_role("combobox", name="Kind").select_option("dark")
    with page.expect_navigation():
        row.get_by_role("button", name="Kind").click()
    page.goto("/administration/discrepancies?run=blues")
    row.get_by_label("Reason").fill("A dark frame")
    row.get_by_role("button", name="It is all right").click()
    expect(row).to_have_count(0)
    found = blues.rows("SELECT exposure_type FROM archive.products WHERE path = 'blues/raw1'")
    assert found == [("dark",)]


AXE_PAGES = (
    "/",
    "/overview",
    "/runs",
    f"/runs/{NIGHT}",
    "/targets",
    "/targets/M%2045",
    "/search?q=M+4",
    "/darks?exposure_type=dark",
    "/query",
    "/cart",
    "/jobs",
    "/account",
    "/tags",
    "/login",
)


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:150]}" for v in found if v["impact"] in SERIOUS]


@pytest.mark.usefixtures("blues")
@pytest.mark.parametrize(("scheme", "size"), [("light", DESK), ("dark", PHONE)], ids=["light", "dark phone"])
def test_nobody_is_kept_out(page: Page, frame: str, scheme: str, size: dict[str, int]) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    found = {}
    log_in(page, "root")
    looked_after = [f"/administration/{section}" for section in SECTIONS]
    for address in (*AXE_PAGES, *looked_after, frame):
        page.goto(address)
        found[address] = serious(page)
        if page.evaluate("document.documentElement.scrollWidth") > size["width"]:
            found[address].append("has to be scrolled sideways")
    assert {address: problems for address, problems in found.items() if problems} == {}


def test_all_works_by_keyboard(page: Page) -> None:
    page.goto("/runs")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Name or date")).to_be_focused()
