"""Ten years of observing, decided before a row is written: people, projects, targets, nights."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from ingest.synthetic_rows.setups import TRAINS

SEED = 20160101
FIRST_NIGHT = date(2016, 1, 1)
FIRST_MJD = 57388  # of FIRST_NIGHT, 0 h UTC
DAYS = 3652
MOST_RUNS = 3000
RUN_PREFIX = "synthetic-"
PRODUCTS_A_RUN = 100  # at least, where there are enough products
TARGETS = 300
TARGETS_A_RUN = 5
CLASSES = ("star", "star cluster", "nebula", "galaxy")
USERS = tuple(
    f"synth.{name}" for name in ("adams", "bruhns", "clerke", "draper", "encke", "foerster", "galle")
)
# Where errors hide: RA 0 from both sides, the poles.
CORNERS = ((0.004, 12.0), (359.997, -5.0), (180.0, 89.96), (90.0, -89.97), (0.0, 0.0))


@dataclass(frozen=True, slots=True)
class Project:
    """A project: name, whether everybody is a member, the members' and the manager's places in USERS."""

    name: str
    is_public: bool
    members: tuple[int, ...]

    @property
    def manager(self) -> int:
        """Place of the manager in USERS."""
        return self.members[0]


PROJECTS = (
    Project("synth-clusters", True, (0, 1, 2, 3, 4, 5, 6)),
    Project("synth-variables", True, (1, 2, 4)),
    Project("synth-galaxies", True, (2, 3)),
    Project("synth-school", True, (5, 0, 6)),
    Project("synth-survey", True, (4, 6)),
    Project("synth-thesis", False, (3, 5)),
    Project("synth-exoplanets", False, (6, 1, 0)),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What was observed when.

    Attributes:
        products: how many rows there are in all.
        target_names: names, one a target.
        target_classes: kinds, one a target.
        target_positions: right ascension and declination, shape (targets, 2) [deg].
        nights: one a run.
        starts: first product of each run, and the number of products at the end; shape (runs + 1,).
        run_projects, run_creators, run_trains: places in PROJECTS, USERS, TRAINS; shape (runs,).
        run_targets: places in target_names; shape (runs, TARGETS_A_RUN).
        run_is_survey: whether a run scans the whole sky instead of targets; shape (runs,).
    """

    products: int
    target_names: tuple[str, ...]
    target_classes: tuple[str, ...]
    target_positions: NDArray[np.float64]
    nights: tuple[date, ...]
    starts: NDArray[np.int64]
    run_projects: NDArray[np.int64]
    run_creators: NDArray[np.int64]
    run_trains: NDArray[np.int64]
    run_targets: NDArray[np.int64]
    run_is_survey: NDArray[np.bool_]

    @property
    def run_names(self) -> list[str]:
        """Names of the runs."""
        return [f"{RUN_PREFIX}{night:%Y%m%d}" for night in self.nights]

    @property
    def run_days(self) -> NDArray[np.int64]:
        """Modified Julian dates of the nights, at 0 h UTC of the day on which they began."""
        return np.array([(night - FIRST_NIGHT).days for night in self.nights]) + FIRST_MJD


def plan(products: int) -> Plan:
    """Return the plan for so many products."""
    random = np.random.default_rng(SEED)
    runs = min(MOST_RUNS, max(1, products // PRODUCTS_A_RUN))
    projects = random.integers(0, len(PROJECTS), runs)
    creators = [random.choice(PROJECTS[project].members) for project in projects]
    positions = _positions(random)
    return Plan(
        products=products,
        target_names=tuple(_designation(i, ra, dec) for i, (ra, dec) in enumerate(positions)),
        target_classes=tuple(CLASSES[i] for i in random.integers(0, len(CLASSES), TARGETS)),
        target_positions=positions,
        nights=tuple(FIRST_NIGHT + timedelta(days=DAYS * run // runs) for run in range(runs)),
        starts=products * np.arange(runs + 1) // runs,
        run_projects=projects,
        run_creators=np.array(creators),
        run_trains=random.choice(len(TRAINS), runs, p=(0.3, 0.3, 0.2, 0.12, 0.08)),
        run_targets=random.integers(0, TARGETS, (runs, TARGETS_A_RUN)),
        run_is_survey=random.random(runs) < 0.25,
    )


def _positions(random: np.random.Generator) -> NDArray[np.float64]:
    """Return where targets stand [deg]: most of them where Potsdam sees them."""
    ra = random.uniform(0, 360, TARGETS)
    dec = np.degrees(np.arcsin(random.uniform(-0.25, 1, TARGETS)))
    positions = np.stack([ra, dec], axis=1)
    positions[: len(CORNERS)] = CORNERS
    return positions.round(6)


def _designation(number: int, ra: float, dec: float) -> str:
    minutes, arcminutes = int(ra * 4), int(abs(dec) * 60)
    sign = "-" if dec < 0 else "+"
    place = f"J{minutes // 60:02d}{minutes % 60:02d}{sign}{arcminutes // 60:02d}{arcminutes % 60:02d}"
    return f"SYN {number + 1:03d} {place}"
