"""Plate solving with astrometry.net's `solve-field`, which looks for the stars of an image in an index.

It works on a small copy of the image in a directory of its own, so it sees nothing of the data root.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ost_vo.services import light_times
from ost_vo.services.looks import Plane
from ost_vo.settings import Settings
from ost_vo.store.analysis import Item
from ost_vo.store.findings import DONE, FAILED, SOLUTION, Outcome, Solution
from ost_vo.vo.lighttime import arrival

# What a pixel scale from the header may be off by.
_SCALE_FACTOR = 1.25
_SPARE_SECONDS = 30
_LOG_BYTES = 2000
# To be raised when another way of solving may find what this one does not.
_METHOD = 1
# Positions are wanted, and no distortions; the Python programs that remove artefacts of some cameras, and the
# files that only plots need, are left out.
_OPTIONS = (
    "--no-plots", "--overwrite", "--no-tweak", "--no-remove-lines", "--uniformize", "0", "--no-verify",
    "--crpix-center", "--new-fits", "none", "--corr", "none", "--match", "none", "--rdls", "none",
    "--index-xyls", "none", "--solved", "none", "--temp-axy",
)  # fmt: skip

# Makes a solution of a file with the WCS of a plane.
Placing = Callable[[Path, Plane], Solution]


class Failed(Exception):
    """The solver did not run as it should; the text says what it said."""


@dataclass(frozen=True, slots=True)
class Hints:
    """What the header says, as options of the solver; empty where it says nothing."""

    options: tuple[str, ...]

    @classmethod
    def of(cls, item: Item, plane: Plane, radius: float) -> Hints:
        """Return what is known of a product's position [deg] and of the scale of its plane."""
        options: list[str] = []
        if item.s_ra is not None and item.s_dec is not None:
            options += ["--ra", f"{item.s_ra:.6f}", "--dec", f"{item.s_dec:.6f}", "--radius", f"{radius:g}"]
        if item.s_pixel_scale is not None:
            scale = item.s_pixel_scale * plane.step
            options += ["--scale-units", "arcsecperpix"]
            options += ["--scale-low", f"{scale / _SCALE_FACTOR:.6g}"]
            options += ["--scale-high", f"{scale * _SCALE_FACTOR:.6g}"]
        return cls(tuple(options))


def digest(settings: Settings) -> str:
    """Return what stands for the settings that decide whether an image is solved."""
    chosen = [_METHOD, settings.solve_command, settings.solve_config, settings.solve_seconds]
    return hashlib.sha256(json.dumps([*map(str, chosen), settings.solve_radius]).encode()).hexdigest()[:16]


def seconds(settings: Settings) -> float:
    """Return the longest that `solve` takes [s]."""
    return 2 * _patience(settings)


def solve(
    settings: Settings, item: Item, plane: Plane, scratch: Path, place: Placing
) -> tuple[Outcome, Solution | None]:
    """Look for the stars of a plane: first near where the header says, then all over the sky.

    Args:
        settings: of the solver.
        item: the product.
        plane: the copy of its image in the directory.
        scratch: that directory, where the solver writes, too.
        place: makes a solution of the solver's WCS.
    """
    configured = digest(settings)
    hints = Hints.of(item, plane, settings.solve_radius).options
    try:
        found = any(_is_solved(settings, scratch, options) for options in ((hints, ()) if hints else ((),)))
        if found:
            return Outcome(SOLUTION, configured, DONE), place(scratch / "plane.wcs", plane)
    except (Failed, ValueError, OSError) as error:
        return Outcome(SOLUTION, configured, FAILED, f"The solver failed: {error}"), None
    reason = f"No solution within {settings.solve_seconds} s of computing time."
    return Outcome(SOLUTION, configured, FAILED, reason), None


def with_light_time(settings: Settings, item: Item, found: Solution) -> Solution:
    """Return a solution with the dates that light has at the Sun and at the barycentre from its position.

    Args:
        settings: with the site, where the header has none.
        item: the product.
        found: its solution.
    """
    place = light_times.site(settings, item.site)
    dated = None if item.middle is None else arrival(item.middle, found.s_ra, found.s_dec, place)
    return replace(found, hjd=dated.hjd, bjd=dated.bjd) if dated else found


def _is_solved(settings: Settings, scratch: Path, hints: tuple[str, ...]) -> bool:
    """Run the solver once.

    Raises:
        Failed: it cannot be run, or fails.
    """
    command = [settings.solve_command, *_OPTIONS, "--cpulimit", str(settings.solve_seconds)]
    command += ["--dir", str(scratch), "--temp-dir", str(scratch), "--out", "plane", *hints]
    if settings.solve_config:
        command += ["--config", settings.solve_config]
    log = scratch / "solver.log"
    status = _run([*command, str(scratch / Plane.FILE_NAME)], scratch, log, settings)
    if (scratch / "plane.wcs").exists():
        return True
    said = log.read_bytes()[-_LOG_BYTES:].decode(errors="replace").strip().splitlines()
    # It ends with 0 also without a solution.
    if status != 0:
        raise Failed(f"it ended with {status} ({said[-1] if said else 'without a word'}).")
    return False


def _run(command: list[str], scratch: Path, log: Path, settings: Settings) -> int:
    """Run a command in a session of its own, which ends with it; return its status."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(scratch), "LC_ALL": "C.UTF-8"}
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command,
                cwd=scratch,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise Failed(f"{command[0]}: {error.strerror}.") from error
    limit = settings.solve_seconds + _SPARE_SECONDS
    try:
        # What it starts inherits the limit.
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (limit, limit))
        return process.wait(_patience(settings))
    except subprocess.TimeoutExpired:
        raise Failed(f"it took longer than {_patience(settings):.0f} s.") from None
    except ProcessLookupError:
        return process.wait()
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End whatever is left of a command and its children."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def _patience(settings: Settings) -> float:
    return 2.0 * settings.solve_seconds + _SPARE_SECONDS
