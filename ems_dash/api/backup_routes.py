"""Route that has the running program write a backup."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from flask import Blueprint, Flask, Response
from pydantic import Field

from ems_dash.api.answers import add_error_handlers, json_answer, wrong_site
from ems_dash.api.bodies import parsed_body
from ems_dash.api.described import described
from ems_dash.api.models import ApiModel, ApiRequest
from ems_dash.auth.access import needs
from ems_dash.auth.roles import Role
from ems_dash.services import BackupServices


class BackupRequest(ApiRequest):
    """``POST /api/history/backup``: where to; left out, the folder of the configuration."""

    folder: Annotated[str, Field(max_length=1000)] | None = None


class HistoryBackupAnswer(ApiModel):
    """What a backup holds; see `engine.history.backup.BackupReport`."""

    folder: str
    made_at: str
    samples: int
    files: int
    copied: int
    size: int
    seconds: float
    aside: str | None


def register_backup_api(server: Flask, backups: BackupServices, site_id: Callable[[], str]) -> None:
    """Add the route to a Flask application.

    Args:
        server: The application.
        backups: Backups of the site that the current request is about.
        site_id: Returns that site.
    """
    api = Blueprint("backup_api", __name__)

    @api.post("/api/history/backup")
    @needs(Role.ADMIN)
    @described("history", HistoryBackupAnswer, body=BackupRequest, body_needed=False)
    def backup() -> Response:
        """Write a backup of the history, while the program runs on."""
        if (wrong := wrong_site(site_id())) is not None:
            return wrong
        asked = parsed_body(
            BackupRequest, hint='Send {} or {"folder": "/mnt/usb/ems"}.', needed=False
        )
        return json_answer(HistoryBackupAnswer.model_validate(backups.backup(asked.folder)))

    add_error_handlers(api)
    server.register_blueprint(api)
