"""The whole API in one call, as the program and the tests of the whole of it use it."""

from __future__ import annotations

from flask import Flask

from ems_dash.api.alarm_routes import register_alarm_api
from ems_dash.api.analytics_routes import register_analytics_api
from ems_dash.api.answers import answer_errors_of_api
from ems_dash.api.backtest_routes import register_backtest_api
from ems_dash.api.backup_routes import register_backup_api
from ems_dash.api.config_routes import register_config_api
from ems_dash.api.control_routes import register_control_api
from ems_dash.api.document_routes import register_document_api
from ems_dash.api.event_hub import EventHub
from ems_dash.api.event_routes import register_event_api
from ems_dash.api.history_routes import register_history_api
from ems_dash.api.import_routes import register_import_api
from ems_dash.api.modbus_routes import register_modbus_api
from ems_dash.api.mqtt_routes import register_mqtt_api
from ems_dash.api.notification_routes import register_notification_api
from ems_dash.api.planning_routes import register_planning_api
from ems_dash.api.rate_limits import install_rate_limits
from ems_dash.api.routes import register_api
from ems_dash.api.section_routes import register_section_api
from ems_dash.services import WholeServices
from ems_dash.site_router import part


def install_api(server: Flask, services: WholeServices, *, hub: EventHub | None = None) -> None:
    """Add every route below ``/api`` to a Flask application, with its limits and its document.

    Args:
        server: The application, whose access is installed already.
        services: The seam to the engine.
        hub: Tells events; None for one over `services`.
    """

    def site_id() -> str:
        return services.snapshot().site.site_id

    answer_errors_of_api(server)
    install_rate_limits(server)
    register_api(server, services)
    register_alarm_api(server, services)
    register_event_api(server, services, hub)
    register_planning_api(server, services)
    register_control_api(server, services)
    register_analytics_api(server, services)
    register_history_api(server, services)
    register_import_api(server, services)
    register_backtest_api(server, services)
    register_backup_api(server, part(lambda: services.backups), site_id)
    register_config_api(server, services, site_id)
    register_section_api(server, services, site_id)
    register_modbus_api(server, part(lambda: services.device_service), site_id)
    register_mqtt_api(server, part(lambda: services.mqtt_service))
    register_notification_api(server, services)
    register_document_api(server)
