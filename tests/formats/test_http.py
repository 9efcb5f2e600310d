"""Formats, compression and examples as clients meet them."""

from __future__ import annotations

import gzip
import io
import json
import urllib.request

import lxml.html
import pyarrow.parquet
import pytest
import pyvo
import requests
import zstandard
from astropy.io.votable import parse
from astropy.table import Table
from lxml import etree

from ost_vo.services.examples import EXAMPLES
from ost_vo.services.formats import FORMATS
from tests.conftest import Service

QUERY = "SELECT * FROM ivoa.obscore ORDER BY obs_id"
XHTML = "{http://www.w3.org/1999/xhtml}"


def fetch(service: Service, path: str = "/tap/sync", encoding: str | None = None, **parameters: str):
    """Return a response whose body has not been decoded."""
    url = requests.Request("GET", f"{service.url}{path}", params=parameters).prepare().url
    assert url is not None
    headers = {} if encoding is None else {"Accept-Encoding": encoding}
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60)


def query(service: Service, form: str) -> requests.Response:
    parameters = {"LANG": "ADQL", "QUERY": QUERY, "RESPONSEFORMAT": form}
    response = requests.get(f"{service.url}/tap/sync", params=parameters, timeout=60)
    assert response.status_code == 200, response.text
    return response


def test_every_name_of_a_format_is_answered_with_the_type_asked_for(service: Service) -> None:
    for form in FORMATS:
        for alias in form.aliases:
            assert query(service, alias).headers["Content-Type"] == form.media_type
        for name in (form.media_type, *form.equals):
            assert query(service, name).headers["Content-Type"] == name


def test_format_is_another_name_of_responseformat(service: Service) -> None:
    response = fetch(service, LANG="ADQL", QUERY=QUERY, FORMAT="json")
    assert response.headers["Content-Type"] == "application/json"


def test_readers_find_every_product(service: Service) -> None:
    counts = {
        "votable/b": len(parse(io.BytesIO(query(service, "votable/b").content)).get_first_table().array),
        "fits": len(Table.read(io.BytesIO(query(service, "fits").content), hdu=1)),
        "parquet": pyarrow.parquet.read_table(io.BytesIO(query(service, "parquet").content)).num_rows,
        "json": len(query(service, "json").json()["data"]),
        "text": len(query(service, "text").text.splitlines()) - 4,
        "html": len(lxml.html.document_fromstring(query(service, "html").content).xpath("//tbody/tr")),
    }
    assert counts == dict.fromkeys(counts, service.products)


def test_formats_hold_the_same_values(service: Service) -> None:
    csv = Table.read(query(service, "csv").text, format="ascii.csv")
    table = pyarrow.parquet.read_table(io.BytesIO(query(service, "parquet").content))
    document = query(service, "json").json()
    names = [column["name"] for column in document["metadata"]]
    assert names == csv.colnames == table.column_names
    place = names.index("s_ra")
    expected = table["s_ra"].to_pylist()
    assert [row[place] for row in document["data"]] == expected
    fits = Table.read(io.BytesIO(query(service, "fits").content), hdu=1)
    assert [
        None if masked else value for value, masked in zip(fits["s_ra"], fits["s_ra"].mask, strict=True)
    ] == expected


def test_fits_by_an_asynchronous_job(service: Service) -> None:
    job = pyvo.dal.TAPService(f"{service.url}/tap").submit_job(QUERY, RESPONSEFORMAT="fits")
    try:
        job.run().wait(timeout=60)
        response = requests.get(job.result_uri, timeout=60)
        assert response.headers["Content-Type"] == "application/fits"
        assert len(Table.read(io.BytesIO(response.content), hdu=1)) == service.products
    finally:
        job.delete()


def test_a_query_that_fails_is_no_broken_fits_file(service: Service) -> None:
    failing = "SELECT 1 / (calib_level - calib_level) AS x FROM ivoa.obscore"
    for form in ("fits", "parquet", "json"):
        response = requests.get(
            f"{service.url}/tap/sync",
            params={"LANG": "ADQL", "QUERY": failing, "RESPONSEFORMAT": form},
            timeout=60,
        )
        assert response.status_code == 400
        assert "divides by zero" in response.text


def test_capabilities_name_the_formats_and_the_examples(service: Service) -> None:
    root = etree.fromstring(fetch(service, "/tap/capabilities").read())
    mimes = root.xpath("//outputFormat/mime/text()")
    assert mimes == [form.media_type for form in FORMATS]
    examples = root.xpath("//capability[@standardID='ivo://ivoa.net/std/DALI#examples']/interface/accessURL")
    assert [element.text for element in examples] == [f"{service.url}/tap/examples"]


@pytest.mark.parametrize(
    "form", ["votable/b2", "votable/td", "votable/b", "csv", "tsv", "json", "text", "html"]
)
@pytest.mark.parametrize(
    ("asked", "coding"), [("gzip", "gzip"), ("zstd", "zstd"), ("br, gzip;q=0.5", "gzip")]
)
def test_text_is_compressed_when_asked(service: Service, form: str, asked: str, coding: str) -> None:
    plain = fetch(service, LANG="ADQL", QUERY=QUERY, RESPONSEFORMAT=form)
    response = fetch(service, encoding=asked, LANG="ADQL", QUERY=QUERY, RESPONSEFORMAT=form)
    assert response.headers["Content-Encoding"] == coding
    assert response.headers["Content-Type"] == plain.headers["Content-Type"]
    assert "Accept-Encoding" in response.headers["Vary"]
    assert "Content-Length" not in response.headers
    body = response.read()
    decoded = (
        gzip.decompress(body)
        if coding == "gzip"
        else zstandard.ZstdDecompressor().decompressobj().decompress(body)
    )
    expected = plain.read()
    assert decoded == expected
    assert len(body) < len(expected) / 2


@pytest.mark.parametrize(
    "asked",
    [None, "", "identity", "*", "br", "gzip;q=0", "gzip;q=0.5, identity;q=0.8", "gzip;q=nonsense", "x-gzip2"],
)
def test_nothing_is_compressed_unasked(service: Service, asked: str | None) -> None:
    response = fetch(service, encoding=asked, LANG="ADQL", QUERY=QUERY)
    assert "Content-Encoding" not in response.headers
    assert "Accept-Encoding" in response.headers["Vary"]
    assert len(parse(io.BytesIO(response.read())).get_first_table().array) == service.products


@pytest.mark.parametrize("form", ["fits", "parquet"])
def test_binary_files_are_never_compressed(service: Service, form: str) -> None:
    response = fetch(service, encoding="gzip, zstd", LANG="ADQL", QUERY=QUERY, RESPONSEFORMAT=form)
    assert "Content-Encoding" not in response.headers


def test_files_of_the_archive_are_never_compressed(service: Service) -> None:
    parameters = {
        "LANG": "ADQL",
        "QUERY": "SELECT TOP 1 access_url FROM ost.products",
        "RESPONSEFORMAT": "json",
    }
    url = json.loads(fetch(service, **parameters).read())["data"][0][0]
    response = fetch(service, url.removeprefix(service.url), encoding="gzip")
    assert "Content-Encoding" not in response.headers
    assert response.headers["Accept-Ranges"] == "bytes"


def test_documents_of_the_service_are_compressed_unless_short(service: Service) -> None:
    tables = fetch(service, "/tap/tables", encoding="gzip")
    assert tables.headers["Content-Encoding"] == "gzip"
    etree.fromstring(gzip.decompress(tables.read()))
    assert "Content-Encoding" not in fetch(service, "/tap/availability", encoding="gzip").headers


def test_the_first_rows_do_not_wait_in_the_compressor(service: Service) -> None:
    """A result that never ends in the time of this test has brought rows already."""
    endless = (
        "SELECT a.column_name FROM tap_schema.columns AS a, tap_schema.columns AS b, tap_schema.columns AS c"
    )
    response = fetch(
        service, encoding="gzip", LANG="ADQL", QUERY=endless, RESPONSEFORMAT="csv", MAXREC="10000000"
    )
    inflated = gzip.GzipFile(fileobj=response)
    assert inflated.readline() == b"column_name\n"
    assert inflated.readline()
    response.close()


def test_a_result_of_a_job_has_ranges_or_is_compressed(service: Service) -> None:
    job = pyvo.dal.TAPService(f"{service.url}/tap").submit_job(QUERY, RESPONSEFORMAT="csv")
    try:
        job.run().wait(timeout=60)
        path = job.result_uri.removeprefix(service.url)
        response = fetch(service, path)
        whole = response.read()
        assert "Content-Encoding" not in response.headers
        assert response.headers["Accept-Ranges"] == "bytes"
        assert "Accept-Encoding" in response.headers["Vary"]
        assert int(response.headers["Content-Length"]) == len(whole)
        packed = fetch(service, path, encoding="gzip")
        assert packed.headers["Content-Encoding"] == "gzip"
        assert packed.headers["Vary"].count("Accept-Encoding") == 1
        assert "Accept-Ranges" not in packed.headers
        assert gzip.decompress(packed.read()) == whole
        # A client that has the beginning of one of the two cannot go on with the other.
        assert packed.headers["ETag"] == f"W/{response.headers['ETag']}"
        headers = {"Accept-Encoding": "gzip", "Range": "bytes=10-19"}
        part = requests.get(job.result_uri, headers=headers, timeout=60)
        assert (part.status_code, part.content) == (206, whole[10:20])
        assert "Content-Encoding" not in part.headers
        mixed = requests.get(
            job.result_uri, headers={**headers, "If-Range": packed.headers["ETag"]}, timeout=60
        )
        assert (mixed.status_code, mixed.content) == (200, whole)
    finally:
        job.delete()


def test_examples_are_rdfa_in_xhtml(service: Service) -> None:
    response = fetch(service, "/tap/examples")
    assert response.headers["Content-Type"] == "application/xhtml+xml"
    root = etree.fromstring(response.read())
    assert root.tag == f"{XHTML}html"
    (body,) = root.xpath("//*[@vocab='http://www.ivoa.net/rdf/examples#']")
    found = body.xpath(".//*[@typeof='example']")
    assert len({element.get("id") for element in found}) == len(found) == len(EXAMPLES)
    for element, example in zip(found, EXAMPLES, strict=True):
        assert element.get("resource") == f"#{element.get('id')}"
        assert element.xpath("string(.//*[@property='name'])") == example.name
        assert element.xpath("string(.//*[@property='query'])") == example.query
        link = element.xpath(".//@href")[0]
        assert requests.get(link, timeout=60).headers["Content-Type"].startswith("text/html")


def test_every_example_runs_in_a_client(service: Service) -> None:
    examples = pyvo.dal.TAPService(f"{service.url}/tap").examples
    assert len(examples) == len(EXAMPLES)
    for example, query in zip(EXAMPLES, examples, strict=True):
        result = query.execute()
        assert len(result.fieldnames) > 1
        assert len(result) > 0 or example.id in ("cone", "covering", "latest", "conditions")
