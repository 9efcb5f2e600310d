"""From what files say of where they looked to targets, in the database."""

from __future__ import annotations

from contextlib import closing

import psycopg2
from astropy.coordinates import get_body, solar_system_ephemeris
from astropy.time import Time

from ingest.load import Outcome, ingest
from ost_vo.access.actor import OPERATOR
from ost_vo.services import targets
from ost_vo.settings import Settings
from ost_vo.store.connections import Database
from ost_vo.store.products import transaction
from ost_vo.store.targets import Sighting, Targets, look_again
from tests.ingest.frames import rows
from tests.targets.frames import M31, write_light

TARGETS = "SELECT name, target_class, s_ra IS NOT NULL, resolved_by FROM archive.targets ORDER BY name"
FOUND = "SELECT path, target_name FROM archive.products ORDER BY path"
IN_FIELD = """
SELECT t.name FROM archive.product_targets l JOIN archive.products p USING (product_id)
    JOIN archive.targets t ON t.target_id = l.target_id WHERE path = %s ORDER BY separation
"""
DOUBTS = "SELECT reason FROM archive.discrepancies WHERE keyword = 'TARGET'"
TIME = "2022-09-26T22:00:00"


def body_at(name: str, time: str) -> tuple[float, float]:
    """Return where a body is, right ascension and declination [deg]."""
    with solar_system_ephemeris.set("builtin"):
        found = get_body(name, Time(time))
    return float(found.ra.deg), float(found.dec.deg)


def test_all_names_of_an_object_are_one_target(settings: Settings) -> None:
    for number, name in enumerate(("M31", "ngc_224", "Andromeda Galaxy", "messier 31")):
        write_light(settings.data / "run" / f"{number}.fits", None, OBJECT=name)
    ingest([settings.data], settings)
    assert rows(settings, FOUND) == [(f"run/{n}.fits", "M 31") for n in range(4)]
    assert rows(settings, TARGETS) == [("M 31", "galaxy", True, "OpenNGC")]
    assert [row[0] for row in rows(settings, "SELECT target_alias FROM archive.products ORDER BY path")] == [
        "M 31",
        "NGC 224",
        "Andromeda Galaxy",
        "M 31",
    ]


def test_unknown_names_are_kept_in_all_their_spellings(settings: Settings) -> None:
    write_light(settings.data / "run" / "1.fits", M31, OBJECT="ey-uma")
    write_light(settings.data / "run" / "2.fits", None, OBJECT="EY UMa")
    ingest([settings.data], settings)
    # What is in the field of the first one is another target of it, not the one that it names.
    assert rows(settings, FOUND) == [("run/1.fits", "ey-uma"), ("run/2.fits", "ey-uma")]
    assert ("ey-uma", None, False, None) in rows(settings, TARGETS)
    assert [row[0] for row in rows(settings, IN_FIELD, "run/1.fits")] == ["M 31"]


def test_a_frame_without_a_name_is_of_what_is_in_its_middle(settings: Settings) -> None:
    write_light(settings.data / "run" / "1.fits", (M31[0] + 0.1, M31[1]))
    write_light(settings.data / "run" / "2.fits", (200.0, -70.0))
    write_light(settings.data / "run" / "3.fits", M31, IMAGETYP="Flat Field")
    ingest([settings.data], settings)
    assert rows(settings, FOUND) == [("run/1.fits", "M 31"), ("run/2.fits", None), ("run/3.fits", None)]
    assert rows(settings, "SELECT target_alias, header_target FROM archive.products WHERE target_id > 0") == [
        (None, None)
    ]


def test_all_well_known_objects_in_a_field_are_targets(settings: Settings) -> None:
    write_light(settings.data / "run" / "1.fits", (10.55, 41.45), OBJECT="M 110")
    write_light(settings.data / "run" / "2.fits", (10.55, 41.45), IMAGETYP="Dark Frame", OBJECT="M 110")
    ingest([settings.data], settings)
    assert [row[0] for row in rows(settings, IN_FIELD, "run/1.fits")] == ["M 31"]
    assert rows(settings, IN_FIELD, "run/2.fits") == []


def test_a_name_that_is_elsewhere_stays_and_is_doubted(settings: Settings) -> None:
    write_light(settings.data / "run" / "1.fits", (200.0, -70.0), OBJECT="M 31")
    # M 31 is three degrees long: this is still in it.
    write_light(settings.data / "run" / "2.fits", (11.2, 41.9), OBJECT="M 31")
    ingest([settings.data], settings)
    assert rows(settings, FOUND) == [("run/1.fits", "M 31"), ("run/2.fits", "M 31")]
    ((reason,),) = rows(settings, DOUBTS)
    assert reason.startswith("M 31 is 150.87")
    assert reason.endswith("deg from where the file says that it looked.")
    # Solved anew, it is right.
    write_light(settings.data / "run" / "1.fits", M31, OBJECT="M 31")
    ingest([settings.data], settings)
    assert rows(settings, DOUBTS) == []


def test_planets_are_where_they_are_at_the_time(settings: Settings) -> None:
    here = body_at("jupiter", TIME)
    write_light(settings.data / "run" / "1.fits", here, **{"DATE-OBS": TIME})
    write_light(settings.data / "run" / "2.fits", here, OBJECT="Jupiter", **{"DATE-OBS": TIME})
    write_light(settings.data / "run" / "3.fits", here, **{"DATE-OBS": "2021-09-26T22:00:00"})
    write_light(settings.data / "run" / "4.fits", here, OBJECT="EY UMa", **{"DATE-OBS": TIME})
    ingest([settings.data], settings)
    assert [name for _, name in rows(settings, FOUND)][:2] == ["Jupiter", "Jupiter"]
    assert [name for _, name in rows(settings, FOUND)][2] != "Jupiter"
    assert [row[0] for row in rows(settings, IN_FIELD, "run/4.fits")] == ["Jupiter"]
    assert ("Jupiter", "solar system", False, "solar system") in rows(settings, TARGETS)
    assert rows(settings, DOUBTS) == []
    write_light(
        settings.data / "run" / "2.fits", here, OBJECT="Jupiter", **{"DATE-OBS": "2021-09-26T22:00:00"}
    )
    ingest([settings.data], settings)
    ((reason,),) = rows(settings, DOUBTS)
    assert reason.startswith("Jupiter is ")


def test_the_moon_is_where_its_parallax_may_take_it(settings: Settings) -> None:
    ra, dec = body_at("moon", TIME)
    write_light(settings.data / "run" / "1.fits", (ra, dec - 0.9), **{"DATE-OBS": TIME})
    ingest([settings.data], settings)
    assert rows(settings, FOUND) == [("run/1.fits", "Moon")]


def test_people_decide_before_catalogues(settings: Settings, accounts: Database) -> None:
    number = targets.add(accounts, OPERATOR, "My field")
    targets.add_alias(accounts, OPERATOR, number, "Andromeda Galaxy")
    write_light(settings.data / "run" / "1.fits", None, OBJECT="andromeda galaxy")
    write_light(settings.data / "run" / "2.fits", None, OBJECT="M31")
    ingest([settings.data], settings)
    assert rows(settings, FOUND) == [("run/1.fits", "My field"), ("run/2.fits", "M 31")]


def test_only_what_everybody_sees_gives_a_nameless_frame_its_name(settings: Settings) -> None:
    """A frame that all may see does not tell what somebody looks at in secret."""
    faint = (200.0, -70.0)
    secret = settings.model_copy(update={"ingest_privileges": 1})
    write_light(secret.data / "run" / "1.fits", faint, OBJECT="Secret")
    ingest([secret.data], secret)
    connection = psycopg2.connect(settings.dsn("ost_owner"))
    with connection, connection.cursor() as cursor:
        cursor.execute("UPDATE archive.targets SET s_ra = 200, s_dec = -70, resolved_by = 'SIMBAD'")
    write_light(settings.data / "run" / "2.fits", faint, EXPTIME=30.0)
    ingest([settings.data], settings)
    assert rows(settings, FOUND)[1] == ("run/2.fits", None)
    with connection, connection.cursor() as cursor:
        cursor.execute("UPDATE archive.products SET privileges = 5")
    connection.close()
    write_light(settings.data / "run" / "3.fits", faint, EXPTIME=20.0)
    ingest([settings.data], settings)
    assert rows(settings, FOUND)[2] == ("run/3.fits", "Secret")


def test_what_is_known_takes_one_statement_a_batch(settings: Settings) -> None:
    sightings = [
        Sighting("M 31", *M31, 0.5, 59845.9, 59845.9),
        Sighting("EY UMa", 135.0, 49.8, 0.5, 59845.9, 59845.9),
        Sighting(None, *M31, 0.5, 59845.9, None),
        Sighting(None, None, None, None, None, None),
    ]
    with closing(psycopg2.connect(settings.dsn("ost_ingest"))) as connection:
        with transaction(connection) as cursor:
            first = Targets().ids(cursor, sightings)
        with transaction(connection) as cursor:
            statements = _Counting(cursor)
            assert Targets().ids(statements, sightings) == first  # type: ignore[arg-type]
            assert statements.count == 1
            assert Targets().ids(statements, sightings[3:]) == [None]  # type: ignore[arg-type]
            assert statements.count == 1
    assert first[0] == first[2] != first[1]


class _Counting:
    """A cursor that counts its statements."""

    def __init__(self, cursor: psycopg2.extensions.cursor) -> None:
        self._cursor = cursor
        self.count = 0

    def execute(self, *arguments: object) -> None:
        self.count += 1
        self._cursor.execute(*arguments)  # type: ignore[arg-type]

    def fetchall(self) -> list[tuple[object, ...]]:
        return self._cursor.fetchall()


def test_a_file_that_is_there_keeps_its_target(settings: Settings) -> None:
    frame = write_light(settings.data / "run" / "1.fits", M31, OBJECT="M 31")
    ingest([settings.data], settings)
    before = rows(settings, "SELECT target_id FROM archive.products")
    write_light(frame, M31, OBJECT="NGC 224", EXPTIME=5.0)
    assert ingest([settings.data], settings).counts[Outcome.UPDATED] == 1
    assert rows(settings, "SELECT target_id FROM archive.products") == before


def test_a_frame_that_is_solved_later_gets_its_targets(settings: Settings) -> None:
    write_light(settings.data / "run" / "1.fits", None)
    write_light(settings.data / "run" / "2.fits", None, OBJECT="EY UMa")
    ingest([settings.data], settings)
    with (
        closing(psycopg2.connect(settings.dsn("ost_ingest"))) as connection,
        transaction(connection) as cursor,
    ):
        cursor.execute(
            "UPDATE archive.products SET s_ra = %s, s_dec = %s, s_fov = 0.5 RETURNING product_id", M31
        )
        look_again(cursor, [product_id for (product_id,) in cursor.fetchall()])
    assert rows(settings, FOUND) == [("run/1.fits", "M 31"), ("run/2.fits", "EY UMa")]
    assert [row[0] for row in rows(settings, IN_FIELD, "run/2.fits")] == ["M 31"]
    assert rows(settings, IN_FIELD, "run/1.fits") == []
