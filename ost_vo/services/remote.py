"""Fetching what a URL of a client names, without becoming the client's hand inside the network.

A request goes only to addresses of the public internet, and to networks that the operator has named. The
address that was checked is the one that is connected to, for each redirect anew; so no name can mean one
address while it is looked at and another one later. Environment variables for proxies are not heeded.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import SplitResult, urljoin, urlsplit

from ost_vo.faults import TransientFault, UsageFault

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

REDIRECTS = 5
_CONNECT_SECONDS = 10.0
_CHUNK = 64 * 1024
_PORTS = {"http": 80, "https": 443}
# Addresses that carry an IPv4 address in their last bytes, for a gateway that is not ours (RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Limits:
    """What a fetch may take.

    Attributes:
        networks: addresses that are allowed though they are not public.
        size: bytes of the answer at the most.
        seconds: for everything together [s].
    """

    networks: Sequence[Network]
    size: int
    seconds: float


def networks(text: str) -> tuple[Network, ...]:
    """Return the networks of a list with commas, such as ``10.1.0.0/16, ::1``.

    Raises:
        ValueError: one of them is none.
    """
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def fetch(url: str, file: BinaryIO, limits: Limits) -> None:
    """Write what an http(s) URL answers to a file.

    Raises:
        UsageFault: the URL is none that is fetched, the answer is not 200 or too large.
        TransientFault: the host does not answer in time.
    """
    deadline = time.monotonic() + limits.seconds
    for _ in range(REDIRECTS + 1):
        target = _fetch_once(url, file, limits, deadline)
        if target is None:
            return
        url = urljoin(url, target)
    raise UsageFault(f"{url} redirects more than {REDIRECTS} times.", "Give the URL of the table itself.")


def _fetch_once(url: str, file: BinaryIO, limits: Limits, deadline: float) -> str | None:
    """Fetch one URL; return where it redirects to, None when the file is written."""
    parts = _parts(url)
    connection = _connection(parts, _address(parts, limits.networks), deadline)
    # The time limits of a socket begin again with every byte: this one does not.
    alarm = threading.Timer(_left(url, deadline), _hang_up, [connection])
    alarm.daemon = True
    alarm.start()
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Accept-Encoding": "identity", "User-Agent": "ost_vo", "Connection": "close"}
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        if response.status in (301, 302, 303, 307, 308):
            return response.headers.get("Location", "")
        if response.status != 200:
            raise UsageFault(f"{url} answers with the status {response.status}.", "Check the URL.")
        _save(url, response, file, limits.size, deadline)
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        reason = str(error) or type(error).__name__
        raise TransientFault(f"{url} cannot be fetched: {reason}.", "Check the URL, or try later.") from None
    finally:
        alarm.cancel()
        connection.close()
    return None


def _save(url: str, response: http.client.HTTPResponse, file: BinaryIO, most: int, deadline: float) -> None:
    size = 0
    while chunk := response.read1(_CHUNK):
        size += len(chunk)
        if size > most:
            raise UsageFault(f"{url} is larger than {most} bytes.", "Upload fewer rows or columns.")
        _left(url, deadline)
        file.write(chunk)
    if response.length:
        raise TransientFault(f"{url} breaks off after {size} bytes.", "Try again.")
    _left(url, deadline)


def _left(url: str, deadline: float) -> float:
    """Return how much time is left [s]; raises TransientFault when it is over."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TransientFault(f"{url} has not answered in time.", "Upload the table with the request.")
    return left


def _hang_up(connection: http.client.HTTPConnection) -> None:
    with suppress(OSError):  # it has ended meanwhile
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)


def _parts(url: str) -> SplitResult:
    hint = "Give an http or https URL with a host, and without user and password."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageFault(f"{url[:200]!r} is no URL.", hint) from None
    legal = url.isascii() and url.isprintable() and " " not in url and port != 0
    if not legal or parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        raise UsageFault(f"{url[:200]!r} cannot be fetched.", hint)
    return parts


def _address(parts: SplitResult, allowed: Sequence[Network]) -> tuple[str, int]:
    """Return the address and port to connect to."""
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UsageFault(f"There is no host {host}.", "Check the URL.") from None
    for *_, place in found:
        if may_reach(ipaddress.ip_address(str(place[0]).split("%")[0]), allowed):
            return str(place[0]), port
    raise UsageFault(
        f"The host {host} is not on the public internet, and the archive fetches nothing from elsewhere.",
        "Upload the table with the request (UPLOAD=name,param:part).",
    )


def may_reach(address: Address, allowed: Sequence[Network]) -> bool:
    """Tell whether something may be fetched from an address: a public one, or one that is allowed."""
    if any(address in network for network in allowed):
        return True
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return may_reach(address.ipv4_mapped, allowed)
        if address in _NAT64:
            return may_reach(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF), allowed)
        if address.sixtofour is not None or address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _connection(parts: SplitResult, address: tuple[str, int], deadline: float) -> http.client.HTTPConnection:
    """Return a connection to that very address, with the host's name in the request and for TLS."""
    host, url = parts.hostname or "", parts.geturl()
    connection = http.client.HTTPConnection(host, address[1], timeout=_CONNECT_SECONDS)
    if parts.scheme == "https":
        connection.default_port = 443  # otherwise the Host header would name it
    try:
        seconds = min(_CONNECT_SECONDS, _left(url, deadline))
        plain = socket.create_connection(address, timeout=seconds)
        connection.sock = plain if parts.scheme == "http" else _encrypted(plain, host)
    except OSError as error:
        raise TransientFault(f"{url} cannot be reached: {error}.", "Check the URL, or try later.") from None
    return connection


def _encrypted(plain: socket.socket, host: str) -> socket.socket:
    try:
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise
