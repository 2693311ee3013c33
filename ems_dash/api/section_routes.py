"""Routes that change one section of the configuration: the broker, the devices.

The same file, checks and backups as ``POST /api/config``; everything else in it stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from flask import Blueprint, Flask, Response
from pydantic import Field

from ems_dash.api.answers import InvalidRequestError, add_error_handlers, wrong_site
from ems_dash.api.bodies import parsed_body
from ems_dash.api.config_routes import CHANGING, CheckAnswer, change_answer, settings_of
from ems_dash.api.described import described
from ems_dash.api.models import ApiRequest
from ems_dash.auth.access import needs
from ems_dash.auth.roles import Role
from ems_dash.services import Services

_ALSO: Final = {400: (CheckAnswer, "The values have mistakes; nothing was saved.")}
_HINT: Final = (
    'Send {{"{0}": ..., "revision": ...}} with the section as values.{0} of GET /api/config has '
    'it and its revision; "save": true to keep it.'
)

Revision = Annotated[str, Field(max_length=64)]


class MqttConfigRequest(ApiRequest):
    """``POST /api/mqtt/config``: everything the section should state; saved when asked for."""

    mqtt: dict[str, Any]
    revision: Revision
    save: bool = False


class ModbusConfigRequest(ApiRequest):
    """``POST /api/modbus/config``: the sections to replace; saved when asked for."""

    modbus: dict[str, Any] | None = None
    devices: list[dict[str, Any]] | None = None
    revision: Revision
    save: bool = False


def register_section_api(server: Flask, services: Services, site_id: Callable[[], str]) -> None:
    """Add the routes to a Flask application.

    Args:
        server: The application.
        services: The seam to the engine.
        site_id: Returns the site that the current request is about.
    """
    api = Blueprint("section_api", __name__)

    def changed(sections: dict[str, Any], revision: str, *, save: bool) -> Response:
        desk = settings_of(services).desk
        return change_answer(desk, {**desk.read().values, **sections}, revision, save=save)

    @api.post("/api/mqtt/config")
    @needs(Role.ADMIN)
    @described("devices", CheckAnswer, body=MqttConfigRequest, also=_ALSO, errors=CHANGING)
    def mqtt() -> Response:
        """Check what the section `mqtt` should state; save it when asked to.

        What is saved takes effect at the next start.
        """
        if (wrong := wrong_site(site_id())) is not None:
            return wrong
        body = parsed_body(MqttConfigRequest, hint=_HINT.format("mqtt"))
        return changed({"mqtt": body.mqtt}, body.revision, save=body.save)

    @api.post("/api/modbus/config")
    @needs(Role.ADMIN)
    @described("devices", CheckAnswer, body=ModbusConfigRequest, also=_ALSO, errors=CHANGING)
    def modbus() -> Response:
        """Check what the sections `modbus` and `devices` should state; save them when asked to.

        What is saved takes effect at the next start.
        """
        if (wrong := wrong_site(site_id())) is not None:
            return wrong
        body = parsed_body(ModbusConfigRequest, hint=_HINT.format("modbus"))
        given = {"modbus": body.modbus, "devices": body.devices}
        sections = {name: value for name, value in given.items() if value is not None}
        if not sections:
            raise InvalidRequestError(
                "Neither modbus nor devices is given.", field="modbus", hint=_HINT.format("modbus")
            )
        return changed(sections, body.revision, save=body.save)

    add_error_handlers(api)
    server.register_blueprint(api)
