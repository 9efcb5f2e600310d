"""Damaged queries: each is answered or refused, and none reaches PostgreSQL that it cannot parse."""

from __future__ import annotations

import random
import re
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import requests
from lxml import etree

from ost_vo.faults import QueryFault
from ost_vo.store import tap_schema
from ost_vo.vo import adql
from tests.conftest import Service
from tests.tap.test_differential import COLUMNS, EXPRESSIONS

VALID = [query for query in (*COLUMNS, *EXPRESSIONS) if "{" not in query]
TRANSLATED_CASES = 20_000
SERVED_CASES = 600
_TOKEN = re.compile(r"\s+|\w+|[0-9.]+|'[^']*'|\"[^\"]*\"|\|\||<>|!=|<=|>=|.", re.DOTALL)
_SPLIT = [_TOKEN.findall(query) for query in VALID]
# Besides the queries' own words: what hurts parsers of SQL.
_HOSTILE = r"""; -- /* */ ' " \ $$ $1 %s ß 😀 1e999 0x10 NULL CAST pg_sleep(1) current_user archive.users
    CROSS LATERAL OFFSET ::text E'\'""".split()  # noqa: SIM905 legible
_TOKENS = [*sorted({token for tokens in _SPLIT for token in tokens}), *_HOSTILE, "\0", "\u2028", "(" * 60]


def mutated(seed: int) -> str:
    """A valid query with one to four tokens removed, replaced, inserted or repeated."""
    chance = random.Random(seed)
    tokens = list(chance.choice(_SPLIT))
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(tokens) + 1)
        width = chance.randint(0, 2)
        tokens[place : place + width] = chance.choice([[], [" "], [chance.choice(_TOKENS)], tokens[:place]])
    return "".join(tokens)


def test_postgresql_accepts_what_the_translator_writes(service: Service) -> None:
    connection = psycopg2.connect(service.settings.dsn("adql"))
    connection.autocommit = True
    catalogue = tap_schema.load(psycopg2.connect(service.settings.dsn("adql")))
    translated = 0
    with connection.cursor() as cursor:
        for seed in range(TRANSLATED_CASES):
            query = mutated(seed)
            try:
                sql = adql.translate(query, catalogue, maxrec=5).sql
            except QueryFault:
                continue
            translated += 1
            try:
                cursor.execute("EXPLAIN " + sql.replace("%", "%%"), ())
            except psycopg2.DataError:
                continue  # a constant that cannot be computed, such as LOG(0)
    connection.close()
    assert translated > TRANSLATED_CASES / 50


def test_the_service_answers_or_refuses(service: Service) -> None:
    def ask(seed: int) -> tuple[str, requests.Response]:
        query = mutated(seed)
        data = {"LANG": "ADQL", "QUERY": query, "MAXREC": "3", "RESPONSEFORMAT": "votable/td"}
        return query, requests.post(f"{service.url}/tap/sync", data=data, timeout=90)

    with ThreadPoolExecutor(4) as pool:
        for query, response in pool.map(ask, range(TRANSLATED_CASES, TRANSLATED_CASES + SERVED_CASES)):
            assert response.status_code in (200, 400), (query, response.text)
            root = etree.fromstring(response.content)
            info = root.find(".//{*}INFO[@name='QUERY_STATUS']")
            assert info is not None
            assert (info.get("value") == "ERROR") == (response.status_code == 400)
            assert "Traceback" not in response.text
