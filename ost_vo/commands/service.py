"""`ost-vo serve`: the web service alone, for systemd and the like."""

from __future__ import annotations

from typing import Annotated

import typer

from ost_vo.settings import Settings


def serve(
    fd: Annotated[
        int | None, typer.Option(help="Number of an open socket that listens; systemd's first is 3.")
    ] = None,
    drain: Annotated[
        int | None, typer.Option(min=1, help="Time for requests to end in, not OST_VO_DRAIN_SECONDS [s].")
    ] = None,
) -> None:
    """Answer requests until ended; SIGHUP replaces the processes without a failed request."""
    from ost_vo.web.serving import serve as serve_archive

    serve_archive(Settings(), fd, drain)
