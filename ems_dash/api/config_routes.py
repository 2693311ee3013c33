"""Routes about the configuration: what is stated, what a change would do, saving, going back.

No secret is ever part of an answer: such a value is ``"•••"``, and sent back like that it stays
as it is. What is saved takes effect at the next start of the program.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar

from flask import Blueprint, Flask, Response, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ems_dash.api.answers import InvalidRequestError, add_error_handlers, json_answer, wrong_site
from ems_dash.api.models import ApiModel, UtcTime
from ems_dash.auth.access import actor, needs
from ems_dash.auth.roles import Role
from ems_dash.services import Services, SettingsServices
from engine.config.changes import Change, changes
from engine.config.desk import ConfigFile, place
from engine.config.masking import masked, unmasked
from engine.domain.errors import EmsError

MAX_BODY_BYTES: Final = 1_000_000


class ChangeInfo(ApiModel):
    """One key whose value in force differs."""

    path: str
    old: Any
    new: Any


class ProblemInfo(ApiModel):
    """One mistake, at a dotted key; items of lists by their number."""

    field: str
    message: str
    hint: str | None


class ConfigAnswer(ApiModel):
    """``GET /api/config``: the file, and what of it the running program does not have yet."""

    revision: str
    values: dict[str, Any]
    problems: list[ProblemInfo]
    takes_effect_at_next_start: list[ChangeInfo]


class CheckAnswer(ApiModel):
    """``POST /api/config``: what the values would change, or did."""

    saved: bool
    revision: str
    backup: str | None
    changes: list[ChangeInfo]
    problems: list[ProblemInfo]


class BackupInfo(ApiModel):
    """The file as it was until a change, and what that change was."""

    name: str
    ts: UtcTime
    changes: list[ChangeInfo]
    problem: str | None


class BackupsAnswer(ApiModel):
    """``GET /api/config/backups``, newest first."""

    backups: list[BackupInfo]


class ConfigRequest(BaseModel):
    """``POST /api/config``: everything the file should state; saved only when asked for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    values: dict[str, Any]
    revision: Annotated[str, Field(max_length=64)]
    save: bool = False


class RestoreRequest(BaseModel):
    """``POST /api/config/restore``: put a backup back."""

    model_config = ConfigDict(extra="forbid", strict=True)

    backup: Annotated[str, Field(max_length=80)]
    revision: Annotated[str, Field(max_length=64)]


Model = TypeVar("Model", bound=BaseModel)


class NoFileError(EmsError):
    """The program runs without a configuration file."""

    code = "not_found"


def register_config_api(server: Flask, services: Services, site_id: str) -> None:
    """Add the routes about the configuration to a Flask application.

    Args:
        server: The application.
        services: The seam to the engine.
        site_id: The site this installation serves.
    """
    api = Blueprint("config_api", __name__)

    def settings() -> SettingsServices:
        found = services.settings
        if found is None:
            raise NoFileError("This program runs without a configuration file.")
        return found

    @api.get("/api/config")
    @needs(Role.VIEWER)
    def config() -> Response:
        if (wrong := wrong_site(site_id)) is not None:
            return wrong
        file = settings().desk.read()
        pending = () if file.config is None else changes(settings().running, file.config)
        return json_answer(
            ConfigAnswer(
                revision=file.revision,
                values=masked(file.values),
                problems=_problems(file),
                takes_effect_at_next_start=_changes(pending),
            )
        )

    @api.post("/api/config")
    @needs(Role.ADMIN)
    def change() -> Response:
        if (wrong := wrong_site(site_id)) is not None:
            return wrong
        body = _body(ConfigRequest)
        desk = settings().desk
        file = desk.read()
        values = unmasked(body.values, file.values)
        draft = desk.check(values)
        if draft.config is None or not body.save:
            wrong_here = [
                ProblemInfo(field=place(values, p), message=p.message, hint=p.hint)
                for p in draft.problems
            ]
            answer = CheckAnswer(
                saved=False,
                revision=file.revision,
                backup=None,
                changes=_changes(draft.changes),
                problems=wrong_here,
            )
            return json_answer(answer, 400 if body.save else 200)
        saved = desk.save(values, body.revision, actor())
        return json_answer(
            CheckAnswer(
                saved=True,
                revision=saved.file.revision,
                backup=saved.backup,
                changes=_changes(saved.changes),
                problems=[],
            )
        )

    @api.get("/api/config/backups")
    @needs(Role.VIEWER)
    def backups() -> Response:
        if (wrong := wrong_site(site_id)) is not None:
            return wrong
        found = [
            BackupInfo(name=b.name, ts=b.ts, changes=_changes(b.changes), problem=b.problem)
            for b in settings().desk.backups()
        ]
        return json_answer(BackupsAnswer(backups=found))

    @api.post("/api/config/restore")
    @needs(Role.ADMIN)
    def restore() -> Response:
        if (wrong := wrong_site(site_id)) is not None:
            return wrong
        body = _body(RestoreRequest)
        saved = settings().desk.restore(body.backup, body.revision, actor())
        return json_answer(
            CheckAnswer(
                saved=True,
                revision=saved.file.revision,
                backup=saved.backup,
                changes=_changes(saved.changes),
                problems=[],
            )
        )

    add_error_handlers(api)
    server.register_blueprint(api)


def _changes(found: tuple[Change, ...]) -> list[ChangeInfo]:
    return [ChangeInfo(path=c.path, old=c.old, new=c.new) for c in found]


def _problems(file: ConfigFile) -> list[ProblemInfo]:
    return [
        ProblemInfo(field=place(file.values, p), message=p.message, hint=p.hint)
        for p in file.problems
    ]


def _body(model: type[Model]) -> Model:
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise InvalidRequestError("The request is larger than 1 MB.", hint="Send less.")
    if not request.is_json:
        raise InvalidRequestError(
            "The request is not JSON.",
            field="Content-Type",
            value=request.content_type,
            hint="Send application/json.",
        )
    try:
        return model.model_validate_json(request.get_data(cache=False))
    except ValidationError as exc:
        # Its own words may repeat a secret that was sent.
        first = exc.errors(include_url=False, include_input=False)[0]
        raise InvalidRequestError(
            f"{first['msg']}.",
            field=".".join(str(part) for part in first["loc"]) or None,
            hint="Send values and revision as GET /api/config gives them.",
        ) from exc
