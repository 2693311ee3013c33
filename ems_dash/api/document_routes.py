"""Routes that tell what the API is: the document as YAML and JSON, and as a page to read."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

from flask import Blueprint, Flask, Response, render_template
from pydantic import RootModel
from ruamel.yaml import YAML

from ems_dash.api.answers import add_error_handlers, json_answer, revalidated
from ems_dash.api.described import described
from ems_dash.api.document import api_document
from ems_dash.api.document_page import page_values
from ems_dash.auth.access import needs
from ems_dash.auth.roles import Role
from engine.domain.product import product_version

YAML_MEDIA = "application/yaml"
"""RFC 9512."""


class Document(RootModel[dict[str, Any]]):
    """The API as an OpenAPI 3.1 document."""


def register_document_api(server: Flask) -> None:
    """Add the document about every described route of the Flask application `server`."""
    api = Blueprint("document_api", __name__, template_folder="templates")

    @cache
    def document() -> dict[str, Any]:
        return api_document(server, title="EMS Dash", version=product_version())

    @cache
    def as_yaml() -> bytes:
        out, writer = io.BytesIO(), YAML(typ="safe", pure=True)
        writer.default_flow_style = False
        writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
        writer.width = 100
        writer.dump(document(), out)
        return out.getvalue()

    @api.get("/api/openapi.json")
    @needs(Role.VIEWER)
    @described("service", Document, site=False, revalidated=True)
    def as_json() -> Response:
        """This document as JSON."""
        return revalidated(json_answer(Document(document())))

    @api.get("/api/openapi.yaml")
    @needs(Role.VIEWER)
    @described("service", site=False, media={YAML_MEDIA: "The document as YAML."}, revalidated=True)
    def yaml() -> Response:
        """This document as YAML."""
        return revalidated(Response(as_yaml(), mimetype=YAML_MEDIA))

    @api.get("/api/docs")
    @needs(Role.VIEWER)
    @described("service", site=False, media={"text/html": "A page to read."})
    def docs() -> Response:
        """This document as a page to read."""
        answer = Response(render_template("api/docs.html", **page_values(document())))
        answer.headers["Cache-Control"] = "no-store"
        return answer

    add_error_handlers(api)
    server.register_blueprint(api)
