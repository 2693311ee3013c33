"""Sections ``access`` and ``server`` of ``ems.yaml``: how long a login lasts, who may look in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.config.section import Section

HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")]


class AccessConfig(Section):
    """Who may look in without an account, and how long a login lasts.

    Attributes:
        anonymous_role: ``viewer`` lets everybody read who reaches the pages, for screens in a
            control room; ``none`` asks everybody to log in.
        session_idle_minutes: A login ends after so long without a request.
        session_hours: A login ends after so long in any case, however busy its page is.
    """

    anonymous_role: Literal["none", "viewer"] = "none"
    session_idle_minutes: Annotated[int, Field(ge=5, le=1440)] = 30
    session_hours: Annotated[int, Field(ge=1, le=168)] = 12


class ServerConfig(Section):
    """How the pages are reached from outside.

    Attributes:
        allowed_hosts: Names besides ``localhost`` under which browsers may ask for the pages;
            addresses always may.
        proxy_hops: How many proxies stand in front, each adding to ``X-Forwarded-For``.
    """

    allowed_hosts: list[HostName] = Field(default_factory=list)
    proxy_hops: Annotated[int, Field(ge=0, le=5)] = 0
