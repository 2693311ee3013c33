"""Routes about Modbus devices: configuration (read), profiles, connection test.

The test only reads from a device, and one test runs at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from flask import Blueprint, Flask, Response
from pydantic import RootModel

from ems_dash.api.address_guard import Resolve, checked_address
from ems_dash.api.answers import (
    InvalidRequestError,
    add_error_handlers,
    json_answer,
    revalidated,
    wrong_site,
)
from ems_dash.api.bodies import parsed_body
from ems_dash.api.described import described
from ems_dash.api.modbus_models import (
    ConnectionTestAnswer,
    ConnectionTestRequest,
    DeviceRegister,
    DeviceRegistersAnswer,
    ModbusConfigAnswer,
    ModbusStatusAnswer,
    ProfileDetail,
    ProfilesAnswer,
    asset_infos,
    connection_test_answer,
    modbus_status_answer,
    profile_detail,
    profile_summary,
)
from ems_dash.api.parameters import Text
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
_PROFILE: Final = Text("profile", "Key of one profile.")
_DEVICE: Final = Text("device", "Name of the device; left out, the first one.")


class ProfilesOrDetail(RootModel[ProfilesAnswer | ProfileDetail]):
    """Every profile in short, or everything about the one that was asked for."""


class UnknownDeviceError(EmsError):
    """No device or profile of that name."""

    code = "not_found"


def register_modbus_api(
    server: Flask,
    services: DeviceServices,
    site_id: Callable[[], str],
    *,
    resolve: Resolve = system_resolve,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Add the Modbus routes to a Flask application.

    Args:
        server: The application.
        services: The devices of the running site.
        site_id: Returns the site that the current request is about.
        resolve: Resolves the host of a test, once.
        monotonic: Paces the rate limit.
    """
    api = Blueprint("modbus_api", __name__)
    gate = OneAtATime("connection test", TEST_INTERVAL_S, monotonic)

    @api.get("/api/modbus/config")
    @needs(Role.VIEWER)
    @described("devices", ModbusConfigAnswer)
    def config() -> Response:
        """The configured devices as the program runs with them, and what they are assets of."""
        if (wrong := wrong_site(site_id())) is not None:
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
    @described("devices", ModbusStatusAnswer)
    def status() -> Response:
        """Requests, errors by kind, latencies, clocks and power limits of every device."""
        if (wrong := wrong_site(site_id())) is not None:
            return wrong
        return json_answer(
            modbus_status_answer(
                services.statistics(), services.device_clocks(), services.limit_states()
            )
        )

    @api.get("/api/modbus/registers")
    @needs(Role.VIEWER)
    @described(
        "devices",
        DeviceRegistersAnswer,
        query=(_DEVICE,),
        errors={404: "There is no such site or device."},
    )
    def registers() -> Response:
        """Every value of one device beside the registers it was read from."""
        if (wrong := wrong_site(site_id())) is not None:
            return wrong
        name = _known_device(services, _DEVICE.read())
        found = [DeviceRegister.model_validate(one) for one in services.registers(name)]
        return json_answer(DeviceRegistersAnswer(device=name, registers=found))

    @api.get("/api/modbus/profiles")
    @needs(Role.VIEWER)
    @described(
        "devices",
        ProfilesOrDetail,
        query=(_PROFILE,),
        site=False,
        revalidated=True,
        errors={404: "There is no such profile."},
    )
    def profiles() -> Response:
        """Device profiles: all of them in short, or everything about one."""
        key = _PROFILE.read()
        if key is None:
            found = [profile_summary(profile) for profile in MODBUS_PROFILES.values()]
            return revalidated(json_answer(ProfilesAnswer(profiles=found)))
        if key not in MODBUS_PROFILES:
            raise UnknownDeviceError(
                f"There is no device profile '{key}'.",
                field="profile",
                value=key,
                hint=f"Known profiles: {', '.join(sorted(MODBUS_PROFILES))}.",
            )
        return revalidated(json_answer(profile_detail(MODBUS_PROFILES[key])))

    @api.post("/api/modbus/test")
    @needs(Role.ADMIN)
    @described(
        "devices",
        ConnectionTestAnswer,
        body=ConnectionTestRequest,
        errors={404: "There is no such site, device or profile."},
    )
    def test() -> Response:
        """Test a device by reading from it: a configured one, or one to be.

        Only private addresses and ports that Modbus lives on. One test at a time.
        """
        if (wrong := wrong_site(site_id())) is not None:
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
    return parsed_body(
        ConnectionTestRequest,
        hint="Name a configured device, or give profile and host.",
        most_bytes=MAX_BODY_BYTES,
    )


def _known_device(services: DeviceServices, asked: str | None) -> str:
    known = [spec.name for spec in services.devices()]
    if asked is None and known:
        return known[0]
    if asked not in known:
        raise UnknownDeviceError(
            f"There is no device '{(asked or '')[:40]}'.",
            field="device",
            value=asked,
            hint=f"Configured are {', '.join(known)}.",
        )
    return asked


def _spec(services: DeviceServices, body: ConnectionTestRequest) -> DeviceSpec:
    if body.device is not None:
        if body.model_fields_set - {"device"}:
            other = sorted(body.model_fields_set - {"device"})
            raise InvalidRequestError(
                f"A configured device is tested as it is; {', '.join(other)} cannot be changed.",
                field=other[0],
                hint="Leave out device to test other settings.",
            )
        name = _known_device(services, body.device)
        return next(spec for spec in services.devices() if spec.name == name)
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
