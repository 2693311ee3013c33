"""Routes about who is told of alarms: how the channels are doing, and their test.

Addresses and secrets of channels are never returned. The channels limit their own tests.
"""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint, Flask, Response
from pydantic import Field

from ems_dash.api.answers import InvalidRequestError, add_error_handlers, json_answer, wrong_site
from ems_dash.api.bodies import parsed_body
from ems_dash.api.described import described
from ems_dash.api.models import ApiModel, ApiRequest, UtcTime
from ems_dash.auth.access import needs
from ems_dash.auth.roles import Role
from ems_dash.services import Services
from engine.notify.errors import NotifyError


class ChannelInfo(ApiModel):
    """How one channel is doing."""

    name: str
    type: str
    target: str
    enabled: bool
    state: str
    last_success: UtcTime | None
    last_error: str | None
    failures: int
    queued: int
    sent: int
    suppressed: int
    expired: int
    failed: int
    next_try: UtcTime | None
    quiet_until: UtcTime | None
    storage_error: str | None


class NotificationsAnswer(ApiModel):
    """``GET /api/notifications``."""

    channels: list[ChannelInfo]


class NotificationTestRequest(ApiRequest):
    """``POST /api/notifications/test``: the name of a channel."""

    channel: Annotated[str, Field(max_length=200)]


class NotificationTestAnswer(ApiModel):
    """What came of a test."""

    channel: str
    ok: bool
    detail: str
    seconds: float
    retry_after_s: float | None


def register_notification_api(server: Flask, services: Services) -> None:
    """Add the notification routes to a Flask application."""
    api = Blueprint("notification_api", __name__)

    @api.get("/api/notifications")
    @needs(Role.VIEWER)
    @described("notifications", NotificationsAnswer)
    def channels() -> Response:
        """How every channel is doing that tells people of alarms."""
        if (wrong := wrong_site(services.snapshot().site.site_id)) is not None:
            return wrong
        listed = [ChannelInfo.model_validate(c) for c in services.notifications.status()]
        return json_answer(NotificationsAnswer(channels=listed))

    @api.post("/api/notifications/test")
    @needs(Role.ADMIN)
    @described("notifications", NotificationTestAnswer, body=NotificationTestRequest)
    def test() -> Response:
        """Send a test message over one channel."""
        if (wrong := wrong_site(services.snapshot().site.site_id)) is not None:
            return wrong
        asked = parsed_body(NotificationTestRequest, hint='Send {"channel": "control-room"}.')
        try:
            result = services.notifications.test(asked.channel)
        except NotifyError as exc:
            raise InvalidRequestError(exc.message, field=exc.field, hint=exc.hint) from exc
        return json_answer(NotificationTestAnswer.model_validate(result))

    add_error_handlers(api)
    server.register_blueprint(api)
