"""Where a request comes from, as far as that can be believed."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from flask import Request

_FORWARDED: Final = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via")


@dataclass(frozen=True, slots=True)
class Sender:
    """The other end of a connection.

    Attributes:
        address: Its address; with a note when a proxy stands between that nobody told us of.
        is_loopback: True for this machine.
        is_private: True for this machine and private networks (RFC 1918, RFC 4193, link-local).
        agent: What the browser calls itself.
    """

    address: str
    is_loopback: bool
    is_private: bool
    agent: str = ""


def plain_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return an address without its zone; IPv4 where IPv6 only wraps it.

    Raises:
        ValueError: It is no address.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def sender_of(request: Request, *, proxy_hops: int) -> Sender:
    """Return where `request` comes from.

    A proxy that is not configured (``server.proxy_hops``) makes everybody look like this
    machine, so what it passes on counts as foreign.
    """
    address = request.remote_addr or "unknown"
    agent = request.user_agent.string
    if proxy_hops == 0 and any(name in request.headers for name in _FORWARDED):
        return Sender(f"{address} (proxy)", False, False, agent)
    return sender(address, agent)


def sender(address: str, agent: str = "") -> Sender:
    """Return the sender with this address."""
    try:
        found = plain_address(address)
    except ValueError:
        return Sender(address, False, False, agent)
    private = any(found in net for net in _PRIVATE if net.version == found.version)
    return Sender(address, found.is_loopback, private, agent)


_PRIVATE: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
)
