"""What people say of products stays, whatever ingest finds, until they take it back."""

from __future__ import annotations

import pytest

from ingest.load import Outcome, ingest
from ost_vo.access.actor import OPERATOR
from ost_vo.access.context import ANONYMOUS
from ost_vo.faults import NotFoundFault, UsageFault
from ost_vo.services import overrides, publishing
from ost_vo.services.archive import Archive
from ost_vo.settings import Settings
from ost_vo.store.connections import Database
from tests.ingest.frames import rows
from tests.targets.frames import M31, write_light

KIND = "SELECT exposure_type, dataproduct_subtype, obs_title FROM archive.products"
BAND = "SELECT dataproduct_type, em_min IS NULL FROM archive.products"
TARGET = "SELECT target_name, target_id IS NULL FROM archive.products"
IN_FIELD = "SELECT count(*) FROM archive.product_targets"


class Frame:
    """One file, and what people say of it."""

    def __init__(self, settings: Settings, opened: Archive) -> None:
        self._settings = settings
        self._opened = opened
        self._path = settings.data / "run" / "1.fits"

    def write(self, **cards: object) -> None:
        """Write it anew and take it in."""
        write_light(self._path, M31, **cards)
        report = ingest([self._settings.data], self._settings)
        assert report.counts[Outcome.UPDATED] + report.counts[Outcome.INGESTED] == 1

    def rename(self, name: str) -> None:
        self._path = self._path.rename(self._path.with_name(name))
        ingest([self._settings.data], self._settings)

    @property
    def identifier(self) -> str:
        return str(self.row("SELECT obs_publisher_did FROM archive.products")[0])

    def row(self, query: str) -> tuple[object, ...]:
        (row,) = rows(self._settings, query)
        return row

    def put(self, field: str, value: str) -> None:
        overrides.put(self._opened, ANONYMOUS, OPERATOR, [self.identifier], field, value)

    def clear(self, field: str | None = None) -> list[str]:
        return overrides.clear(self._opened.accounts_database, OPERATOR, [self.identifier], field)


@pytest.fixture
def frame(settings: Settings, opened: Archive) -> Frame:
    return Frame(settings, opened)


def test_the_exposure_type_of_people_stays(frame: Frame) -> None:
    frame.write(OBJECT="M 110", EXPTIME=60.0)
    assert frame.row(KIND) == ("light", "light", "light of M 110, 60 s")
    assert frame.row(IN_FIELD) == (1,)
    frame.put("exposure_type", "dark")
    assert frame.row(KIND) == ("dark", "dark", "dark of M 110, 60 s")
    # A dark frame has nothing in its field.
    assert frame.row(IN_FIELD) == (0,)
    frame.write(OBJECT="M 110", EXPTIME=90.0)
    assert frame.row(KIND) == ("dark", "dark", "dark of M 110, 90 s")
    frame.put("exposure_type", "flat")
    frame.write(OBJECT="M 110", IMAGETYP="Dark Frame", EXPTIME=90.0)
    assert frame.row(KIND)[0] == "flat"
    assert frame.clear() == [frame.identifier]
    assert frame.row(KIND) == ("dark", "dark", "dark, 90 s")
    assert frame.clear() == []


def test_the_word_is_kept_where_the_machine_says_the_same(frame: Frame) -> None:
    frame.write(IMAGETYP="Dark Frame")
    frame.put("exposure_type", "light")
    frame.write(IMAGETYP="Light Frame")
    frame.write(IMAGETYP="Flat Field")
    assert frame.row(KIND)[0] == "light"
    frame.clear("exposure_type")
    assert frame.row(KIND)[0] == "flat"


def test_spectroscopy_is_what_people_say(frame: Frame) -> None:
    frame.write(FILTER="B")
    assert frame.row(BAND) == ("image", False)
    frame.put("spectrograph", "DADOS")
    assert frame.row(BAND) == ("spectrum", True)
    frame.write(FILTER="V", EXPTIME=5.0)
    assert frame.row(BAND) == ("spectrum", True)
    frame.put("spectrograph", "none")
    assert frame.row(BAND) == ("image", False)
    frame.clear("spectrograph")
    assert frame.row(BAND) == ("image", False)


def test_the_target_of_people_stays(frame: Frame, opened: Archive) -> None:
    frame.write(OBJECT="EY UMa")
    assert frame.row(TARGET) == ("EY UMa", False)
    frame.put("target", "andromeda galaxy")
    assert frame.row(TARGET) == ("M 31", False)
    frame.write(OBJECT="NGC 891")
    assert frame.row(TARGET) == ("M 31", False)
    frame.put("target", "none")
    assert frame.row(TARGET) == (None, True)
    frame.write(OBJECT="NGC 891", EXPTIME=5.0)
    assert frame.row(TARGET) == (None, True)
    frame.rename("2.fits")
    assert frame.row(TARGET) == (None, True)
    (said,), _ = overrides.listing(opened.accounts_database, OPERATOR)
    assert (said.path, said.field, said.shown, said.automatic, said.user) == (
        "run/2.fits",
        "target",
        "none",
        "NGC 891",
        "(operator)",
    )
    frame.clear("target")
    assert frame.row(TARGET) == ("NGC 891", False)


def test_words_go_with_their_product(frame: Frame, accounts: Database) -> None:
    frame.write()
    identifier = frame.identifier
    frame.put("exposure_type", "flat")
    publishing.delete(accounts, OPERATOR, [identifier])
    assert overrides.listing(accounts, OPERATOR) == ([], None)
    with pytest.raises(NotFoundFault):
        overrides.clear(accounts, OPERATOR, [identifier])


@pytest.mark.parametrize(
    ("field", "value"),
    [("exposure_type", "fog"), ("spectrograph", "XSHOOTER"), ("privileges", "5"), ("target", "no such star")],
)
def test_what_cannot_be_said(frame: Frame, field: str, value: str) -> None:
    frame.write()
    with pytest.raises((UsageFault, NotFoundFault)):
        frame.put(field, value)
    assert frame.clear() == []


def test_pages_hold_whole_products(settings: Settings, opened: Archive, accounts: Database) -> None:
    for number in range(3):
        write_light(settings.data / "run" / f"{number}.fits", None, EXPTIME=float(number))
    ingest([settings.data], settings)
    names = [row[0] for row in rows(settings, "SELECT obs_publisher_did FROM archive.products ORDER BY 1")]
    overrides.put(opened, ANONYMOUS, OPERATOR, names, "exposure_type", "flat")
    overrides.put(opened, ANONYMOUS, OPERATOR, names, "spectrograph", "BACHES")
    first, after = overrides.listing(accounts, OPERATOR, limit=2)
    rest, end = overrides.listing(accounts, OPERATOR, after=after, limit=2)
    assert [len(first), len(rest), end] == [4, 2, None]
    only, _ = overrides.listing(accounts, OPERATOR, identifiers=names[:1], field="spectrograph")
    assert [said.value for said in only] == ["BACHES"]
