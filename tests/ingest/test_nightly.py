"""Full comparisons with the disk at times of the day."""

from __future__ import annotations

import os
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from ingest import nightly
from ost_vo import tasks
from ost_vo.settings import Settings
from tests.ingest.frames import TAN, rows, write_frame

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("times", "now", "following"),
    [
        ("03:00", "2026-01-10T02:59:59", "2026-01-10T03:00"),
        ("03:00", "2026-01-10T03:00:00", "2026-01-11T03:00"),
        ("03:00, 15:30", "2026-07-10T12:00:00", "2026-07-10T15:30"),
        # From 02:00 to 03:00 the clocks are put forward, and then the day is short.
        ("03:00", "2026-03-28T12:00:00", "2026-03-29T03:00"),
    ],
)
def test_times_of_day_are_those_of_the_observatory(
    settings: Settings, times: str, now: str, following: str
) -> None:
    settings = settings.model_copy(update={"watch_reconcile_at": times})
    expected = datetime.fromisoformat(following).replace(tzinfo=BERLIN).timestamp()
    begin = datetime.fromisoformat(now).replace(tzinfo=BERLIN).timestamp()
    assert nightly.following(settings, begin) == expected


def test_without_times_of_day_nothing_comes_round(settings: Settings) -> None:
    settings = settings.model_copy(update={"watch_reconcile_at": ""})
    assert nightly.following(settings, 0.0) == float("inf")


@pytest.mark.parametrize("text", ["25:00", "3 o'clock", "03:00+01:00", "03:00;04:00"])
def test_times_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="watch_reconcile_at"):
        Settings(watch_reconcile_at=text)


def test_a_broker_has_the_times_of_the_observatory(settings: Settings) -> None:
    settings = settings.model_copy(update={"watch_reconcile_at": "03:00, 15:30"})
    app = tasks.create(settings)
    tasks.schedule(app, settings, lambda: None)
    schedules = [entry["schedule"] for entry in app.conf.beat_schedule.values()]
    assert [(schedule.hour, schedule.minute) for schedule in schedules] == [({3}, {0}), ({15}, {30})]
    assert app.timezone.key == "Europe/Berlin"
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)


def test_files_that_may_still_be_written_are_left_to_the_watcher(settings: Settings) -> None:
    old = write_frame(settings.data / "20220101" / "old.fit", TAN)
    os.utime(old, (1.5e9, 1.5e9))
    write_frame(settings.data / "20220101" / "new.fit", TAN)
    nightly.compare(settings.model_copy(update={"watch_delay": 3600.0}))
    assert rows(settings, "SELECT path FROM archive.products") == [("20220101/old.fit",)]
