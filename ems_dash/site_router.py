"""Which site a request is about, where an installation has several.

Pages and routes ask one `Services` object, as ever. With several sites that object looks up, at
every call, the site the current request is about: the parameter ``site`` of its address, or else
the header that a page sends with everything it asks for. The header belongs to the page as it was
loaded, not to the browser: two tabs may show two sites.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from flask import Flask, Response, current_app, has_request_context, request

from ems_dash.services import Services, WholeServices
from engine.config.sites import no_such_site
from engine.domain.site_context import work_for
from engine.domain.snapshot import EngineSnapshot

PARAMETER: Final = "site"
HEADER: Final = "X-EMS-Site"
EXTENSION: Final = "ems_dash_sites"

_T = TypeVar("_T")


class SiteRouter:
    """Forwards every call to the services of the site that the current request is about.

    Args:
        sites: Site id to its services, in the order of the installation; at least one.
    """

    def __init__(self, sites: Mapping[str, WholeServices]) -> None:
        self._sites = dict(sites)

    @property
    def by_id(self) -> Mapping[str, WholeServices]:
        """Site id to its services, in the order of the installation."""
        return self._sites

    @property
    def all_sites(self) -> tuple[WholeServices, ...]:
        """The services of every site."""
        return tuple(self._sites.values())

    def here(self) -> WholeServices:
        """Return the services of the site that the current request is about.

        Raises:
            UnknownSiteError: It is about a site that does not exist.
            RuntimeError: There is no request.
        """
        if not has_request_context():
            # Any site would be as wrong as right, and numbers of two would be mixed.
            raise RuntimeError("Outside of a request it is not known which site is meant.")
        asked = asked_site()
        if asked is None:
            return next(iter(self._sites.values()))
        found = self._sites.get(asked)
        if found is None:
            raise no_such_site(asked, self._sites)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.here(), name)


def asked_site() -> str | None:
    """Return the id of the site that the current request names; None when it names none."""
    return request.args.get(PARAMETER) or request.headers.get(HEADER) or None


class _Part:
    """Forwards to a part of the services, looked up anew at every call."""

    def __init__(self, find: Callable[[], object]) -> None:
        self._find = find

    def __getattr__(self, name: str) -> Any:
        return getattr(self._find(), name)


def routed(sites: Mapping[str, WholeServices]) -> WholeServices:
    """Return one object for all sites; with a single one, its services themselves.

    Args:
        sites: Site id to its services, in the order of the installation; at least one.
    """
    if len(sites) == 1:
        return next(iter(sites.values()))
    # It has every attribute its sites have.
    return cast(WholeServices, SiteRouter(sites))


def part(find: Callable[[], _T]) -> _T:
    """Return a stand-in for a part of the services that may be kept: it asks `find` every time."""
    return cast(_T, _Part(find))


def all_sites(services: _T) -> tuple[_T, ...]:
    """Return the services of every site behind `services`."""
    if isinstance(services, SiteRouter):
        return cast(tuple[_T, ...], services.all_sites)
    return (services,)


def site_here(services: _T) -> _T:
    """Return the services of the site that the current request is about, to be kept.

    Raises:
        UnknownSiteError: It is about a site that does not exist.
    """
    return cast(_T, services.here()) if isinstance(services, SiteRouter) else services


def install_sites(server: Flask, services: Services) -> None:
    """Let the application behind `server` know its sites, for links and the site picker."""
    server.extensions[EXTENSION] = services
    if not isinstance(services, SiteRouter):
        return

    known = services.by_id

    @server.before_request
    def say_which() -> None:
        """Let the log name the site a request asks for; what asks for none concerns all."""
        asked = asked_site()
        work_for(asked if asked in known else None)

    @server.teardown_request
    def leave_it(_error: BaseException | None) -> None:
        """Let nothing the thread does later be taken for work on that site."""
        work_for(None)

    @server.after_request
    def stay(answer: Response) -> Response:
        """Let a page that leads on to another of our pages lead to it at the same site."""
        site = request.args.get(PARAMETER)
        target = urlsplit(answer.location or "")
        if site and answer.location and target.path.startswith("/") and not target.netloc:
            query = parse_qs(target.query, keep_blank_values=True)
            if PARAMETER not in query and "next" not in query:
                more = urlencode({**query, PARAMETER: site}, doseq=True)
                answer.location = urlunsplit(target._replace(query=more))
        return answer


def site_names() -> dict[str, str]:
    """Return id to name of every site of the application that serves the request, in order."""
    services = current_app.extensions.get(EXTENSION)
    if services is None:
        return {}
    sites = (one.snapshot().site for one in all_sites(services))
    return {site.site_id: site.name for site in sites}


def request_site() -> str | None:
    """Return the id of the site the current request is about; None where there is only one.

    Raises:
        UnknownSiteError: It is about a site that does not exist.
    """
    services = current_app.extensions.get(EXTENSION) if has_request_context() else None
    if not isinstance(services, SiteRouter):
        return None
    return services.here().snapshot().site.site_id


def request_snapshot() -> EngineSnapshot | None:
    """Return the state of the site the current request is about; None outside of a whole program.

    Raises:
        UnknownSiteError: It is about a site that does not exist.
    """
    services = current_app.extensions.get(EXTENSION) if has_request_context() else None
    return None if services is None else site_here(services).snapshot()
