"""Targets that turn out to be one, or two; names; and catalogues that are asked again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs

import psycopg2
import pytest

from ingest.load import ingest
from ost_vo.access.actor import OPERATOR
from ost_vo.access.context import ANONYMOUS
from ost_vo.faults import ConflictFault, NotFoundFault, TransientFault, UsageFault
from ost_vo.services import overrides, targets
from ost_vo.services.archive import Archive
from ost_vo.services.simbad import Simbad
from ost_vo.services.targets import Described
from ost_vo.settings import Settings
from ost_vo.store.connections import Database
from tests.ingest.frames import rows
from tests.targets.frames import M31, write_light

FOUND = "SELECT path, target_name FROM archive.products ORDER BY path"
IDENTIFIER = "SELECT obs_publisher_did FROM archive.products WHERE path = %s"


@pytest.fixture
def ingested(settings: Settings) -> Settings:
    """Frames of EY UMa, of W Foo that nobody knows, and of M 31."""
    for number, name in enumerate(("EY UMa", "W Foo", "M 31", "w-foo")):
        write_light(settings.data / "run" / f"{number}.fits", None, OBJECT=name, EXPTIME=float(number))
    ingest([settings.data], settings)
    return settings


def names(settings: Settings) -> list[str]:
    return [name for _, name in rows(settings, FOUND)]


def described(opened: Archive, wanted: str | int) -> Described:
    """Return a target as the operator sees it."""
    number = targets.find(opened, ANONYMOUS, OPERATOR, str(wanted))
    return targets.get(opened, ANONYMOUS, OPERATOR, number)


def number(opened: Archive, name: str) -> int:
    return described(opened, name).target.target_id


def test_a_merged_target_keeps_its_number(ingested: Settings, opened: Archive, accounts: Database) -> None:
    foo, ey = number(opened, "W Foo"), number(opened, "EY UMa")
    targets.merge(accounts, OPERATOR, [foo], ey, "the same star")
    assert names(ingested) == ["EY UMa", "EY UMa", "M 31", "EY UMa"]
    assert described(opened, foo) == described(opened, "w foo") == described(opened, ey)
    assert described(opened, ey).aliases == ["EY UMa", "W Foo"]
    # What comes now under the name of old is of the same target.
    write_light(ingested.data / "run" / "5.fits", None, OBJECT="W_Foo")
    ingest([ingested.data], ingested)
    assert names(ingested)[4] == "EY UMa"
    # A merged target leads to the last one of a chain.
    m31 = number(opened, "M 31")
    targets.merge(accounts, OPERATOR, [ey], m31)
    assert described(opened, foo).target.target_name == "M 31"
    with pytest.raises(NotFoundFault):
        targets.merge(accounts, OPERATOR, [foo], m31)


def test_split_brings_back_what_was_merged(ingested: Settings, opened: Archive, accounts: Database) -> None:
    foo, ey = number(opened, "W Foo"), number(opened, "EY UMa")
    targets.merge(accounts, OPERATOR, [foo], ey)
    assert targets.split(accounts, OPERATOR, ey, ["w foo"]) == foo
    assert names(ingested) == ["EY UMa", "W Foo", "M 31", "W Foo"]
    assert described(opened, foo).aliases == ["W Foo"]
    assert described(opened, ey).aliases == ["EY UMa"]


def test_split_makes_a_target_of_a_name(ingested: Settings, opened: Archive, accounts: Database) -> None:
    ey = number(opened, "EY UMa")
    targets.add_alias(accounts, OPERATOR, ey, "NGC 891")
    write_light(ingested.data / "run" / "5.fits", None, OBJECT="NGC891")
    ingest([ingested.data], ingested)
    assert names(ingested)[4] == "EY UMa"
    new = targets.split(accounts, OPERATOR, ey, ["ngc 891"])
    assert names(ingested)[4] == "NGC 891"
    assert described(opened, new).target.resolved_by == "OpenNGC"


def test_refusals(ingested: Settings, opened: Archive, accounts: Database) -> None:
    ey, m31 = number(opened, "EY UMa"), number(opened, "M 31")
    for fault, act in (
        (UsageFault, lambda: targets.merge(accounts, OPERATOR, [ey], ey)),
        (UsageFault, lambda: targets.merge(accounts, OPERATOR, [], ey)),
        (ConflictFault, lambda: targets.merge(accounts, OPERATOR, [m31], ey)),
        (NotFoundFault, lambda: targets.merge(accounts, OPERATOR, [9999], ey)),
        (UsageFault, lambda: targets.split(accounts, OPERATOR, ey, ["EY UMa"])),
        (UsageFault, lambda: targets.split(accounts, OPERATOR, ey, ["W Foo"])),
        (UsageFault, lambda: targets.split(accounts, OPERATOR, ey, [])),
        (ConflictFault, lambda: targets.add_alias(accounts, OPERATOR, ey, "w-foo")),
        (UsageFault, lambda: targets.add_alias(accounts, OPERATOR, ey, "  ")),
        (ConflictFault, lambda: targets.add(accounts, OPERATOR, "Andromeda Galaxy")),
        (UsageFault, lambda: targets.remove_alias(accounts, OPERATOR, ey, "EY UMa")),
    ):
        with pytest.raises(fault):
            act()
    assert names(ingested) == ["EY UMa", "W Foo", "M 31", "W Foo"]


def test_a_removed_alias_is_anybodys(ingested: Settings, opened: Archive, accounts: Database) -> None:
    ey = number(opened, "EY UMa")
    targets.add_alias(accounts, OPERATOR, ey, "Variable")
    targets.add_alias(accounts, OPERATOR, ey, "variable")
    write_light(ingested.data / "run" / "5.fits", None, OBJECT="variable")
    ingest([ingested.data], ingested)
    targets.remove_alias(accounts, OPERATOR, ey, "VARIABLE")
    assert names(ingested)[4] == "EY UMa"
    assert described(opened, ey).aliases == ["EY UMa"]
    with pytest.raises(NotFoundFault):
        targets.find(opened, ANONYMOUS, OPERATOR, "Variable")


def test_words_of_people_follow_their_target(ingested: Settings, opened: Archive, accounts: Database) -> None:
    """Merged and split, a product stays with the target that somebody has linked it to."""
    foo, ey = number(opened, "W Foo"), number(opened, "EY UMa")
    ((product,),) = rows(ingested, IDENTIFIER, "run/2.fits")
    overrides.put(opened, ANONYMOUS, OPERATOR, [product], "target", "w foo")
    targets.merge(accounts, OPERATOR, [foo], ey)
    assert names(ingested) == ["EY UMa", "EY UMa", "EY UMa", "EY UMa"]
    targets.split(accounts, OPERATOR, ey, ["W Foo"])
    assert names(ingested) == ["EY UMa", "W Foo", "W Foo", "W Foo"]
    overrides.clear(accounts, OPERATOR, [product])
    assert names(ingested)[2] == "M 31"


def test_the_log_has_who_changed_what(ingested: Settings, opened: Archive, accounts: Database) -> None:
    foo, ey = number(opened, "W Foo"), number(opened, "EY UMa")
    targets.merge(accounts, OPERATOR, [foo], ey, "the same star")
    connection = psycopg2.connect(ingested.dsn("ost_accounts"))
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT actor, action, subject, old_value ->> 'merged_into', new_value ->> 'merged_into', reason"
            " FROM archive.audit WHERE action = 'targets update'"
        )
        assert cursor.fetchall() == [
            ("(operator)", "targets update", "W Foo", None, str(ey), "the same star")
        ]
        cursor.execute("SELECT count(*) FROM archive.audit WHERE action = 'targets insert'")
        assert cursor.fetchone() == (0,)
    connection.close()


def test_targets_of_an_archive_of_old_are_resolved(
    ingested: Settings, opened: Archive, accounts: Database
) -> None:
    """Before there were catalogues, a target was a name."""
    connection = psycopg2.connect(ingested.dsn("ost_owner"))
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "UPDATE archive.targets SET name = 'NGC 224', s_ra = NULL, s_dec = NULL, resolved_by = NULL,"
            " is_prominent = false WHERE name = 'M 31'"
        )
        cursor.execute("DELETE FROM archive.target_aliases WHERE key = 'm31'")
    connection.close()
    write_light(ingested.data / "run" / "5.fits", M31, OBJECT="EY UMa")
    done = list(targets.resolve(accounts, OPERATOR))
    assert [(d.target.target_name, d.catalogue) for d in done if d.catalogue] == [("NGC 224", "OpenNGC")]
    assert names(ingested)[2] == "M 31"
    assert described(opened, "Andromeda Galaxy").target.s_ra == pytest.approx(M31[0], abs=0.01)


class _Stub(BaseHTTPRequestHandler):
    """Answers as SIMBAD's TAP does, of what it knows."""

    known: ClassVar = dict.fromkeys(("W Foo", "EY UMa"), "V* QX  Foo,135.5,49.8,EB*,")
    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        name = form["QUERY"][0].split("id = '")[1].rstrip("'")
        self.asked.append(name)
        row = self.known.get(name, "")
        body = f"main_id,ra,dec,otype,galdim_majaxis\n{row}\n".encode()
        if name == "broken":
            body = b"<html>Down for maintenance</html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def simbad(settings: Settings) -> Iterator[Settings]:
    """The settings with a SIMBAD on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Stub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    _Stub.asked.clear()
    yield settings.model_copy(
        update={"simbad_url": f"http://127.0.0.1:{server.server_port}/", "simbad_seconds": 60.0}
    )
    server.shutdown()
    server.server_close()
    thread.join()


def test_simbad_is_asked_when_the_operator_says_so(
    simbad: Settings, ingested: Settings, opened: Archive, accounts: Database
) -> None:
    write_light(ingested.data / "run" / "5.fits", (135.45, 49.8), OBJECT="M 31")
    write_light(ingested.data / "run" / "6.fits", None, OBJECT="O'Neill")
    ingest([ingested.data], ingested)
    assert _Stub.asked == []
    list(targets.resolve(accounts, OPERATOR))
    assert _Stub.asked == []
    done = list(targets.resolve(accounts, OPERATOR, Simbad(simbad).ask))
    # What is in its query is a text, and nothing else.
    assert set(_Stub.asked) == {"EY UMa", "W Foo", "O''Neill"}
    assert [(d.target.target_name, d.catalogue) for d in done] == [
        ("EY UMa", "SIMBAD"),
        ("W Foo", "SIMBAD"),
        ("O'Neill", None),
    ]
    # Both are one star, and in the field of the fifth frame.
    found = described(opened, "W Foo").target
    assert (found.target_name, found.target_class, found.s_ra, found.s_dec) == ("EY UMa", "star", 135.5, 49.8)
    assert names(ingested) == ["EY UMa", "EY UMa", "M 31", "EY UMa", "M 31", "O'Neill"]
    in_field = rows(
        ingested, "SELECT path FROM archive.product_targets JOIN archive.products USING (product_id)"
    )
    assert in_field == [("run/5.fits",)]


def test_simbad_is_off_or_silent(simbad: Settings, settings: Settings) -> None:
    with pytest.raises(UsageFault, match="switched off"):
        Simbad(settings)
    with pytest.raises(TransientFault, match="something else"):
        Simbad(simbad).ask("broken")
    nobody = simbad.model_copy(update={"simbad_url": "http://127.0.0.1:9"})
    with pytest.raises(TransientFault, match="does not answer"):
        Simbad(nobody).ask("EY UMa")
