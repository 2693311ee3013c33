"""The site a request is about, and that two at a time never meet."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from flask import Flask

from ems_dash.services import WholeServices
from ems_dash.site_router import HEADER, all_sites, part, routed, site_here
from engine.config.sites import UnknownSiteError


def _site(name: str) -> WholeServices:
    site = SimpleNamespace(site_id=name, name=name.title())
    return cast(
        WholeServices,
        SimpleNamespace(
            snapshot=lambda: SimpleNamespace(site=site),
            backups=SimpleNamespace(where=lambda: f"/backups/{name}"),
        ),
    )


SITES = {name: _site(name) for name in ("north", "south")}


def _asked(address: str, **headers: str) -> str:
    with Flask("test").test_request_context(address, headers=headers):
        return routed(SITES).snapshot().site.site_id


def test_one_site_is_not_wrapped() -> None:
    only = _site("only")
    assert routed({"only": only}) is only
    assert all_sites(only) == (only,)
    assert site_here(only) is only


@pytest.mark.parametrize(
    ("address", "headers", "site"),
    [
        ("/", {}, "north"),
        ("/?site=south", {}, "south"),
        ("/_dash-update-component", {HEADER: "south"}, "south"),
        ("/api/state?site=north", {HEADER: "south"}, "north"),
    ],
)
def test_address_first_then_header_then_the_first_site(
    address: str, headers: dict[str, str], site: str
) -> None:
    assert _asked(address, **headers) == site


@pytest.mark.parametrize(("address", "headers"), [("/?site=east", {}), ("/", {HEADER: "east"})])
def test_an_unknown_site_is_said_with_the_known_ones(address: str, headers: dict[str, str]) -> None:
    with pytest.raises(UnknownSiteError, match="north, south"):
        _asked(address, **headers)


def test_without_a_request_no_site_is_guessed() -> None:
    with pytest.raises(RuntimeError, match="which site"):
        routed(SITES).snapshot()


def test_a_part_that_is_kept_still_asks_which_site() -> None:
    services = routed(SITES)
    kept: Any = part(lambda: services.backups)
    app = Flask("test")
    for name in SITES:
        with app.test_request_context(f"/?site={name}"):
            assert kept.where() == f"/backups/{name}"


def test_what_outlives_the_request_is_bound_to_its_site() -> None:
    services = routed(SITES)
    with Flask("test").test_request_context("/?site=south"):
        bound = site_here(services)
    assert bound is SITES["south"]
    assert all_sites(services) == tuple(SITES.values())
