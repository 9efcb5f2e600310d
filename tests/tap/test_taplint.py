"""stilts taplint, the validator that registries and operators run."""

from __future__ import annotations

import re
import subprocess

from tests.conftest import Service

# All but LOC, which is about the table of another standard, ivoa.obsplan.
STAGES = "TMV TME TMS TMC CPV CAP AVV QGE QPO QAS UWS MDQ OBS UPL EXA"


def test_taplint_finds_no_error_and_no_failure(service: Service) -> None:
    result = subprocess.run(
        ["/usr/bin/stilts", "taplint", f"tapurl={service.url}/tap", f"stages={STAGES}"],
        capture_output=True,
        text=True,
        check=False,
    )
    totals = re.search(
        r"Totals: Errors: (\d+); Warnings: (\d+); Infos: \d+; Summaries: \d+; Failures: (\d+)", result.stdout
    )
    assert totals, result.stdout + result.stderr
    complaints = [line for line in result.stdout.splitlines() if line.startswith(("E-", "F-", "W-"))]
    errors, warnings, failures = map(int, totals.groups())
    assert (errors, failures, warnings) == (0, 0, 0), "\n".join(complaints)
    assert [stage for stage in STAGES.split() if f"Section {stage}" not in result.stdout] == []
