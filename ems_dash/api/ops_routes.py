"""Routes for those who run the program: is it ready, and its metrics."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Flask, Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from ems_dash.api.answers import add_error_handlers, json_answer
from ems_dash.api.described import described
from ems_dash.api.models import ApiModel
from ems_dash.auth.access import may, public, require
from ems_dash.auth.roles import Role
from ems_dash.auth.sender import sender_of
from engine.runtime.readiness import Readiness


class PartInfo(ApiModel):
    """One part of what runs a site; see `engine.runtime.readiness.Part`."""

    site: str
    name: str
    state: str
    detail: str | None


class ReadyAnswer(ApiModel):
    """``GET /readyz``: 200 when nothing failed, else 503."""

    ready: bool
    parts: list[PartInfo]


def register_ops(
    server: Flask, sites: Mapping[str, Readiness], registry: CollectorRegistry
) -> None:
    """Add the routes to a Flask application.

    Args:
        server: The application.
        sites: Site id to what knows the parts that run it.
        registry: Holds the metrics.
    """
    api = Blueprint("ops", __name__)

    @api.get("/readyz")
    @public
    @described(
        "service",
        ReadyAnswer,
        site=False,
        also={503: (ReadyAnswer, "A part of the program cannot do its work.")},
    )
    def readyz() -> Response:
        """Whether every part of the program can do its work, and which cannot."""
        parts = [(site, part) for site, one in sites.items() for part in one.parts()]
        ready = all(part.state != "failed" for _, part in parts)
        # The words may name folders and processes; who is not known here gets the states only.
        told = _is_here() or may(Role.VIEWER)
        listed = [
            PartInfo(site=site, name=p.name, state=p.state, detail=p.detail if told else None)
            for site, p in parts
        ]
        return json_answer(ReadyAnswer(ready=ready, parts=listed), 200 if ready else 503)

    @api.get("/metrics")
    @public
    @described(
        "service",
        site=False,
        media={"text/plain": "Metrics in the text format of Prometheus."},
        errors={401: "It is not known who asks.", 403: "Who asks may not do this."},
    )
    def metrics() -> Response:
        """Metrics for Prometheus: to this machine, and to users and tokens that may read."""
        if not _is_here():
            require(Role.VIEWER, named=True)
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    add_error_handlers(api)
    server.register_blueprint(api)


def _is_here() -> bool:
    """Return True for a request from this machine itself, not passed on by a proxy on it."""
    return sender_of(request, proxy_hops=0).is_loopback
