"""Rows of archive.products, a batch at a time, as the text that COPY reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from ingest.synthetic_rows import setups
from ingest.synthetic_rows.outlines import coordinates, outline, pointings, unit_vectors
from ingest.synthetic_rows.plan import DAYS, PROJECTS, SEED, USERS, Plan
from ingest.synthetic_rows.texts import (
    NULL,
    Integers,
    Texts,
    as_bytes,
    decimals,
    integers,
    joined,
    padded,
    where,
)

BATCH = 10_000  # rows; the random numbers of a batch depend on its number alone
CALIBRATION_SHARE = 0.1
# pg_sphere 1.2 spends over 0.1 ms on a polygon, most of it on the 24 tests of containment that its index key
# needs; all the rest of a row costs half of that. So a tenth of the lights is plate-solved, not all of them.
SOLVED_SHARE = 0.1
MICRO = 1_000_000  # times are rounded to 1e-6 d
NIGHT_BEGIN, NIGHT_LENGTH = 0.70, 0.50  # d
# Probability of the levels 1 to 5.
PUBLIC_LEVELS = (0.01, 0.03, 0.07, 0.25, 0.64)
PRIVATE_LEVELS = (0.15, 0.60, 0.13, 0.07, 0.05)
RELEASES = (NULL, b"2019-07-01 00:00:00+00", b"2024-01-01 00:00:00+00", b"2041-03-01 00:00:00+00")
RELEASE_SHARES = (0.95, 0.015, 0.015, 0.02)
INVALID_SHARE = 0.01

COLUMNS = (
    "product_id", "obs_publisher_did", "path", "obs_id", "sha256", "file_modified", "ingested",
    "run_id", "project_id", "creator_id", "observer",
    "target_id", "target_name", "header_target", "obs_title",
    *setups.COLUMNS,
    "t_min", "t_max", "s_ra", "s_dec", "position_source", "airmass",
    "s_region", "region", "s_orientation", "s_parity", "ccd_temperature",
    "ambient_temperature", "dew_point", "pressure", "humidity", "wind_speed", "wind_direction",
    "privileges", "is_valid", "release_date",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys that the database gave: one a user, project, run and target of the plan, in its order.

    Attributes:
        first_product: key of the first product; the others follow.
    """

    users: list[int]
    projects: list[int]
    runs: list[int]
    targets: list[int]
    first_product: int


class ProductRows:
    """The rows of a plan.

    Args:
        plan: what was observed.
        keys: the database's keys of what the rows refer to.
        authority: the IVOA authority in the products' identifiers.
    """

    def __init__(self, plan: Plan, keys: Keys, authority: str) -> None:
        self._plan = plan
        self._keys = keys
        self._identifier = f"\tivo://{authority}/archive?".encode()

    @property
    def batches(self) -> int:
        """How many batches there are."""
        return -(-self._plan.products // BATCH)

    def size(self, batch: int) -> int:
        """Return the number of rows in a batch."""
        return min(BATCH, self._plan.products - batch * BATCH)

    def text(self, batch: int) -> bytes:
        """Return the rows of a batch: values of COLUMNS with tabs between them, a line a row."""
        return as_bytes(self._rows(batch))

    def _rows(self, batch: int) -> Texts:
        random = np.random.default_rng([SEED, batch])
        count = self.size(batch)
        number = np.arange(batch * BATCH, batch * BATCH + count)
        run = np.searchsorted(self._plan.starts, number, side="right") - 1
        first, last = self._plan.starts[run], self._plan.starts[run + 1]
        share = (number - first) / (last - first)
        is_light = share >= CALIBRATION_SHARE
        setup = self._setup(random, run, is_light)
        target = self._target(run, share, is_light)
        start = self._plan.run_days[run] + NIGHT_BEGIN + NIGHT_LENGTH * share
        fields: list[Texts | bytes] = [
            self._file(random, number, start),
            self._run_texts[run],
            self._target_texts[target],
            self._setup_texts[setup],
            *_times(start, self._setup_seconds[setup]),
            *self._position(random, run, target, setup, is_light),
            *self._conditions(random, run),
        ]
        return joined(fields, count)

    def _setup(self, random: np.random.Generator, run: Integers, is_light: NDArray[np.bool_]) -> Integers:
        """Return places in the list of all setups: each train's calibrations, then its lights."""
        first, calibrations, lights = self._setup_ranges[self._plan.run_trains[run]].T
        draw = random.random(run.size)
        return first + np.where(is_light, calibrations + draw * lights, draw * calibrations).astype(np.int64)

    def _target(self, run: Integers, share: NDArray[np.float64], is_light: NDArray[np.bool_]) -> Integers:
        """Return places in the list of targets; one past its end for none."""
        per_run = self._plan.run_targets.shape[1]
        turn = np.minimum((share * per_run).astype(np.int64), per_run - 1)
        has_one = is_light & ~self._plan.run_is_survey[run]
        return np.where(has_one, self._plan.run_targets[run, turn], len(self._keys.targets))

    def _file(self, random: np.random.Generator, number: Integers, start: NDArray[np.float64]) -> Texts:
        """Return the columns product_id to ingested."""
        count = number.size
        key = integers(self._keys.first_product + number)
        name = padded(number, 9)
        digest = np.frombuffer(random.bytes(32 * count).hex().encode(), dtype="S64")
        night, minute = np.divmod((start * 1440).astype(np.int64), 1440)
        dates = self._dates[night - self._plan.run_days[0]]
        when = joined([dates, _clock()[minute], b"\t"], count)
        path = joined([b"\tsynthetic/", name], count)
        digest = joined([b"\t\\\\x", digest, b"\t"], count)
        return joined([key, self._identifier, key, path, b".fits", path, digest, when, when], count)

    def _position(
        self,
        random: np.random.Generator,
        run: Integers,
        target: Integers,
        setup: Integers,
        is_light: NDArray[np.bool_],
    ) -> list[Texts]:
        """Return the columns s_ra to s_parity: nothing for calibrations, no outline for unsolved frames."""
        count = run.size
        sky = pointings(random, self._target_vectors[target], self._plan.run_is_survey[run])
        source = np.where(random.random(count) < SOLVED_SHARE, b"wcs", b"header")
        source[self._is_slit[self._plan.run_trains[run]]] = b"header"
        airmass = decimals(random.integers(1000, 2400, count), 3)
        place = joined([*coordinates(sky, b"\t"), b"\t", source, b"\t", airmass, b"\t"], count)
        solved = is_light & (source == b"wcs")
        turn = random.integers(0, 360_000, count)
        shape = outline(sky[solved], self._setup_fields[setup[solved]], turn[solved])
        parity = np.array([b"1", b"-1"])[random.integers(0, 2, count)]
        attitude = joined([shape, b"\t", decimals(turn[solved], 3), b"\t", parity[solved]], len(shape))
        return [
            where(is_light, place[is_light], NULL + (b"\t" + NULL) * 3 + b"\t"),
            where(solved, attitude, NULL + (b"\t" + NULL) * 3),
        ]

    def _conditions(self, random: np.random.Generator, run: Integers) -> list[Texts | bytes]:
        """Return the columns ccd_temperature to release_date."""
        count = run.size
        draw = random.random(count)
        shares = self._level_shares[self._plan.run_projects[run]]
        level = 1 + (draw[:, None] > shares).sum(axis=1)
        release = np.array(RELEASES)[np.searchsorted(np.cumsum(RELEASE_SHARES)[:-1], random.random(count))]
        return [
            b"\t", decimals(random.integers(-20_100, -9_900, count), 3),
            b"\t", self._weather_texts[random.integers(0, self._weather_texts.size, count)],
            b"\t", integers(level),
            np.where(random.random(count) < INVALID_SHARE, b"\tf\t", b"\tt\t"),
            release, b"\n",
        ]  # fmt: skip

    @cached_property
    def _setups(self) -> list[list[list[setups.Setup]]]:
        """The setups of calibrations and of lights, for each train."""
        return [[setups.calibrations(train), setups.lights(train)] for train in setups.TRAINS]

    @cached_property
    def _setup_ranges(self) -> Integers:
        """First place among all setups, number of calibrations, number of lights; one row a train."""
        sizes = np.array([[len(kind) for kind in kinds] for kinds in self._setups])
        totals = sizes.sum(axis=1)
        return np.column_stack([np.cumsum(totals) - totals, sizes])

    @cached_property
    def _all_setups(self) -> list[setups.Setup]:
        return [setup for kinds in self._setups for kind in kinds for setup in kind]

    @cached_property
    def _setup_texts(self) -> Texts:
        return np.array([setup.text for setup in self._all_setups])

    @cached_property
    def _setup_seconds(self) -> NDArray[np.float64]:
        return np.array([setup.seconds for setup in self._all_setups])

    @cached_property
    def _setup_fields(self) -> NDArray[np.float64]:
        """Half width and half height of the field on the tangential plane, one row a setup."""
        size = np.array([(setup.width, setup.height) for setup in self._all_setups])
        return np.tan(np.radians(size / 2))

    @cached_property
    def _is_slit(self) -> NDArray[np.bool_]:
        return np.array([train.slit for train in setups.TRAINS])

    @cached_property
    def _run_texts(self) -> Texts:
        """The columns run_id to observer."""
        plan, keys = self._plan, self._keys
        return np.array(
            [
                f"{run}\t{keys.projects[project]}\t{keys.users[creator]}\t{USERS[creator]}\t".encode()
                for run, project, creator in zip(keys.runs, plan.run_projects, plan.run_creators, strict=True)
            ]
        )

    @cached_property
    def _target_texts(self) -> Texts:
        """The columns target_id to obs_title, one row a target, and one for no target."""
        null = NULL.decode()
        named = [
            f"{key}\t{name}\t{name}\t{name}\t"
            for key, name in zip(self._keys.targets, self._plan.target_names, strict=True)
        ]
        return np.array([text.encode() for text in (*named, f"{null}\t" * 4)])

    @cached_property
    def _target_vectors(self) -> NDArray[np.float64]:
        """Unit vectors of the targets, and one for no target; shape (targets + 1, 3)."""
        return unit_vectors(*np.radians(np.vstack([self._plan.target_positions, (0.0, 0.0)])).T)

    @cached_property
    def _level_shares(self) -> NDArray[np.float64]:
        """Cumulative probabilities of the levels 1 to 4, one row a project."""
        levels = [PUBLIC_LEVELS if project.is_public else PRIVATE_LEVELS for project in PROJECTS]
        return np.cumsum(levels, axis=1)[:, :-1]

    @cached_property
    def _dates(self) -> Texts:
        """The dates from the first night on."""
        first = self._plan.nights[0]
        return np.array([(first + timedelta(days=day)).isoformat().encode() for day in range(DAYS + 2)])

    @cached_property
    def _weather_texts(self) -> Texts:
        """The columns ambient_temperature to wind_direction, a thousand different ones."""
        random = np.random.default_rng(SEED)
        rows = random.uniform((-12, 1, 985, 35, 0, 0), (24, 15, 1035, 98, 12, 360), (1000, 6))
        rows[:, 1] = rows[:, 0] - rows[:, 1]
        return np.array(["\t".join(f"{value:.1f}" for value in row).encode() for row in rows])


def _times(start: NDArray[np.float64], seconds: NDArray[np.float64]) -> list[Texts | bytes]:
    """Return the columns t_min and t_max."""
    begin = np.rint(start * MICRO).astype(np.int64)
    end = begin + np.rint(seconds / 86400 * MICRO).astype(np.int64)
    return [b"\t", decimals(begin, 6), b"\t", decimals(end, 6), b"\t"]


@cache
def _clock() -> Texts:
    """Return the minutes of a day as the time that follows a date."""
    return np.array([f" {minute // 60:02d}:{minute % 60:02d}:00+00".encode() for minute in range(1440)])
