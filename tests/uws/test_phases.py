"""Phases and documents of UWS, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from ost_vo.faults import UsageFault
from ost_vo.vo import uws
from ost_vo.vo.uws import ACTIVE, FINAL, Failure, Job, Phase, Result

phases = st.sampled_from(list(Phase))
moments = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co")))


@given(before=phases, after=phases)
def test_nothing_follows_the_end_but_the_archive(before: Phase, after: Phase) -> None:
    if before in FINAL and uws.may_follow(after, before):
        assert after is Phase.ARCHIVED
    assert not uws.may_follow(Phase.PENDING, before) or before is Phase.UNKNOWN


@given(before=phases, after=phases)
def test_sources_are_the_transitions_reversed(before: Phase, after: Phase) -> None:
    assert (before in uws.sources(after)) is uws.may_follow(after, before)


@given(start=phases.filter(lambda phase: phase not in FINAL))
def test_whatever_has_not_ended_can_be_aborted_and_can_fail(start: Phase) -> None:
    assert uws.may_follow(Phase.ABORTED, start)
    assert uws.may_follow(Phase.ERROR, start)


@given(st.data())
def test_every_way_through_the_phases_that_completes_has_executed(data: st.DataObject) -> None:
    way = [Phase.PENDING]
    while way[-1] not in FINAL and len(way) < 12:
        known = [phase for phase in Phase if uws.may_follow(phase, way[-1]) and phase is not Phase.UNKNOWN]
        way.append(data.draw(st.sampled_from(known)))
    if way[-1] is Phase.COMPLETED:
        assert way[-2] is Phase.EXECUTING
        assert Phase.QUEUED in way
    assert ACTIVE.isdisjoint(FINAL)


@given(moments)
def test_times_survive_to_the_millisecond(moment: datetime) -> None:
    text = uws.timestamp(moment)
    assert text.endswith("Z")
    assert timedelta(0) <= moment - uws.moment(text, "AFTER") < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    "text", ["2026-01-31T12:00:00", "2026-01-31T12:00:00Z", "2026-01-31T13:00:00.000+01:00"]
)
def test_times_are_read_in_utc(text: str) -> None:
    assert uws.moment(text, "AFTER") == datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageFault, match="AFTER"):
        uws.moment(text, "AFTER")


@given(name=texts, value=texts, message=texts, run_id=st.none() | texts)
def test_documents_give_back_what_they_got(name: str, value: str, message: str, run_id: str | None) -> None:
    now = datetime.now(UTC)
    job = Job(
        id="0" * 32,
        kind="tap",
        phase=Phase.ERROR,
        owner_id=1,
        owner="ann",
        run_id=run_id,
        created=now,
        started=None,
        ended=now,
        execution_duration=5,
        destruction=now,
        parameters=((name, value),),
        results=(Result("result", "text/plain", 3),),
        failure=Failure("UsageFault", message, transient=False),
    )
    root = etree.fromstring(uws.job(job, "https://example.org/tap/async/0"))
    found = root.find("{*}parameters/{*}parameter")
    assert (found.get("id"), found.text or "") == (name, value)
    assert (root.findtext("{*}errorSummary/{*}message") or "") == message
    assert root.findtext("{*}runId") == run_id
    assert root.find("{*}startTime").get("{http://www.w3.org/2001/XMLSchema-instance}nil") == "true"


@pytest.mark.parametrize("value", ["\0", "a\x1bb", "\ud800", "\ufffe"])
def test_what_xml_cannot_hold_is_refused(value: str) -> None:
    with pytest.raises(UsageFault, match="QUERY"):
        uws.check_text("QUERY", value)
