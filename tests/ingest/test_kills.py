"""Ingest that is killed at any instant, while files land, move, change and vanish.

`KILLS=300 python -m pytest tests/ingest/test_kills.py --timeout 3600` kills more often than the suite does.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.reconcile import Findings, reconcile
from ingest.watch import watch
from ost_vo.settings import Settings
from tests.ingest.frames import TAN, rows, write_frame

KILLS = int(os.environ.get("KILLS", "24"))
RUNS, NAMES = 3, 30


@pytest.fixture
def hasty(settings: Settings) -> Settings:
    """Settings by which a file is read almost at once, of an archive with a few files on disk."""
    for number in range(12):
        path = settings.data / f"2022010{number % RUNS}" / f"{number}.fit"
        write_frame(path, TAN | {"EXPTIME": float(number)}, (2, 2))
    waits = dict.fromkeys(("watch_delay", "watch_debounce", "watch_stability"), 0.03)
    return settings.model_copy(update={**waits, "watch_reconcile_at": ""})


def converge(settings: Settings) -> None:
    """Compare archive and disk a last time, and see that they agree."""
    reconcile(settings, force=True)
    again = reconcile(settings, force=True)
    assert {kind for kind, number in again.counts.items() if number} == set(), again
    stored = rows(settings, "SELECT path, sha256 FROM archive.products WHERE missing_since IS NULL")
    on_disk = sorted(settings.data.rglob("*.fit"))
    assert sorted((path, bytes(digest)) for path, digest in stored) == sorted(
        (str(path.relative_to(settings.data)), hashlib.sha256(path.read_bytes()).digest()) for path in on_disk
    )
    strays = """
        SELECT path FROM archive.products JOIN archive.runs USING (run_id)
        WHERE missing_since IS NULL AND split_part(path, '/', 1) <> name OR starts_with(path, '~')"""
    assert rows(settings, strays) == []
    assert rows(settings, "SELECT path FROM archive.quarantine") == []
    without = """
        SELECT path FROM archive.products p
        WHERE NOT EXISTS (SELECT FROM archive.headers h WHERE h.product_id = p.product_id)"""
    assert rows(settings, without) == []


def change_something(root: Path, chance: random.Random, turn: int) -> None:
    """Add, rewrite, move, copy or delete a file, or rename a run."""
    path = chance.choice(sorted(root.rglob("*.fit")))
    target = chance.choice(sorted(root.iterdir())) / f"{chance.randrange(NAMES)}.fit"
    match chance.randrange(7):
        case 0:
            write_frame(target, TAN | {"EXPTIME": float(100 + turn)}, (2, 2))
        case 1:
            write_frame(path, TAN | {"EXPTIME": float(100 + turn)}, (2, 2))
        case 2:
            path.rename(target)
        case 3 if path != target:
            shutil.copy(path, target)
        case 4 if len(list(root.rglob("*.fit"))) > 4:
            path.unlink()
        case 5:
            path.parent.rename(root / f"2023{turn:04d}")
        case 6:
            part = target.with_name("new.fit.part")
            write_frame(part, TAN | {"EXPTIME": float(100 + turn)}, (2, 2)).rename(target)


def kill_again_and_again(settings: Settings, target: Callable[..., object], method: str) -> int:
    """Start something, change files while it works, kill it at a random instant; return how often it was."""
    chance = random.Random(1)
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["ingest.watch", "ingest.readers", "ingest.lzw"])
    killed = 0
    for turn in range(KILLS):
        process = context.Process(target=target, args=(settings,))
        process.start()
        for step in range(chance.randrange(5)):
            change_something(settings.data, chance, 10 * turn + step)
            process.join(chance.uniform(0.0, 0.15))
        process.join(chance.uniform(0.0, 0.2))
        process.kill()
        process.join()
        killed += process.exitcode == -9
    return killed


def force(settings: Settings) -> Findings:
    """Compare archive and disk, and believe the disk."""
    return reconcile(settings, force=True)


def test_however_often_the_comparison_is_killed_the_archive_becomes_what_is_on_disk(hasty: Settings) -> None:
    assert kill_again_and_again(hasty, force, "fork")
    converge(hasty)


def test_however_often_the_watcher_is_killed_the_archive_becomes_what_is_on_disk(hasty: Settings) -> None:
    assert kill_again_and_again(hasty, watch, "forkserver") == KILLS
    converge(hasty)
