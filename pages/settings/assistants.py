"""Tests of devices and broker with values that are not saved yet."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import dash
from dash import html, no_update
from pydantic import ValidationError

from ems_dash.api.address_guard import checked_address, refuse_special
from ems_dash.api.request_guard import OneAtATime
from ems_dash.i18n import said as in_words
from ems_dash.i18n import t
from ems_dash.services import Services, SettingsServices
from ems_dash.ui import settings_devices, settings_mqtt, settings_notify
from ems_dash.ui import settings_view as view_
from ems_dash.ui.settings_fields import ABSENT, get
from ems_dash.ui.settings_state import judge
from engine.config.devices import DeviceConfig
from engine.config.mqtt import MqttConfig
from engine.devices.connection_test import ConnectionReport
from engine.devices.connection_test.runner import system_resolve
from engine.devices.transport import Transport
from engine.domain.errors import ConfigError, EmsError
from pages.settings.page import Sent, SettingsPage, clicked

TEST_INTERVAL_S = 1.0


class Assistants:
    """The tests of one app over its services."""

    def __init__(self, services: Services, page: SettingsPage) -> None:
        self._services = services
        self._page = page
        self._devices = OneAtATime("connection test", TEST_INTERVAL_S, time.monotonic)
        self._brokers = OneAtATime("broker test", TEST_INTERVAL_S, time.monotonic)

    def test_device(self, clicks: int | None, sent: Mapping[str, Any]) -> tuple[Any, Any]:
        """Read every register of the open device with the connection as it is typed."""
        settings, page = self._services.settings, Sent.of(sent)
        if not clicks or page is None or settings is None:
            return no_update, no_update
        lang, view = page.lang, page.view
        judged = judge(settings.desk, page.values, lang)
        path = settings_devices.opened_device(judged.values, view)
        try:
            config = settings_devices.device_config(judged.values, path)
            if config is None:
                raise ConfigError(t("set.test.mistakes", lang))
            with self._devices.turn():
                report = self._run(settings, config, lang)
        except EmsError as exc:
            form = self._page.form({**view, "report": None}, judged, lang)
            return [view_.said(in_words(str(exc), lang), "alarm"), *form], {**view, "report": None}
        shown = {**view, "report": self._page.keep(report)}
        return self._page.form(shown, judged, lang), shown

    def _run(self, settings: SettingsServices, config: DeviceConfig, lang: str) -> ConnectionReport:
        devices = settings.devices
        spec = devices.new_device(config)
        if spec.transport is Transport.RTU:
            known = [
                s for s in devices.devices() if s.name == spec.name and s.serial == spec.serial
            ]
            if not known:
                # A line that the program has not opened may be in use by something else.
                raise ConfigError(t("set.test.serial", lang))
            return devices.test(known[0], None)
        ports = {device.port for device in devices.devices()}
        saved = settings.desk.read().config
        if saved is not None:
            ports |= {saved.modbus.port, *(d.port for d in saved.devices if d.port is not None)}
        address = checked_address(spec.host, spec.port, ports, system_resolve)
        return devices.test(spec, address)

    def test_broker(self, clicks: int | None, sent: Mapping[str, Any]) -> Any:
        """Log in at the broker as it is typed, send a message and wait for it."""
        settings, page = self._services.settings, Sent.of(sent)
        if not clicks or page is None or settings is None:
            return no_update
        lang = page.lang
        stated = get(page.values, "mqtt")
        try:
            config = MqttConfig.model_validate({} if stated == ABSENT else stated)
            refuse_special(config.broker_host, config.broker_port, system_resolve)
            with self._brokers.turn():
                check = settings.test_broker(config, self._services.snapshot().site.site_id)
        except ValidationError:
            return view_.said(t("set.test.mistakes", lang), "alarm")
        except EmsError as exc:
            return view_.said(in_words(str(exc), lang), "alarm")
        return html.Div(settings_mqtt.result(check, lang))

    def try_channel(self, _clicks: list[Any], lang: str) -> Any:
        """Send a test message over a channel the program runs with."""
        if not clicked():
            return no_update
        try:
            made = self._services.notifications.test(dash.ctx.triggered_id["name"])
        except EmsError as exc:
            return view_.said(in_words(str(exc), lang), "alarm")
        return view_.said(*settings_notify.result(made, lang))
