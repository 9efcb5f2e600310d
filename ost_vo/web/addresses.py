"""From where a request comes: what the connection says, and not what a stranger writes into a header."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from starlette.datastructures import Headers
from starlette.types import Scope

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Of a connection that has no address, as through a Unix socket.
UNKNOWN = "unknown"
# A household or an institute gets at least so many bits, and can take any address of them (RFC 6177).
_IPV6_PREFIX = 64


@lru_cache
def networks(text: str) -> tuple[Network, ...]:
    """Return the networks of a setting, which are separated by commas."""
    return tuple(ipaddress.ip_network(part) for part in filter(None, map(str.strip, text.split(","))))


def counted_address(scope: Scope, trusted: Iterable[Network]) -> str:
    """Return the address by which a caller is counted: IPv4, or the first 64 bits of IPv6.

    Args:
        scope: of the request.
        trusted: networks of the proxies.
    """
    address = client_address(scope, trusted)
    if address is None:
        return UNKNOWN
    if address.version == 6:
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
    return str(address)


def client_address(scope: Scope, trusted: Iterable[Network]) -> Address | None:
    """Return the address of a caller; None for a connection that has none.

    X-Forwarded-For counts only as far as trusted proxies wrote it: the last address in it that is not one of
    theirs is the client's.

    Args:
        scope: of the request.
        trusted: networks of the proxies.
    """
    address = peer_address(scope)
    if address is None:
        return None
    forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
    while forwarded and is_within(address, trusted):
        before = _address(forwarded.pop())
        if before is None:
            break
        address = before
    return address


def peer_address(scope: Scope) -> Address | None:
    """Return the address at the other end of the connection: the client's, or that of the last proxy."""
    client = scope.get("client")
    return _address(client[0]) if client else None


def _address(text: str) -> Address | None:
    """Return an address, with or without port or zone; None where it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if address.version == 6 else None
    return mapped or address


def is_within(address: Address, several: Iterable[Network]) -> bool:
    """Say whether an address lies in one of several networks."""
    return any(address in network for network in several)
