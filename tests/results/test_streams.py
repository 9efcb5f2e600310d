"""Streams: what happens to the query, the connection and the document when something goes wrong or slow."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from astropy.io import fits
from lxml import etree
from numba.core import event
from psycopg2 import extensions
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse
from starlette.types import Message

from ost_vo.faults import FatalFault, TransientFault, UsageFault
from ost_vo.services.formats import FORMATS
from ost_vo.store.results import AsyncResultStream, stream, stream_async
from ost_vo.vo import binary2, tabledata
from ost_vo.vo.binary2 import Binary2
from ost_vo.vo.columns import Column
from ost_vo.vo.delimited import Csv
from ost_vo.vo.fitstable import FitsTable
from ost_vo.vo.tabledata import TableData
from tests.results.conftest import Source, parsed, statuses

NUMBER = [Column("n", "int")]
WIDE = [Column("n", "int"), Column("t", "char")]
# More than any test reads, in rows of a size at which the server sends each as it comes. The series stands
# in a SELECT list since PostgreSQL completes one in FROM before its first row.
ENDLESS = "SELECT n, repeat('x', 9000) FROM (SELECT generate_series(1, 2000000000) AS n) AS s"
# A first row at once, then nothing for a minute.
HANGING = (
    "SELECT n::int, repeat('x', 9000) || CASE WHEN n > 3 THEN pg_sleep(60)::text ELSE '' END "
    "FROM generate_series(1, 10) AS n"
)
FAILING = "SELECT (1 / (60000 - n))::int FROM generate_series(1, 100000) AS n"
AT_ONCE = 30.0  # s; what must not wait for a query of a minute


def open_async(source: Source, sql: str, **arguments: float) -> AsyncResultStream:
    return asyncio.run(stream_async(source, sql, WIDE, Binary2(), {}, **arguments))


def test_the_first_rows_do_not_wait_for_the_others(source: Source) -> None:
    begin = time.monotonic()
    with stream(source, HANGING, WIDE, TableData(), {}) as chunks:
        first = next(chunks)
    assert time.monotonic() - begin < AT_ONCE
    assert first.startswith(b"<?xml")
    assert b"<TR><TD>1</TD><TD>xxx" in first


def test_a_result_without_rows_is_a_whole_document(source: Source) -> None:
    (document,) = stream(source, "SELECT 1 WHERE false", NUMBER, Binary2(), {})
    assert len(parsed(document)) == 0
    assert statuses(document) == [("OK", "")]


def test_closing_early_ends_the_query(source: Source) -> None:
    for sql in (HANGING, ENDLESS):
        chunks = stream(source, sql, WIDE, Binary2(), {})
        next(chunks)
        assert source.busy() == 1
        begin = time.monotonic()
        chunks.close()
        assert time.monotonic() - begin < AT_ONCE
        assert source.returned.is_set()
        assert source.busy() == 0
        assert list(chunks) == []
    assert source.document("SELECT 1", NUMBER, Csv()) == b"n\n1\n"


def test_closing_after_the_end_is_harmless(source: Source) -> None:
    chunks = stream(source, "SELECT 1", NUMBER, Csv(), {})
    assert b"".join(chunks) == b"n\n1\n"
    chunks.close()
    chunks.close()
    assert source.document("SELECT 2", NUMBER, Csv()) == b"n\n2\n"


def test_memory_stays_bounded(source: Source) -> None:
    encoder = TableData()
    page = os.sysconf("SC_PAGE_SIZE")
    used = []
    size = 0
    for chunk in stream(source, f"{ENDLESS} LIMIT 12000", WIDE, encoder, {}):
        size += len(chunk)
        used.append(int(Path("/proc/self/statm").read_text().split()[1]) * page)
    assert encoder.rows == 12000
    assert size > 100_000_000
    assert max(used) - used[0] < 40_000_000


def test_a_slow_client_loses_the_connection(source: Source) -> None:
    chunks = stream(source, ENDLESS, WIDE, Binary2(), {}, stall_seconds=0.2)
    assert source.returned.wait(AT_ONCE)
    assert source.busy() == 0
    document = b"".join(chunks)
    assert len(parsed(document)) > 0
    assert statuses(document)[-1][0] == "ERROR"
    assert "took nothing of the result for 0.2 s" in statuses(document)[-1][1]
    assert isinstance(chunks.fault, TransientFault)


@pytest.mark.parametrize("encoder", [Binary2, TableData])
def test_an_error_midway_ends_one_valid_document(
    source: Source, encoder: type[Binary2 | TableData], schema: etree.XMLSchema
) -> None:
    one = encoder()
    chunks = stream(source, FAILING, NUMBER, one, {})
    document = b"".join(chunks)
    assert statuses(document)[0] == ("OK", "")
    assert statuses(document)[-1][0] == "ERROR"
    assert statuses(document)[-1][1].startswith("UsageFault: The query divides by zero.")
    assert 0 < len(parsed(document)) == one.rows < 60000
    schema.assertValid(etree.fromstring(document))
    assert isinstance(chunks.fault, UsageFault)


def test_an_error_midway_breaks_csv_off(source: Source) -> None:
    chunks = stream(source, FAILING, NUMBER, Csv(), {})
    assert next(chunks).startswith(b"n\n0\n")
    with pytest.raises(UsageFault, match="divides by zero"):
        list(chunks)


@pytest.mark.parametrize(
    ("sql", "fault", "message"),
    [
        ("SELECT 1 / 0", UsageFault, "divides by zero"),
        ("SELECT 'secret'::text::int", UsageFault, "casts a text"),
        ("SELECT 2000000000 + 2000000000", UsageFault, "out of the range"),
        ("SELECT ln(-1)::int", UsageFault, "logarithm"),
        ("SELECT '2024-02-31 secret'::text::timestamp", UsageFault, "date or time"),
        ("SELECT nosuch FROM secret", FatalFault, "failed to run the query"),
    ],
)
def test_errors_before_the_first_row_are_raised(
    source: Source, sql: str, fault: type[Exception], message: str
) -> None:
    for encoder in (Binary2, Csv):
        with pytest.raises(fault, match=message) as caught:
            stream(source, sql, NUMBER, encoder(), {})
        assert "secret" not in str(caught.value)
    assert source.document("SELECT 1", NUMBER, Csv()) == b"n\n1\n"


@pytest.mark.parametrize(("setting", "limit"), [("150", "0.15 s"), ("200ms", "0.2 s"), ("0.3 s", "0.3 s")])
def test_the_time_limit_is_named(source: Source, setting: str, limit: str) -> None:
    with pytest.raises(TransientFault, match=f"longer than the limit of {limit}"):
        stream(source, "SELECT 1 FROM pg_sleep(60)", NUMBER, Binary2(), {"statement_timeout": setting})


def test_the_time_limit_counts_the_work_of_the_database_only(source: Source) -> None:
    """A client that takes its time takes nothing of that of the query."""
    chunks = stream(source, ENDLESS, WIDE, TableData(), {}, work_seconds=2.0)
    taken = len(next(chunks))
    source.ask("SELECT pg_sleep(3)")
    assert source.busy() == 1
    # Much more than what has waited for the client meanwhile.
    while taken < 5_000_000:
        taken += len(next(chunks))
    assert chunks.fault is None
    last = b""
    for chunk in chunks:
        last = chunk
    assert "worked on the query for longer than the limit of 2 s" in last.decode()
    assert isinstance(chunks.fault, TransientFault)
    assert source.returned.wait(AT_ONCE)
    assert source.busy() == 0


def test_a_database_that_sends_nothing_works_all_the_same(source: Source) -> None:
    for sql in ("SELECT 1, 'x' FROM pg_sleep(60)", HANGING):
        begin = time.monotonic()
        with pytest.raises(TransientFault, match=r"longer than the limit of 0\.2 s"):
            list(stream(source, sql, WIDE, Csv(), {}, work_seconds=0.2))
        assert time.monotonic() - begin < AT_ONCE
        assert source.returned.wait(AT_ONCE)
    assert source.document("SELECT 1", NUMBER, Csv()) == b"n\n1\n"


def test_a_file_that_waits_for_its_last_row_leaves_in_pieces(source: Source) -> None:
    chunks = list(stream(source, f"{ENDLESS} LIMIT 2000", WIDE, FitsTable(), {}))
    assert max(map(len, chunks)) < 1_000_000
    with fits.open(io.BytesIO(b"".join(chunks))) as file:
        assert len(file[1].data) == 2000
        assert file[1].data["t"][1999] == "x" * 9000


def test_a_query_that_the_operator_stops_is_not_out_of_time(source: Source) -> None:
    chunks = stream(source, HANGING, WIDE, Binary2(), {"statement_timeout": "50s"})
    source.ask("SELECT pg_cancel_backend(%s)", source.connection.info.backend_pid)
    ((status, message),) = statuses(b"".join(chunks))[1:]
    assert status == "ERROR"
    assert message.startswith("TransientFault: The query was stopped by the archive.")


def test_a_database_that_goes_away_midway(source: Source) -> None:
    chunks = stream(source, HANGING, WIDE, Binary2(), {})
    source.ask("SELECT pg_terminate_backend(%s)", source.connection.info.backend_pid)
    ((status, message),) = statuses(b"".join(chunks))[1:]
    assert status == "ERROR"
    assert message.startswith("TransientFault: The archive's database is not available")
    assert source.returned.wait(AT_ONCE)
    assert source.connection.closed


def test_a_database_that_is_not_there() -> None:
    @contextmanager
    def nowhere() -> Iterator[extensions.connection]:
        yield psycopg2.connect("host=/nonexistent dbname=nothing")

    with pytest.raises(TransientFault, match="not available"):
        stream(nowhere, "SELECT 1", NUMBER, Binary2(), {})


def test_faults_of_the_connection_source_come_through() -> None:
    @contextmanager
    def busy() -> Iterator[extensions.connection]:
        raise TransientFault("No connection is free.")
        yield

    with pytest.raises(TransientFault, match="No connection is free"):
        stream(busy, "SELECT 1", NUMBER, Binary2(), {})


def test_settings_hold_for_one_transaction_and_are_not_sql(source: Source) -> None:
    columns = [Column("user", "char"), Column("role", "char"), Column("read_only", "char")]
    names = [
        "current_setting('ost.user_id', true)",
        "current_user",
        "current_setting('transaction_read_only')",
    ]
    sql = f"SELECT {', '.join(names)}"
    settings = {"ost.user_id": "it's 7', true), ('", "transaction_read_only": "on", "role": "pg_monitor"}
    within = b"".join(stream(source, sql, columns, Csv(), settings))
    assert within.splitlines()[1] == b"\"it's 7', true), ('\",pg_monitor,on"
    after = b"".join(stream(source, sql, columns, Csv(), {}))
    assert after.splitlines()[1] not in within
    assert after.startswith(b'user,role,read_only\n"",')


def test_without_a_transaction_the_settings_would_not_hold(source: Source) -> None:
    source.connection.autocommit = True
    with pytest.raises(FatalFault):
        stream(source, "SELECT 1", NUMBER, Binary2(), {})


def test_nothing_is_compiled_for_a_query(source: Source) -> None:
    binary2.warm()
    tabledata.warm()
    columns = [*WIDE, Column("u", "unicodeChar"), Column("d", "double"), Column("a", "double", "*")]
    sql = (
        "SELECT n::int, CASE WHEN n > 3 THEN 'x' END, 'ü&' || n, n / 3::float8,"
        " array_fill(1.5::float8, ARRAY[n]) FROM generate_series(1, 10) AS n"
    )
    with event.install_recorder("numba:compile") as recorder:
        for form in FORMATS:
            encoder = form.encoder(None, {}, ())
            assert source.document(sql, columns, encoder)
            assert encoder.rows == 10
    assert recorder.buffer == []


def test_the_compiled_kernels_can_be_kept_elsewhere(tmp_path: Path) -> None:
    # One of them, since to compile all takes long.
    command = "import numpy as np; from ost_vo.vo.binarykernels import index; "
    command += "index(np.zeros(8, 'u1'), np.zeros((1, 0), 'i8'), np.zeros((1, 0), 'i8'))"
    environment = {**os.environ, "NUMBA_CACHE_DIR": os.fspath(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(
        [sys.executable, "-c", command], check=True, env=environment, cwd=Path(__file__).parents[2]
    )
    assert list(tmp_path.rglob("binarykernels.index*.nbi"))


def test_asynchronous_and_synchronous_give_the_same_document(source: Source) -> None:
    sql = f"{ENDLESS} LIMIT 500"

    async def collected() -> bytes:
        chunks = await stream_async(source, sql, WIDE, Binary2(), {})
        return b"".join([chunk async for chunk in chunks])

    assert asyncio.run(collected()) == source.document(sql, WIDE, Binary2())


def test_the_event_loop_runs_while_the_database_works(source: Source) -> None:
    async def ticks() -> int:
        opening = asyncio.ensure_future(
            stream_async(source, "SELECT 1, 'x' FROM pg_sleep(0.5)", WIDE, Binary2(), {})
        )
        count = 0
        while not opening.done():
            await asyncio.wait([opening], timeout=0.01)
            count += 1
        assert [chunk async for chunk in await opening]
        return count

    # It would turn once if it waited for the database.
    assert asyncio.run(ticks()) > 3


def test_asynchronous_errors_come_as_the_synchronous_ones(source: Source) -> None:
    with pytest.raises(UsageFault, match="divides by zero"):
        open_async(source, "SELECT 1 / 0, 'x'")

    async def midway() -> tuple[bytes, AsyncResultStream]:
        chunks = await stream_async(source, FAILING, NUMBER, Binary2(), {})
        return b"".join([chunk async for chunk in chunks]), chunks

    document, chunks = asyncio.run(midway())
    assert statuses(document)[-1][0] == "ERROR"
    assert isinstance(chunks.fault, UsageFault)


def test_an_asynchronous_stream_ends_its_query_when_closed(source: Source) -> None:
    async def one_chunk() -> bytes:
        chunks = await stream_async(source, HANGING, WIDE, Binary2(), {})
        try:
            return await anext(chunks)
        finally:
            await chunks.aclose()

    assert asyncio.run(one_chunk())
    assert source.returned.wait(AT_ONCE)
    assert source.busy() == 0


def test_an_asynchronous_stream_ends_its_query_when_forgotten(source: Source) -> None:
    for sql in (HANGING, ENDLESS):
        open_async(source, sql)
        assert source.returned.wait(AT_ONCE)
        assert source.busy() == 0


def test_a_client_that_goes_away_ends_the_query(source: Source) -> None:
    async def respond() -> None:
        sent = asyncio.Event()

        async def receive() -> Message:
            await sent.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                sent.set()

        chunks = await stream_async(source, ENDLESS, WIDE, Binary2(), {})
        response = StreamingResponse(chunks, background=BackgroundTask(chunks.aclose))
        await response({"type": "http"}, receive, send)

    asyncio.run(respond())
    assert source.returned.wait(AT_ONCE)
    assert source.busy() == 0


def test_a_task_that_is_cancelled_while_it_waits_ends_the_query(source: Source) -> None:
    async def impatient() -> None:
        await asyncio.wait_for(
            stream_async(source, "SELECT 1, 'x' FROM pg_sleep(60)", WIDE, Binary2(), {}), timeout=0.2
        )

    with pytest.raises(TimeoutError):
        asyncio.run(impatient())
    assert source.returned.wait(AT_ONCE)
    assert source.busy() == 0


def test_a_slow_asynchronous_client_loses_the_connection(source: Source) -> None:
    async def slow() -> bytes:
        chunks = await stream_async(source, ENDLESS, WIDE, Binary2(), {}, stall_seconds=0.2)
        assert await asyncio.to_thread(source.returned.wait, AT_ONCE)
        return b"".join([chunk async for chunk in chunks])

    assert statuses(asyncio.run(slow()))[-1][0] == "ERROR"
    assert source.busy() == 0


def test_many_streams_that_are_closed_at_any_moment_leave_nothing_behind(source: Source) -> None:
    for taken in range(40):
        with closing(stream(source, f"{ENDLESS} LIMIT 2000", WIDE, Binary2(), {})) as chunks:
            for _ in zip(range(taken), chunks, strict=False):
                pass
        assert source.returned.is_set()
        assert source.connection.info.transaction_status == extensions.TRANSACTION_STATUS_IDLE
    assert source.document("SELECT 1", NUMBER, Csv()) == b"n\n1\n"


def test_a_small_document_is_there_at_once_and_a_long_one_is_not(source: Source) -> None:
    async def ask(sql: str) -> tuple[bytes | None, list[bytes]]:
        chunks = await stream_async(source, sql, WIDE, TableData(), {})
        return await chunks.whole(), [chunk async for chunk in chunks]

    whole, rest = asyncio.run(ask("SELECT n, 'x' FROM generate_series(1, 3) AS n"))
    # On a machine that is busy, the end may come too late for it.
    document = whole if whole is not None else b"".join(rest)
    assert (document.count(b"<TR>"), statuses(document)) == (3, [("OK", "")])
    assert whole is None or rest == []
    whole, rest = asyncio.run(ask(f"{ENDLESS} LIMIT 100"))
    assert whole is None
    assert b"".join(rest).count(b"<TR>") == 100


def test_a_fault_midway_leaves_no_whole_document(source: Source) -> None:
    async def ask() -> bytes | None:
        chunks = await stream_async(source, FAILING, NUMBER, Csv(), {})
        with closing(chunks):
            return await chunks.whole()

    assert asyncio.run(ask()) is None
