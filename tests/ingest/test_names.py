"""Names of filters, targets, telescopes, cameras and observers."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.filters import known
from ingest.load import ingest
from ingest.names import Names, read
from ingest.remap import remap
from ingest.targets import target_name
from ost_vo.faults import UsageFault
from ost_vo.settings import Settings
from tests.ingest.frames import Cards, described, rows, write_frame


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("U", 333.8, 398.8),
        ("B", 391.6, 480.6),
        ("V", 502.8, 586.8),
        ("R", 561.7, 719.7),
        ("I", 721.0, 875.0),
        ("Johnson B", 391.6, 480.6),
        ("Bessell_V", 502.8, 586.8),
        ("Rc", 561.7, 719.7),
        ("r", 557.0, 695.2),
        ("g'", 413.6, 551.4),
        ("SDSS i", 690.4, 844.0),
        ("sloan-z", 841.2, 978.2),
        ("Stroemgren b", 459.6, 478.0),
        ("y", 536.7, 559.3),
        ("Ha", 652.78, 659.78),
        ("H-alpha", 652.78, 659.78),
        ("H_ALPHA 3nm", 654.78, 657.78),
        ("Ha 6.5 nm", 653.03, 659.53),
        ("OIII", 497.18, 504.18),
        ("[O III]", 497.18, 504.18),
        ("SII", 668.9, 675.9),
        ("L", 400.0, 700.0),
        ("Luminance", 400.0, 700.0),
        ("IRCUT", 400.0, 700.0),
        ("Red", 590.0, 690.0),
        ("G", 490.0, 580.0),
        ("blue", 400.0, 510.0),
    ],
)
def test_band(name: str, low: float, high: float) -> None:
    found = known().band(name)
    assert (found.em_min, found.em_max) == pytest.approx((low * 1e-9, high * 1e-9))
    assert found.remark is None


@pytest.mark.parametrize("name", ["None", "Clear", "open", "No Filter"])
def test_no_filter_is_no_discrepancy(name: str) -> None:
    found = known().band(name)
    assert (found.em_min, found.em_max, found.remark) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("OG590", "no filter that is known"), ("v", "Johnson or Stroemgren"), ("b", "Johnson or")],
)
def test_unknown_and_ambiguous_filters_are_left_open(name: str, reason: str) -> None:
    found = known().band(name)
    assert (found.em_min, found.em_max) == (None, None)
    assert reason in str(found.remark)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("M31", "M 31"),
        ("m_031", "M 31"),
        ("Messier 31", "M 31"),
        ("ngc-6946", "NGC 6946"),
        ("NGC 6027A", "NGC 6027A"),
        ("ic434", "IC 434"),
        ("hd 189733", "HD 189733"),
        ("HD61421_", "HD 61421"),
        ("wasp12b", "WASP-12b"),
        ("Sh2-155", "SH2-155"),
        ("BD+20 307", "BD+20 307"),
        ("ey-uma", "ey-uma"),
        ("Jupiter  moons", "Jupiter moons"),
        ("M31 field 2", "M31 field 2"),
        ("Moon", "Moon"),
        ("", None),
        ("unknown", None),
        ("Dark", None),
        ("x", None),
    ],
)
def test_target_name(header: str, name: str | None) -> None:
    assert target_name(header) == name


def table(tmp_path: Path, text: str) -> Names:
    """Return the names of an operator's table."""
    path = tmp_path / "names.toml"
    path.write_text(text)
    return read(path)


EQUIPMENT = """
[[telescope]]
name = "Great Refractor"
headers = ["refractor", "GR 80cm"]

[[observer]]
name = "Jürgen Müller"
headers = ["jm", "j. mueller"]

[[instrument]]
name = "Guide camera"
headers = ["QHY CCD QHY268M-92149f4"]

[[instrument]]
name = "New camera"
pixel = 2.4
sizes = [[1000, 800]]

[[filter]]
name = "Schott OG590"
headers = ["OG590", "v"]
min = 590
max = 1000

[[filter]]
name = "Ha old wheel"
headers = ["Pos 3"]
same_as = "H-alpha"

[[filter]]
name = "Sodium"
line = 589.3
width = 1.0

[[filter]]
name = "Empty slot"
headers = ["Pos 1"]
clear = true

[[spectrograph]]
name = "DADOS"
min = 500
max = 600

[[spectrograph]]
name = "LHIRES"
words = ["LHIRES III"]
min = 640
max = 670
"""


@pytest.mark.parametrize(
    ("cards", "columns"),
    [
        (
            {"TELESCOP": " gr_80CM "},
            {"telescope_name": "Great Refractor", "header_telescope": "gr_80CM"},
        ),
        ({"TELESCOP": "meade lx200"}, {"telescope_name": "meade lx200", "header_telescope": "meade lx200"}),
        ({"OBSERVER": "J. Mueller"}, {"observer": "Jürgen Müller", "header_observer": "J. Mueller"}),
        ({"OBSERVER": " Ada "}, {"observer": "Ada", "header_observer": "Ada"}),
        (
            {"INSTRUME": "QHY CCD QHY268M-92149F4"},
            {"instrument_name": "Guide camera", "header_instrument": "QHY CCD QHY268M-92149F4"},
        ),
        ({"INSTRUME": "QHY CCD QHY268M-1"}, {"instrument_name": "QHY268M", "pixel_size": 3.76}),
        ({"INSTRUME": "SomeCam"}, {"instrument_name": "SomeCam", "header_instrument": "SomeCam"}),
        ({"INSTRUME": "unknown"}, {"instrument_name": None, "header_instrument": "unknown"}),
        ({"INSTRUME": "new CAMERA"}, {"instrument_name": "New camera", "pixel_size": 2.4}),
        ({"FILTER": "og590"}, {"filter_name": "Schott OG590", "header_filter": "og590", "em_min": 590e-9}),
        ({"FILTER": "v"}, {"filter_name": "Schott OG590", "em_max": 1000e-9}),
        ({"FILTER": "V"}, {"filter_name": "Johnson V", "em_max": 586.8e-9}),
        ({"FILTER": "Pos 3"}, {"filter_name": "Ha old wheel", "em_min": 652.78e-9}),
        ({"FILTER": "sodium"}, {"filter_name": "Sodium", "em_min": 588.8e-9, "em_max": 589.8e-9}),
        ({"FILTER": "Pos 1"}, {"filter_name": "Empty slot", "em_min": None}),
        ({"FILTER": " Rosa "}, {"filter_name": "Rosa", "header_filter": "Rosa", "em_min": None}),
        ({"INSTRUME": "DADOS"}, {"dataproduct_type": "spectrum", "em_min": 500e-9}),
        ({"NOTES": "lhires-iii"}, {"dataproduct_type": "spectrum", "em_max": 670e-9}),
    ],
)
def test_table_of_an_operator(tmp_path: Path, cards: Cards, columns: dict[str, object]) -> None:
    names = table(tmp_path, EQUIPMENT)
    metadata, _ = described(write_frame(tmp_path / "a.fit", {"IMAGETYP": "Light"} | cards), names)
    for column, value in columns.items():
        expected = pytest.approx(value) if isinstance(value, float) else value
        assert getattr(metadata, column) == expected, column


def test_two_cameras_of_a_model_are_not_told_apart_by_their_frames(tmp_path: Path) -> None:
    cards = {"IMAGETYP": "Light", "XPIXSZ": 15.04, "XBINNING": 4, "YBINNING": 4}
    path = write_frame(tmp_path / "a.fit", cards, (1044, 1563), "uint8")
    metadata, remarks = described(path, table(tmp_path, EQUIPMENT))
    assert metadata.instrument_name is None
    assert [r.reason for r in remarks if r.keyword == "INSTRUME"] == [
        "Names no camera; pixels and size fit Guide camera or QHY268M or ZWO ASI2600MC Pro: left open."
    ]


def test_table_of_the_installation_names_the_observatory_s_telescopes() -> None:
    names = read(None)
    for header in ("MEADE LX200", "meade_lx200", "Meade LX-200"):
        assert names.telescope(header) == "Meade LX200"
    assert names.telescope("SKY-WATCHER") == names.telescope("Sky watcher") == "Sky-Watcher"
    assert names.telescope("planewave cdk20") == "Planewave CDK20"
    assert names.telescope("Elsewhere 1m") == "Elsewhere 1m"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[telescope]\nname = 1", "names.toml is no TOML: .*line 1"),
        ("\n[[telescop]]\nname = 'a'", "'telescop' is none of telescope, observer"),
        ("[telescope]\nname = 'a'", r"telescope has to be given as \[\[telescope\]\]"),
        ("\n\n[[telescope]]\nheaders = ['a']", "line 3, telescope 1: name has to be a text"),
        ("[[telescope]]\nname = 'a'\nheader = ['b']", "telescope 'a': 'header' is none of name, headers"),
        ("[[telescope]]\nname = 'a'\nheaders = 'b'", "headers has to be a list of texts"),
        ("[[telescope]]\nname = 'a'\nheaders = ['-']", "has neither letters nor digits"),
        (
            "[[telescope]]\nname='a'\nheaders=['x 1']\n[[telescope]]\nname='b'\nheaders=['X_1']",
            "line 4, telescope 'b': 'X_1' is claimed by .*line 1, telescope 'a'",
        ),
        ("[[filter]]\nname = 'a'\nmin = 500\nmax = 400", "filter 'a': min has to be less than max"),
        ("[[filter]]\nname = 'a'\nmin = 5\nmax = 400", "min is 5; it has to be from 10 to 1e.06"),
        ("[[filter]]\nname = 'a'\nmin = true\nmax = 400", "min has to be a number"),
        ("[[filter]]\nname = 'a'", "A filter has min and max"),
        ("[[filter]]\nname = 'a'\nsame_as = 'Ha'\nclear = true", "A filter has min and max"),
        ("[[filter]]\nname = 'a'\nsame_as = 'Rosa'", "'Rosa' is no filter that is known so far"),
        ("[[filter]]\nname = 'a'\nclear = false", "clear can be true only"),
        ("[[instrument]]\nname = 'a'\nsizes = [[1, 2]]", "only together with pixel"),
        ("[[instrument]]\nname = 'a'\npixel = 3\nsizes = [[1, 2, 3]]", "sizes has to be a list of"),
        ("[[spectrograph]]\nname = '-'\nmin = 500\nmax = 600", "need letters or digits"),
        (b"\n[[telescope]]\nname = '\xff'", "line 3: not UTF-8"),
    ],
)  # fmt: skip
def test_faults_name_line_and_entry(tmp_path: Path, text: str | bytes, reason: str) -> None:
    path = tmp_path / "names.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageFault, match=reason):
        read(path)


def test_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="cannot be read"):
        read(tmp_path / "names.toml")


REMAPPED = """
[[telescope]]
name = "Old Refractor"
headers = ["meade lx200"]

[[observer]]
name = "Ada Lovelace"
headers = ["ada"]

[[instrument]]
name = "Second QHY268M"
headers = ["QHY CCD QHY268M-2"]

[[filter]]
name = "Rot"
headers = ["R", "RG610"]
min = 600
max = 700
"""
SHOWN = (
    "SELECT path, telescope_name, observer, instrument_name, filter_name, round(em_min * 1e9), obs_title, "
    "array(SELECT reason FROM archive.discrepancies d "
    "WHERE d.product_id = p.product_id AND keyword = 'FILTER') FROM archive.products p ORDER BY path"
)


def test_changed_table_is_given_to_what_is_in_the_archive(settings: Settings, tmp_path: Path) -> None:
    cards: Cards = {"TELESCOP": "Meade LX200", "OBSERVER": "ada", "EXPTIME": 5.0, "IMAGETYP": "Light"}
    by_name: dict[str, Cards] = {
        "a": {"FILTER": "R", "INSTRUME": "QHY CCD QHY268M-2"},
        "b": {"FILTER": "RG610", "INSTRUME": "unknown"},
        "c": {"FILTER": "R", "IMAGETYP": "Dark", "EXPTIME": 6.0},
    }
    for name, more in by_name.items():
        write_frame(settings.data / "20220101" / f"{name}.fit", cards | more)
    ingest([settings.data], settings)
    assert rows(settings, SHOWN)[0][1:6] == ("Meade LX200", "ada", "QHY268M", "Cousins R", 562)
    table(tmp_path, REMAPPED)
    changed = remap(settings.model_copy(update={"names": tmp_path / "names.toml"}))
    assert changed == {"telescope": 3, "observer": 3, "instrument": 1, "filter": 3}
    assert rows(settings, SHOWN) == [
        ("20220101/a.fit", "Old Refractor", "Ada Lovelace", "Second QHY268M", "Rot", 600,
         "light, filter Rot, 5 s", []),
        ("20220101/b.fit", "Old Refractor", "Ada Lovelace", None, "Rot", 600, "light, 5 s", []),
        ("20220101/c.fit", "Old Refractor", "Ada Lovelace", None, "Rot", None, "dark, 6 s", []),
    ]  # fmt: skip
    remap(settings)
    assert [row[4:6] for row in rows(settings, SHOWN)] == [
        ("Cousins R", 562),
        ("RG610", None),
        ("Cousins R", None),
    ]
    assert "'RG610' is no filter" in rows(settings, SHOWN)[1][7][0]
