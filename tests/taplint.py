"""stilts taplint, the validator that registries and operators run."""

from __future__ import annotations

import subprocess

from tests.conftest import Service


def taplint(service: Service, stages: str) -> subprocess.CompletedProcess[str]:
    """Let the validator go through some of its stages."""
    return subprocess.run(
        ["/usr/bin/stilts", "taplint", f"tapurl={service.url}/tap", f"stages={stages}"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def complaints(result: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what the validator has printed of errors, failures and warnings."""
    return [line for line in result.stdout.splitlines() if line.startswith(("E-", "F-", "W-"))]
