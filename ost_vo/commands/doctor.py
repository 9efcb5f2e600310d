"""`ost-vo doctor`: what is wrong with this installation."""

from __future__ import annotations

import typer
from rich.console import Console

from ost_vo.settings import Settings

out = Console(highlight=False)


def doctor() -> None:
    """Look the installation over, and say what is wrong and what to do; exit status 1 if anything is."""
    from ost_vo.services.doctor import examine

    findings = examine(Settings())
    for finding in findings:
        out.print(f"{finding.subject}: {finding.problem}", markup=False, soft_wrap=True, style="red")
        out.print(f"    {finding.remedy}", markup=False, soft_wrap=True)
    if findings:
        raise typer.Exit(1)
    out.print("All is well.")
