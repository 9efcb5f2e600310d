"""Uploads in other formats than VOTable: FITS, CSV, Parquet, and what is compressed."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import requests
from astropy.io import fits
from astropy.table import Table

from tests.conftest import Service
from tests.uploads.test_uploads import DOCUMENT, asked, read, sky, written

ALL = "SELECT * FROM TAP_UPLOAD.t"


def table_of(service: Service, document: bytes, query: str = ALL) -> Table:
    return read(asked(service, query, t=document)).get_first_table().to_table()


def fields_of(service: Service, document: bytes) -> dict[str, tuple[str, str | None, str | None]]:
    found = read(asked(service, ALL, t=document)).get_first_table()
    return {item.name: (item.datatype, item.arraysize, item.xtype) for item in found.fields}


def fits_file(columns: list[fits.Column]) -> bytes:
    file = io.BytesIO()
    image, table = fits.ImageHDU(np.zeros((3, 4))), fits.BinTableHDU.from_columns(columns)
    # astropy itself would not write the numbers as they are.
    table.header["XSCAL9"], table.header["XZERO9"] = 0.5, 10
    fits.HDUList([fits.PrimaryHDU(), image, table]).writeto(file)
    return file.getvalue().replace(b"XSCAL9", b"TSCAL9").replace(b"XZERO9", b"TZERO9")


def parquet_file(table: pa.Table, **options: object) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file, **options)
    return file.getvalue()


FITS_COLUMNS = [
    fits.Column("flag", "L", array=np.array([True, False])),
    fits.Column("byte", "B", array=np.array([0, 255], np.uint8)),
    fits.Column("short", "I", null=-1, array=np.array([7, -1], np.int16)),
    fits.Column("unsigned", "I", bzero=2**15, array=np.array([0, 65535], np.uint16)),
    fits.Column("int", "J", unit="s", array=np.array([-(2**31), 5], np.int32)),
    fits.Column("long", "K", array=np.array([2**62, -(2**62)], np.int64)),
    fits.Column("float", "E", unit="mag", array=np.array([1.5, np.nan], np.float32)),
    fits.Column("double", "D", array=np.array([1e300, -np.inf])),
    fits.Column("scaled", "I", array=np.array([2, -1], np.int16)),
    fits.Column("text", "8A", array=np.array(["one", ""])),
    fits.Column("pair", "2D", array=np.array([[1.0, 2.0], [3.0, 4.0]])),
    fits.Column("some", "PJ()", array=np.array([[1, 2, 3], [4]], dtype=object)),
]


def test_a_fits_table_comes_back(service: Service) -> None:
    document = fits_file(FITS_COLUMNS)
    found = table_of(service, document)
    assert list(found["flag"]) == [True, False]
    assert list(found["byte"]) == [0, 255]
    assert found["short"][0] == 7
    assert found["short"].mask[1]
    assert list(found["unsigned"]) == [0, 65535]
    assert list(found["int"]) == [-(2**31), 5]
    assert found["int"].unit == "s"
    assert list(found["long"]) == [2**62, -(2**62)]
    assert found["float"][0] == 1.5
    assert found["float"].mask[1]
    assert list(found["double"]) == [1e300, -np.inf]
    assert list(found["scaled"]) == [11.0, 9.5]
    assert found["text"][0] == "one"
    assert np.array_equal(found["pair"][1], [3.0, 4.0])
    assert [list(each) for each in found["some"]] == [[1, 2, 3], [4]]
    assert fields_of(service, document)["unsigned"][0] == "int"


def test_fits_results_can_be_uploaded_again(service: Service) -> None:
    first = asked(service, "SELECT * FROM ivoa.obscore", "fits")
    assert first.status_code == 200
    found = table_of(service, first.content, "SELECT s_ra, s_dec, obs_id FROM TAP_UPLOAD.t WHERE s_ra > 0")
    assert len(found)


CSV = '''\
name,flag, n ,x,code,empty,ra,dec
"a, ""b""",true,1,1,007,,10.5,+05.25
,FALSE,-2,2.5e3,010,,11, -00.5
\u03b1,,,NaN,9,,,
'''


def test_types_of_csv_are_those_of_all_values(service: Service) -> None:
    document = CSV.encode()
    kinds = {name: kind for name, (kind, _, _) in fields_of(service, document).items()}
    assert kinds == {
        "name": "unicodeChar",
        "flag": "boolean",
        "n": "long",
        "x": "double",
        "code": "unicodeChar",
        "empty": "unicodeChar",
        "ra": "double",
        "dec": "double",
    }
    found = table_of(service, document)
    assert list(found["name"]) == ['a, "b"', "", "\u03b1"]
    assert list(found["n"][:2]) == [1, -2]
    assert found["n"].mask[2]
    assert list(found["x"][:2]) == [1.0, 2500.0]
    assert list(found["code"]) == ["007", "010", "9"]
    assert list(found["dec"][:2]) == [5.25, -0.5]


def test_types_of_csv_need_the_last_row(service: Service) -> None:
    rows = "".join(f"{i}\t{i}\n" for i in range(400_000))
    document = f"a\tb\n{rows}0.5\tx\n".encode()
    kinds = [kind for kind, _, _ in fields_of(service, document).values()]
    assert kinds == ["double", "unicodeChar"]


def test_results_as_csv_can_be_uploaded_again(service: Service) -> None:
    query = "SELECT obs_id, s_ra, s_dec, calib_level FROM ivoa.obscore ORDER BY obs_id, s_ra"
    first = asked(service, query, "csv").content
    query = "SELECT obs_id, s_ra, s_dec, calib_level FROM TAP_UPLOAD.t ORDER BY obs_id, s_ra"
    assert asked(service, query, "csv", t=first).content == first


def parquet_table() -> pa.Table:
    return pa.table(
        {
            "flag": pa.array([True, None]),
            "u1": pa.array([255, None], pa.uint8()),
            "u4": pa.array([2**32 - 1, 0], pa.uint32()),
            "i8": pa.array([-(2**63), None]),
            "f4": pa.array([1.5, float("nan")], pa.float32()),
            "f8": pa.array([float("inf"), None]),
            "s": pa.array(['\u03b1\n,"', ""]),
            "d": pa.array(["x", "y"]).dictionary_encode(),
            "t": pa.array([1_700_000_000_500, None], pa.timestamp("ms")),
            "l": pa.array([[1, 2], [3, None]], pa.list_(pa.int16())),
            "p": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float64(), 2)),
        }
    )


def test_a_parquet_table_comes_back(service: Service) -> None:
    document = parquet_file(parquet_table())
    fields = fields_of(service, document)
    assert fields["u1"] == ("unsignedByte", None, None)
    assert fields["u4"] == ("long", None, None)
    assert fields["t"] == ("char", "*", "timestamp")
    assert fields["p"] == ("double", "2", None)
    found = table_of(service, document)
    assert found["u1"][0] == 255
    assert found["u4"][0] == 2**32 - 1
    assert found["i8"][0] == -(2**63)
    assert list(found["s"]) == ['\u03b1\n,"', ""]
    assert list(found["d"]) == ["x", "y"]
    assert found["t"][0] == "2023-11-14T22:13:20.500"
    assert list(found["l"][0]) == [1, 2]
    assert list(found["p"][1]) == [3.0, 4.0]
    assert all(found[name].mask[1] for name in ("u1", "i8", "f4", "f8"))


def test_parquet_with_metadata_of_a_votable_keeps_it(service: Service) -> None:
    query = "SELECT obs_id, s_ra, t_min, obs_release_date FROM ivoa.obscore"
    first = asked(service, query, "parquet").content
    given = read(asked(service, query)).get_first_table().fields
    back = read(asked(service, ALL, t=first)).get_first_table().fields
    for one, other in zip(given, back, strict=True):
        for attribute in ("name", "datatype", "arraysize", "unit", "ucd", "utype", "xtype", "description"):
            assert getattr(one, attribute) == getattr(other, attribute), one.name


@pytest.mark.parametrize("kind", ["votable", "fits", "csv"])
def test_gzip_is_unpacked(service: Service, kind: str) -> None:
    plain = {"votable": DOCUMENT.encode(), "fits": fits_file(FITS_COLUMNS), "csv": CSV.encode()}[kind]
    name = {"votable": "t1", "fits": "t", "csv": "t"}[kind]
    count = f"SELECT COUNT(*) AS n FROM TAP_UPLOAD.{name}"
    packed, usual = (asked(service, count, "csv", **{name: each}) for each in (gzip.compress(plain), plain))
    assert packed.status_code == 200, packed.text
    assert packed.text == usual.text


def million(kind: str) -> bytes:
    table, file = sky(1_000_000), io.BytesIO()
    arrow = pa.table({name: np.asarray(table[name]) for name in table.colnames})
    if kind == "parquet":
        return parquet_file(arrow)
    if kind == "csv":
        pyarrow.csv.write_csv(arrow, file)
    else:
        table.write(file, format="fits")
    return file.getvalue()


@pytest.mark.parametrize("kind", ["fits", "csv", "parquet"])
def test_a_million_rows(service: Service, kind: str) -> None:
    found = table_of(service, million(kind), "SELECT COUNT(*) AS n, MAX(number) AS m FROM TAP_UPLOAD.t")
    assert tuple(found[0]) == (1_000_000, 999_999)


def broken(columns: dict[str, pa.Array]) -> bytes:
    return parquet_file(pa.table(columns))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"", "The upload t is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "The upload t is binary data"),
        (b"a,b\n1,2\n3\n", "Row 2 of the table t has 1 values for 2 columns"),
        (b"a,b\n1,2\n3,\xff\n", "Line 3 of the table t is not in UTF-8"),
        (b"a,b\n", "The table t has no rows"),
        (b'{"a": 1}', "no header line"),
        (gzip.compress(b"a\n1\n" * 1000, mtime=0)[:-20], "damaged gzip"),
        (b"SIMPLE  = nothing", "is damaged"),
        (fits.PrimaryHDU().header.tostring().encode(), "without a binary table"),
        (fits_file(FITS_COLUMNS)[:-2880], "ends before row"),
        (parquet_file(parquet_table())[:-10], "no readable Parquet"),
        (broken({"x": pa.array([b"1"])}), "Column x of the table t has the type binary"),
        (broken({"x": pa.array([2**64 - 1], pa.uint64())}), "Column x of the table t, rows 1 to 1"),
        (broken({"t": pa.array(["a\0b"])}), "Row 1"),
    ],
)
def test_errors_say_where(service: Service, document: bytes, message: str) -> None:
    response = asked(service, "SELECT COUNT(*) AS n FROM TAP_UPLOAD.t", t=document)
    assert response.status_code == 400, response.text
    assert message in response.text


def test_a_bomb_is_refused(service: Service) -> None:
    packed = gzip.compress(bytes(2**20)) * 600
    response = asked(service, ALL, t=packed)
    assert response.status_code == 400
    assert "when unpacked" in response.text


def test_the_format_is_told_by_the_content_alone(service: Service) -> None:
    form = {"LANG": "ADQL", "QUERY": "SELECT COUNT(*) AS n FROM TAP_UPLOAD.t", "UPLOAD": "t,param:p"}
    document = written(sky(3))
    files = {"p": ("table.csv", document, "text/csv")}
    response = requests.post(f"{service.url}/tap/sync", data=form, files=files, timeout=60)
    assert read(response).get_first_table().array["n"][0] == 3
