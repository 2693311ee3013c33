"""Routes about Modbus devices: configuration (read), profiles, connection test.

The test only reads from a device, and one test runs at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from flask import Blueprint, Flask, Response, request
from pydantic import ValidationError

from ems_dash.api.address_guard import Resolve, checked_address
from ems_dash.api.answers import InvalidRequestError, add_error_handlers, json_answer, wrong_site
from ems_dash.api.modbus_models import (
    ConnectionTestRequest,
    ModbusConfigAnswer,
    ProfilesAnswer,
    asset_infos,
    connection_test_answer,
    modbus_status_answer,
    profile_detail,
    profile_summary,
)
from ems_dash.api.request_guard import OneAtATime
from ems_dash.auth.access import needs
from ems_dash.auth.roles import Role
from ems_dash.services import DeviceServices
from engine.config.devices import DeviceConfig
from engine.devices.connection_test.runner import system_resolve
from engine.devices.profile import MODBUS_PROFILES
from engine.devices.spec import DeviceSpec
from engine.devices.transport import Transport
from engine.domain.errors import EmsError

MAX_BODY_BYTES: Final = 64_000
TEST_INTERVAL_S: Final = 1.0

_NEW_DEVICE: Final = "under-test"


class UnknownDeviceError(EmsError):
    """No device or profile of that name."""

    code = "not_found"


def register_modbus_api(
    server: Flask,
    services: DeviceServices,
    site_id: str,
    *,
    resolve: Resolve = system_resolve,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Add the Modbus routes to a Flask application.

    Args:
        server: The application.
        services: The devices of the running site.
        site_id: The site this installation serves.
        resolve: Resolves the host of a test, once.
        monotonic: Paces the rate limit.
    """
    api = Blueprint("modbus_api", __name__)
    gate = OneAtATime("connection test", TEST_INTERVAL_S, monotonic)

    @api.get("/api/modbus/config")
    @needs(Role.VIEWER)
    def config() -> Response:
        if (wrong := wrong_site(site_id)) is not None:
            return wrong
        return json_answer(
            ModbusConfigAnswer(
                demo=services.config.demo,
                modbus=services.config.modbus,
                devices=list(services.config.devices),
                assets=asset_infos(services.assets),
            )
        )

    @api.get("/api/modbus/status")
    @needs(Role.VIEWER)
    def status() -> Response:
        if (wrong := wrong_site(site_id)) is not None:
            return wrong
        return json_answer(
            modbus_status_answer(
                services.statistics(), services.device_clocks(), services.limit_states()
            )
        )

    @api.get("/api/modbus/profiles")
    @needs(Role.VIEWER)
    def profiles() -> Response:
        key = request.args.get("profile")
        if key is None:
            found = [profile_summary(profile) for profile in MODBUS_PROFILES.values()]
            return json_answer(ProfilesAnswer(profiles=found))
        if key not in MODBUS_PROFILES:
            raise UnknownDeviceError(
                f"There is no device profile '{key}'.",
                field="profile",
                value=key,
                hint=f"Known profiles: {', '.join(sorted(MODBUS_PROFILES))}.",
            )
        return json_answer(profile_detail(MODBUS_PROFILES[key]))

    @api.post("/api/modbus/test")
    @needs(Role.ADMIN)
    def test() -> Response:
        if (wrong := wrong_site(site_id)) is not None:
            return wrong
        spec = _spec(services, _body())
        with gate.turn():
            address = None
            if spec.transport is not Transport.RTU:
                ports = {device.port for device in services.devices()}
                address = checked_address(spec.host, spec.port, ports, resolve)
            return json_answer(connection_test_answer(services.test(spec, address)))

    add_error_handlers(api)
    server.register_blueprint(api)


def _body() -> ConnectionTestRequest:
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise InvalidRequestError(
            f"The request is larger than {MAX_BODY_BYTES // 1000} kB.", hint="Send less."
        )
    data = request.get_data(cache=False)
    if not request.is_json:
        raise InvalidRequestError(
            "The request is not JSON.",
            field="Content-Type",
            value=request.content_type,
            hint="Send application/json.",
        )
    try:
        return ConnectionTestRequest.model_validate_json(data)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        raise InvalidRequestError(
            f"{first['msg']}.",
            field=".".join(str(part) for part in first["loc"]) or None,
            hint="Name a configured device, or give profile and host.",
        ) from exc


def _spec(services: DeviceServices, body: ConnectionTestRequest) -> DeviceSpec:
    if body.device is not None:
        if body.model_fields_set - {"device"}:
            other = sorted(body.model_fields_set - {"device"})
            raise InvalidRequestError(
                f"A configured device is tested as it is; {', '.join(other)} cannot be changed.",
                field=other[0],
                hint="Leave out device to test other settings.",
            )
        for spec in services.devices():
            if spec.name == body.device:
                return spec
        known = ", ".join(spec.name for spec in services.devices())
        raise UnknownDeviceError(
            f"There is no device '{body.device}'.",
            field="device",
            value=body.device,
            hint=f"Configured are {known}.",
        )
    for name in ("profile", "host"):
        if getattr(body, name) is None:
            raise InvalidRequestError(
                f"{name} is missing.",
                field=name,
                hint="Name a configured device, or give profile and host.",
            )
    settings = body.model_dump(exclude={"device"}, exclude_unset=True)
    return services.new_device(
        DeviceConfig.model_validate({"name": _NEW_DEVICE, "timeout_s": body.timeout_s, **settings})
    )
