"""stilts taplint, the validator that registries and operators run."""

from __future__ import annotations

import re

from tests.conftest import Service
from tests.taplint import complaints, taplint

# All but LOC, which is about the table of another standard, ivoa.obsplan.
STAGES = "TMV TME TMS TMC CPV CAP AVV QGE QPO QAS UWS MDQ OBS UPL EXA"


def test_taplint_finds_no_error_and_no_failure(service: Service) -> None:
    result = taplint(service, STAGES)
    totals = re.search(
        r"Totals: Errors: (\d+); Warnings: (\d+); Infos: \d+; Summaries: \d+; Failures: (\d+)", result.stdout
    )
    assert totals, result.stdout + result.stderr
    errors, warnings, failures = map(int, totals.groups())
    assert (errors, failures, warnings) == (0, 0, 0), "\n".join(complaints(result))
