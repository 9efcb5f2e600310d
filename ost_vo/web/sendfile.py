"""Files that the web server in front sends: the archive decides, and names the file in a header.

nginx and Caddy take ``X-Accel-Redirect`` and a path below :data:`LOCATION`; Apache's mod_xsendfile takes
``X-Sendfile`` and a path of the machine. They read ranges of the request themselves, and keep the header from
the client. Nobody but a trusted proxy ever gets it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from ost_vo import meters
from ost_vo.services.archive import Archive
from ost_vo.services.files import Download
from ost_vo.web.addresses import is_within, networks, peer_address

# What the sites in etc/ make of the data root; no client can ask for it.
LOCATION = "/ost_vo_files/"


# What each of them reads alike: Caddy 2.6 takes a percent sign for itself, and Apache for an escape.
_PLAIN = re.compile(r"[A-Za-z0-9._~/+-]+", re.ASCII)


def handed_over(request: Request, download: Download, headers: dict[str, str]) -> Response | None:
    """Return the answer that has the web server send an open file, which is closed here.

    Args:
        request: for the file.
        download: the file; it stays open where None is returned.
        headers: of the answer.

    Returns:
        None where the service has to send the file itself.
    """
    archive: Archive = request.app.state.archive
    settings = archive.settings
    peer = peer_address(request.scope)
    if settings.sendfile == "none" or peer is None or not is_within(peer, networks(settings.trusted_proxies)):
        return None
    # The path of the file that was checked, and not of a symbolic link to it.
    place = Path(os.readlink(f"/proc/self/fd/{download.descriptor}"))
    if not place.is_relative_to(settings.data):
        return None
    if settings.sendfile == "x-accel-redirect":
        name, value = "X-Accel-Redirect", f"{LOCATION}{place.relative_to(settings.data)}"
    else:
        name, value = "X-Sendfile", str(place)
    if not _PLAIN.fullmatch(value):
        return None
    meters.SENDFILE_BYTES.inc(download.status.st_size)
    download.close()
    return Response(headers={**headers, name: value})
