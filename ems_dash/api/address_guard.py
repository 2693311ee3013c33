"""Where a connection test may connect to: private addresses, and ports Modbus lives on.

Without this, the test would let anyone who reaches the API use this machine
to look for open ports elsewhere. The host is resolved once; the connection
then goes to the address that was checked, not to whatever the name means a
moment later.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Final

from ems_dash.auth.sender import plain_address
from engine.domain.errors import EmsError

MODBUS_PORTS: Final = frozenset({502, 1502, 5020, 8899})
"""Ports that devices and common gateways listen on."""

_ALLOWED_NETWORKS: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
    )
)
"""Loopback (RFC 1122, RFC 4291), private IPv4 (RFC 1918), unique local IPv6 (RFC 4193)."""

Resolve = Callable[[str, int], list[str]]
"""Returns the addresses of a host name; raises OSError when there are none."""


class AddressRefusedError(EmsError):
    """A host or port a connection test may not reach."""

    code = "address_refused"


def checked_address(host: str, port: int, extra_ports: Iterable[int], resolve: Resolve) -> str:
    """Return the one address of `host` that may be connected to.

    Args:
        host: Name or address.
        port: TCP port.
        extra_ports: Ports of configured devices, allowed besides `MODBUS_PORTS`.
        resolve: Resolves names.

    Raises:
        AddressRefusedError: A port that is not allowed, a name without address, or an address
            that is neither private nor loopback.
    """
    _refuse_odd(host)
    ports = MODBUS_PORTS | set(extra_ports)
    if port not in ports:
        raise AddressRefusedError(
            f"Port {port} may not be tested.",
            field="port",
            value=port,
            hint=f"Use one of {', '.join(str(p) for p in sorted(ports))}, "
            "or configure the device first.",
        )
    try:
        addresses = resolve(host, port)
    except (OSError, UnicodeError) as exc:
        raise AddressRefusedError(
            f"'{host}' has no address.",
            field="host",
            value=host,
            hint="Correct the host name, or give the device's IP address.",
        ) from exc
    # A name with one foreign address among its own is not to be trusted at all.
    if not addresses or not all(_is_local(address) for address in addresses):
        raise AddressRefusedError(
            f"'{host}' is not in a private network.",
            field="host",
            value=host,
            hint="Give an address of the site's own network, for example 192.168.1.20.",
        )
    return addresses[0]


def refuse_special(host: str, port: int, resolve: Resolve) -> None:
    """Refuse addresses that no broker has: link-local ones, where clouds answer with secrets.

    Args:
        host: Name or address.
        port: TCP port.
        resolve: Resolves names.

    Raises:
        AddressRefusedError: It has no address, or one that is link-local, multicast, reserved
            or unspecified.
    """
    _refuse_odd(host)
    try:
        addresses = resolve(host, port)
    except (OSError, UnicodeError) as exc:
        raise AddressRefusedError(
            f"'{host}' has no address.", field="host", value=host, hint="Correct the host name."
        ) from exc
    if not addresses or any(_is_special(address) for address in addresses):
        raise AddressRefusedError(
            f"'{host}' is not the address of a broker.",
            field="host",
            value=host,
            hint="Give its name or address, for example 192.168.1.20.",
        )


def _refuse_odd(host: str) -> None:
    """Refuse what resolvers cut off or read in their own way."""
    if len(host) > 253 or any(ord(char) <= 32 or ord(char) == 127 for char in host):
        raise AddressRefusedError(
            "This is no host name.", field="host", value=host[:80], hint="Give a name or address."
        )


def _is_special(text: str) -> bool:
    try:
        address = plain_address(text)
    except ValueError:
        return True
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or (address.is_reserved and not address.is_loopback)
        or address in _CLOUD_SECRETS
    )


_CLOUD_SECRETS: Final = (
    ipaddress.ip_address("fd00:ec2::254"),
    ipaddress.ip_address("100.100.100.200"),
)
"""Where clouds hand out secrets to whoever asks, besides 169.254.169.254."""


def _is_local(text: str) -> bool:
    try:
        address = plain_address(text)
    except ValueError:
        return False
    return any(address in network for network in _ALLOWED_NETWORKS)
