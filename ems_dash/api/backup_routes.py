"""Route that has the running program write a backup."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, request
from pydantic import ConfigDict, ValidationError

from ems_dash.api.answers import InvalidRequestError, add_error_handlers, json_answer
from ems_dash.api.models import ApiModel
from ems_dash.auth.access import needs
from ems_dash.auth.roles import Role
from ems_dash.services import BackupServices


class BackupRequest(ApiModel):
    """``POST /api/history/backup``: where to; left out, the folder of the configuration."""

    model_config = ConfigDict(extra="forbid")

    folder: str | None = None


class BackupAnswer(ApiModel):
    """What a backup holds; see `engine.history.backup.BackupReport`."""

    folder: str
    made_at: str
    samples: int
    files: int
    copied: int
    size: int
    seconds: float
    aside: str | None


def register_backup_api(server: Flask, backups: BackupServices) -> None:
    """Add the route to a Flask application."""
    api = Blueprint("backup_api", __name__)

    @api.post("/api/history/backup")
    @needs(Role.ADMIN)
    def backup() -> Response:
        try:
            asked = BackupRequest.model_validate_json(request.get_data(cache=False) or b"{}")
        except ValidationError as exc:
            raise InvalidRequestError(
                f"The request cannot be understood: {exc.errors()[0]['msg']}.",
                field="folder",
                hint='Send {} or {"folder": "/mnt/usb/ems"}.',
            ) from exc
        return json_answer(BackupAnswer.model_validate(backups.backup(asked.folder)))

    add_error_handlers(api)
    server.register_blueprint(api)
