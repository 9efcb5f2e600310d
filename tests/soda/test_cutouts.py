"""Cutouts over HTTP: pixels, positions and headers against those of the whole files."""

from __future__ import annotations

import io
import warnings

import numpy as np
import psycopg2
import pytest
import pyvo
import requests
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.votable import parse
from astropy.wcs import WCS, FITSFixedWarning

from tests.conftest import Service, execute
from tests.soda.conftest import CUBE, RUN, SERIES, SIP, header, pixels

CIRCLE = "10.02 41.03 0.02"


def ask(service: Service, identifier: str, **parameters: object) -> requests.Response:
    return requests.post(f"{service.url}/soda/sync", data={"ID": identifier, **parameters}, timeout=60)


def opened(answer: requests.Response) -> fits.HDUList:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "image/fits"
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    hdus = fits.open(io.BytesIO(answer.content))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hdus.verify("exception")
    return hdus


def wcs(of: fits.Header) -> WCS:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        return WCS(of).celestial


def check(part: fits.ImageHDU, whole: np.ndarray, original: fits.Header) -> tuple[int, int]:
    """Compare a cutout with the image that it is of, and return where it begins."""
    rows, columns = part.data.shape[-2:]
    here, there = wcs(part.header), wcs(original)
    corners = [(0, 0), (columns - 1, 0), (columns - 1, rows - 1), (0, rows - 1)]
    sky = [here.pixel_to_world(x, y) for x, y in corners]
    x0, y0 = (round(float(value)) for value in there.world_to_pixel(sky[0]))
    for (x, y), position in zip(corners, sky, strict=True):
        assert position.separation(there.pixel_to_world(x + x0, y + y0)).deg < 1e-6
    np.testing.assert_array_equal(part.data, whole[..., y0 : y0 + rows, x0 : x0 + columns])
    return x0, y0


def expected_box(original: fits.Header, shape: tuple[int, int], circle: str) -> tuple[int, int, int, int]:
    """Return the box of the pixels whose centres, looked at one by one, are in a circle."""
    longitude, latitude, radius = map(float, circle.split())
    y, x = np.indices(shape)
    sky = wcs(original).pixel_to_world(x, y)
    inside = sky.separation(SkyCoord(longitude, latitude, unit="deg")).deg <= radius
    ys, xs = np.nonzero(inside)
    return xs.min(), xs.max() + 1, ys.min(), ys.max() + 1


@pytest.mark.parametrize("name", ["sip", "packed", "tiled", "hostile"])
def test_a_circle_is_cut_out_with_distortions(service: Service, made: dict[str, str], name: str) -> None:
    part = opened(ask(service, made[name], CIRCLE=CIRCLE))[-1]
    original = header(SIP)
    if name == "hostile":
        assert part.header["PLTRAH"] == "oops"
        for keyword in ("PLTRAH", "XPIXELSZ", "CNPIX1", "PV1_1"):  # this process is to live on
            del part.header[keyword]
    x0, y0 = check(part, pixels(200, 300), original)
    box = expected_box(original, (200, 300), CIRCLE)
    rows, columns = part.data.shape
    # A pixel that the circle meets may have its centre outside.
    for given, wanted in zip(
        (x0, -x0 - columns, y0, -y0 - rows), (box[0], -box[1], box[2], -box[3]), strict=True
    ):
        assert wanted - 1 <= given <= wanted


def test_the_header_is_kept_and_says_where_it_comes_from(service: Service, made: dict[str, str]) -> None:
    (part,) = opened(ask(service, made["sip"], CIRCLE=CIRCLE))
    changed = {"NAXIS1", "NAXIS2", "CRPIX1", "CRPIX2", "CRPIX1A", "CRPIX2A", "LTV1", "LTV2"}
    original = fits.getheader(service.settings.data / RUN / "sip.fits")
    for card in original.cards:
        if card.keyword not in changed | {"CHECKSUM", "DATASUM"}:
            assert str(part.header.cards[card.keyword]) == str(card)
    shift = original["CRPIX1"] - part.header["CRPIX1"]
    assert part.header["CRPIX1A"] == 1 - shift
    assert part.header["LTV1"] == -shift
    assert "CHECKSUM" not in part.header
    history = "".join(part.header["HISTORY"]).replace(" ", "")
    assert made["sip"] in history
    assert f"CIRCLE={CIRCLE}".replace(" ", "") in history


@pytest.mark.parametrize(
    "region",
    [
        {"POS": f"CIRCLE {CIRCLE}"},
        {"POS": "RANGE 10 10.04 41.01 41.05"},
        {"POS": "POLYGON 10 41 10.05 41 10.05 41.05"},
        {"POLYGON": "10 41 10.05 41 10.05 41.05"},
        {"POS": "CIRCLE 10 41 90"},
        {"CIRCLE": "10.02 41.03 0"},
        {"CIRCLE": "10.2 41 0.1"},
    ],
)
def test_every_shape_gives_its_pixels(service: Service, made: dict[str, str], region: dict[str, str]) -> None:
    (part,) = opened(ask(service, made["sip"], **region))
    check(part, pixels(200, 300), header(SIP))
    if "90" in next(iter(region.values())):
        assert part.data.shape == (200, 300)
    if region.get("CIRCLE", "").endswith(" 0"):
        assert part.data.shape == (1, 1)


def test_every_image_that_overlaps_comes(service: Service, made: dict[str, str]) -> None:
    image = pixels(200, 300)
    one = opened(ask(service, made["many"], CIRCLE="10.1 41 0.01"))
    assert [hdu.name for hdu in one] == ["PRIMARY", "EAST"]
    assert one[0].header["OBSERVER"] == "A. N. Other"
    assert one[1].data.dtype.kind == "f"
    check(one[1], image, header(SIP))
    both = opened(ask(service, made["many"], POS="RANGE 9.5 10.3 40.99 41.01"))
    assert [hdu.name for hdu in both] == ["PRIMARY", "EAST", "WEST"]
    check(both[2], image, header(SIP, CRPIX1=-169.5))


def test_a_cube_is_cut_along_all_its_axes(service: Service, made: dict[str, str]) -> None:
    whole = pixels(4, 20, 16, 18)
    parameters = {"CIRCLE": "83.8 -5.4 0.002", "BAND": "503.6e-9 507.2e-9", "POL": "U"}
    (part,) = opened(ask(service, made["cube"], **parameters))
    assert part.data.shape[:2] == (1, 4)
    spectrum = WCS(part.header).spectral
    np.testing.assert_allclose(spectrum.pixel_to_world(np.arange(4)).to_value(units.nm), [504, 505, 506, 507])
    assert WCS(part.header).sub([4]).wcs_pix2world([0], 0)[0][0] == 3
    check(part, whole[2:3, 4:8], header(CUBE))


def test_the_demo_cube_is_cut_by_wavelength(service: Service) -> None:
    identifier, path = _product(service, "path LIKE '%_cube.fits'")
    original = fits.open(service.settings.data / path)[0]
    middle = original.header["CRVAL3"] + 5 * original.header["CDELT3"]
    (part,) = opened(ask(service, identifier, BAND=f"{middle * 1e-10 * 1.00028}"))
    assert part.data.shape[0] in (1, 2)
    assert part.data.shape[1:] == original.data.shape[1:]


@pytest.mark.parametrize("suffix", ["fits", "fits.gz"])
def test_the_demo_night_is_cut(service: Service, suffix: str) -> None:
    identifier, path = _product(
        service, f"path LIKE '%.{suffix}' AND s_region IS NOT NULL AND em_xel IS NULL"
    )
    with fits.open(service.settings.data / path) as hdus:
        whole = hdus[-1]
        data = whole.data.copy()
        rows, columns = data.shape
        place = wcs(whole.header).pixel_to_world(columns / 3, rows / 2)
        part = opened(ask(service, identifier, CIRCLE=f"{place.ra.deg} {place.dec.deg} 0.01"))[-1]
        x0, y0 = check(part, data, whole.header)
    assert x0 <= columns / 3 <= x0 + part.data.shape[1]
    assert y0 <= rows / 2 <= y0 + part.data.shape[0]
    assert part.data.size < data.size


@pytest.mark.parametrize(
    "parameters",
    [
        {"CIRCLE": "190 -41 1"},
        {"CIRCLE": "10.5 41 0.1"},
        {"TIME": "50000 50001"},
        {"POS": "POLYGON 200 10 201 10 201 11"},
    ],
)
def test_without_overlap_there_is_no_content(
    service: Service, made: dict[str, str], parameters: dict[str, str]
) -> None:
    answer = ask(service, made["sip"], **parameters)
    assert answer.status_code == 204
    assert not answer.content


def test_bands_and_states_that_a_cube_has_not(service: Service, made: dict[str, str]) -> None:
    assert ask(service, made["cube"], BAND="1e-6 2e-6").status_code == 204
    assert ask(service, made["cube"], POL="XX").status_code == 204


def test_a_series_is_cut_by_time(service: Service, made: dict[str, str]) -> None:
    second = 1 / 86_400
    begin = 61085.5 - 69.184 * second
    whole = pixels(9, 16, 18)
    (part,) = opened(ask(service, made["series"], TIME=f"{begin + 16 * second!r} {begin + 34 * second!r}"))
    np.testing.assert_array_equal(part.data, whole[2:4])
    assert part.header["CRPIX3"] == -1
    assert ask(service, made["series"], TIME=f"{begin + 86 * second!r} +Inf").status_code == 204
    (part,) = opened(ask(service, made["series"], TIME=f"-Inf {begin!r}", CIRCLE="83.8 -5.4 0.002"))
    assert part.data.shape[0] == 1
    check(part, whole[:1], header(SERIES))


def test_times_are_compared_with_those_that_the_archive_knows(service: Service, made: dict[str, str]) -> None:
    query = "SELECT t_min, t_max FROM archive.products WHERE obs_publisher_did = %s"
    owner = service.settings.dsn("ost_owner")
    ((begin, end),) = execute(owner, query, made["many"])
    assert ask(service, made["many"], TIME=f"{begin - 1} {end + 1}", CIRCLE=CIRCLE).status_code == 200
    assert ask(service, made["many"], TIME=f"{end + 1} +Inf", CIRCLE=CIRCLE).status_code == 204
    # Of the cube no time is known.
    assert execute(owner, query, made["cube"]) == [(None, None)]
    assert ask(service, made["cube"], TIME="50000 50001", POL="I").status_code == 200


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"ID": ""}, "UsageError"),
        ({"CIRCLE": "10 41"}, "UsageError"),
        ({"CIRCLE": "10 41 x"}, "UsageError"),
        ({"POLYGON": "10 41 11 41"}, "UsageError"),
        ({"POS": "BOX 1 2 3 4"}, "UsageError"),
        ({"BAND": "2 1"}, "UsageError"),
        ({"TIME": "now"}, "UsageError"),
        ({"POL": "Z"}, "UsageError"),
        ({"RESPONSEFORMAT": "image/tiff"}, "UsageError"),
        ({"ID": ["a", "b"]}, "MultiValuedParamNotSupported"),
        ({"CIRCLE": ["1 2 3", "2 3 4"]}, "MultiValuedParamNotSupported"),
        ({"CIRCLE": "1 2 3", "POS": "CIRCLE 1 2 3"}, "MultiValuedParamNotSupported"),
        ({"BAND": ["1", "2"]}, "MultiValuedParamNotSupported"),
    ],
)
def test_what_is_wrong_is_said_in_text(
    service: Service, made: dict[str, str], parameters: dict[str, object], code: str
) -> None:
    answer = requests.post(f"{service.url}/soda/sync", data={"ID": made["sip"], **parameters}, timeout=60)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text.startswith(f"{code}: ")


@pytest.mark.parametrize("endpoint", ["sync", "async"])
@pytest.mark.parametrize(
    ("prefix", "headers", "status", "code"),
    [
        ("", {"Authorization": "Bearer nonsense"}, 401, "AuthenticationError"),
        ("/context/OST/9", {}, 400, "UsageError"),
        ("/context/OST/1", {}, 401, "AuthenticationError"),
    ],
)
def test_who_may_not_ask_is_told_in_the_same_way(
    service: Service, endpoint: str, prefix: str, headers: dict[str, str], status: int, code: str
) -> None:
    url = f"{service.url}{prefix}/soda/{endpoint}"
    answer = requests.post(url, data={"ID": "x"}, headers=headers, timeout=60)
    assert (answer.status_code, answer.text.split(":")[0]) == (status, code)


def test_a_region_needs_positions(service: Service, made: dict[str, str]) -> None:
    answer = ask(service, made["nowhere"], CIRCLE=CIRCLE)
    assert answer.status_code == 400
    assert answer.text.startswith("UsageError: The images of this file have no positions")


def test_what_one_may_not_see_does_not_exist(service: Service, made: dict[str, str]) -> None:
    absent = ask(service, made["sip"] + "x", CIRCLE=CIRCLE)
    _owner(service, "UPDATE archive.products SET privileges = 2 WHERE obs_publisher_did = %s", made["sip"])
    try:
        hidden = ask(service, made["sip"], CIRCLE=CIRCLE)
        assert hidden.status_code == absent.status_code == 404
        assert hidden.text == absent.text.replace(made["sip"] + "x", made["sip"])
    finally:
        _owner(
            service, "UPDATE archive.products SET privileges = 5 WHERE obs_publisher_did = %s", made["sip"]
        )


def test_a_picture_has_the_pixels_of_the_cutout(service: Service, made: dict[str, str]) -> None:
    from PIL import Image

    answer = ask(service, made["sip"], CIRCLE=CIRCLE, RESPONSEFORMAT="image/png")
    assert answer.headers["Content-Type"] == "image/png"
    picture = np.asarray(Image.open(io.BytesIO(answer.content)), float)
    (part,) = opened(ask(service, made["sip"], CIRCLE=CIRCLE))
    assert picture.shape == part.data.shape
    # The first row of FITS is at the bottom.
    assert np.corrcoef(picture[::-1].ravel(), part.data.astype(float).ravel())[0, 1] > 0.8


def test_links_describe_the_cutouts_of_a_file(service: Service, made: dict[str, str]) -> None:
    answer = requests.get(f"{service.url}/datalink/links", params={"ID": made["sip"]}, timeout=60)
    document = parse(io.BytesIO(answer.content), verify="exception")
    (row,) = (row for row in document.get_first_table().array if row["semantics"] == "#cutout")
    (service_def,) = (resource for resource in document.resources if row["service_def"] == resource.ID)
    described = {param.name: param for param in service_def.groups[0].entries}
    assert described["ID"].value == made["sip"]
    circle = [float(value) for value in described["CIRCLE"].values.max]
    assert circle[2] > 0.1
    assert abs(circle[0] - 10) < 0.1
    assert ask(service, made["sip"], CIRCLE=" ".join(map(str, circle))).status_code == 200
    polygon = " ".join(str(value) for value in described["POLYGON"].values.max)
    assert ask(service, made["sip"], POLYGON=polygon).status_code == 200
    time = " ".join(
        str(np.ravel(limit)[0]) for limit in (described["TIME"].values.min, described["TIME"].values.max)
    )
    assert ask(service, made["sip"], TIME=time).status_code == 200


def test_pyvo_finds_and_uses_the_service(service: Service, made: dict[str, str]) -> None:
    found = pyvo.dal.SIA2Service(f"{service.url}/sia").search(
        pos=(10 * units.deg, 41 * units.deg, 0.05 * units.deg)
    )
    (record,) = (row for row in found if row["obs_publisher_did"] == made["sip"])
    circle = (10.02 * units.deg, 41.03 * units.deg, 0.02 * units.deg)
    (part,) = fits.open(io.BytesIO(record.processed(circle=circle).read()))
    check(part, pixels(200, 300), header(SIP))
    links = pyvo.dal.adhoc.DatalinkResults.from_result_url(f"{service.url}/datalink/links?ID={made['sip']}")
    (cutout,) = (link for link in links if link.semantics == "#cutout")
    stream = cutout.process(circle=circle)
    check(fits.open(io.BytesIO(stream.read()))[0], pixels(200, 300), header(SIP))


def test_the_service_describes_itself(service: Service) -> None:
    answer = requests.get(f"{service.url}/soda/capabilities", timeout=60)
    assert 'standardID="ivo://ivoa.net/std/SODA#sync-1.0"' in answer.text
    assert requests.get(f"{service.url}/soda/availability", timeout=60).status_code == 200


def _product(service: Service, condition: str) -> tuple[str, str]:
    connection = psycopg2.connect(service.settings.dsn("ost_owner"))
    with connection, connection.cursor() as cursor:
        cursor.execute(
            f"SELECT obs_publisher_did, path FROM archive.products WHERE {condition}"
            f" AND path NOT LIKE '{RUN}/%' ORDER BY path LIMIT 1"
        )
        row = cursor.fetchone()
    connection.close()
    return row


def _owner(service: Service, statement: str, *parameters: str) -> None:
    connection = psycopg2.connect(service.settings.dsn("ost_owner"))
    with connection, connection.cursor() as cursor:
        cursor.execute(statement, parameters)
    connection.close()
