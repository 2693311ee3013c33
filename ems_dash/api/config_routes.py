"""Routes about the configuration: what is stated, what a change would do, saving, going back.

No secret is ever part of an answer: such a value is ``"•••"``, and sent back like that it stays
as it is. What is saved takes effect at the next start of the program, or in part at a reload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final

from flask import Blueprint, Flask, Response
from pydantic import Field

from ems_dash.api.answers import add_error_handlers, json_answer, revalidated, wrong_site
from ems_dash.api.bodies import parsed_body
from ems_dash.api.described import described
from ems_dash.api.models import ApiModel, ApiRequest, UtcTime
from ems_dash.auth.access import actor, needs
from ems_dash.auth.roles import Role
from ems_dash.services import Services, SettingsServices
from engine.config.changes import Change, changes
from engine.config.desk import ConfigDesk
from engine.config.file_states import Saved
from engine.config.load import FILE_NAME, ConfigProblems, FieldProblem
from engine.config.masking import masked, unmasked
from engine.config.problem_place import place
from engine.domain.errors import ConfigError, EmsError

_EXAMPLE: Final = "Send values and revision as GET /api/config gives them."


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


class SiteReloadInfo(ApiModel):
    """What reading the file anew did for one site."""

    site_id: str
    applied: list[ChangeInfo]
    needs_restart: list[ChangeInfo]


class ReloadAnswer(ApiModel):
    """``POST /api/config/reload``: what is in force now, and what waits for a restart."""

    applied: bool
    sites: list[SiteReloadInfo]
    sites_added: list[str]
    sites_removed: list[str]
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


class ConfigRequest(ApiRequest):
    """``POST /api/config``: everything the file should state; saved only when asked for."""

    values: dict[str, Any]
    revision: Annotated[str, Field(max_length=64)]
    save: bool = False


class RestoreRequest(ApiRequest):
    """``POST /api/config/restore``: put a backup back."""

    backup: Annotated[str, Field(max_length=80)]
    revision: Annotated[str, Field(max_length=64)]


_NO_FILE: Final = {404: "There is no such site or backup, or no configuration file."}
CHANGING: Final = _NO_FILE | {409: "Somebody else changed the file in the meantime."}


class NoFileError(EmsError):
    """The program runs without a configuration file."""

    code = "not_found"


def register_config_api(server: Flask, services: Services, site_id: Callable[[], str]) -> None:
    """Add the routes about the configuration to a Flask application.

    Args:
        server: The application.
        services: The seam to the engine.
        site_id: Returns the site that the current request is about.
    """
    api = Blueprint("config_api", __name__)

    def settings() -> SettingsServices:
        return settings_of(services)

    @api.get("/api/config")
    @needs(Role.VIEWER)
    @described("configuration", ConfigAnswer, revalidated=True, errors=_NO_FILE)
    def config() -> Response:
        """The configuration file, and what of it the running program does not have yet.

        Secrets are never part of it: such a value is a mask.
        """
        if (wrong := wrong_site(site_id())) is not None:
            return wrong
        file = settings().desk.read()
        pending = () if file.config is None else changes(settings().running, file.config)
        return revalidated(
            json_answer(
                ConfigAnswer(
                    revision=file.revision,
                    values=masked(file.values),
                    problems=_problems(file.values, file.problems),
                    takes_effect_at_next_start=_changes(pending),
                )
            )
        )

    @api.post("/api/config")
    @needs(Role.ADMIN)
    @described(
        "configuration",
        CheckAnswer,
        body=ConfigRequest,
        also={400: (CheckAnswer, "The values have mistakes; nothing was saved.")},
        errors=CHANGING,
    )
    def change() -> Response:
        """Check what the file should state and say what would change; save it when asked to.

        Comments in the file stay; the file before is kept as a backup. A masked secret stays as
        it is. What is saved takes effect at the next start, or in part at a reload.
        """
        if (wrong := wrong_site(site_id())) is not None:
            return wrong
        body = parsed_body(ConfigRequest, hint=_EXAMPLE)
        return change_answer(settings().desk, body.values, body.revision, save=body.save)

    @api.get("/api/config/backups")
    @needs(Role.VIEWER)
    @described("configuration", BackupsAnswer, errors=_NO_FILE)
    def backups() -> Response:
        """Earlier states of the file, newest first, each with what was changed after it."""
        if (wrong := wrong_site(site_id())) is not None:
            return wrong
        found = [
            BackupInfo(name=b.name, ts=b.ts, changes=_changes(b.changes), problem=b.problem)
            for b in settings().desk.backups()
        ]
        return json_answer(BackupsAnswer(backups=found))

    @api.post("/api/config/restore")
    @needs(Role.ADMIN)
    @described("configuration", CheckAnswer, body=RestoreRequest, errors=CHANGING)
    def restore() -> Response:
        """Put a backup back in place of the file, which is backed up itself."""
        if (wrong := wrong_site(site_id())) is not None:
            return wrong
        body = parsed_body(RestoreRequest, hint=_EXAMPLE)
        return _saved_answer(settings().desk.restore(body.backup, body.revision, actor()))

    @api.post("/api/config/reload")
    @needs(Role.ADMIN)
    @described(
        "configuration",
        ReloadAnswer,
        site=False,
        also={400: (ReloadAnswer, "The file has mistakes; nothing was changed.")},
        errors=_NO_FILE,
    )
    def reload() -> Response:
        """Read the file anew and put in force what needs no restart, at every site.

        Control takes it over between two cycles, planning between two plans. With a mistake
        anywhere in the file nothing changes.
        """
        try:
            report = settings().reload()
        except ConfigError as exc:
            found = exc.problems if isinstance(exc, ConfigProblems) else (exc,)
            problems = [
                ProblemInfo(field=p.field or FILE_NAME, message=p.message, hint=p.hint)
                for p in found
            ]
            refused = ReloadAnswer(
                applied=False, sites=[], sites_added=[], sites_removed=[], problems=problems
            )
            return json_answer(refused, 400)
        sites = [
            SiteReloadInfo(
                site_id=site.site_id,
                applied=_changes(site.applied),
                needs_restart=_changes(site.needs_restart),
            )
            for site in report.sites
        ]
        return json_answer(
            ReloadAnswer(
                applied=True,
                sites=sites,
                sites_added=list(report.added),
                sites_removed=list(report.removed),
                problems=[],
            )
        )

    add_error_handlers(api)
    server.register_blueprint(api)


def settings_of(services: Services) -> SettingsServices:
    """Return what changes the configuration.

    Raises:
        NoFileError: The program runs without a file.
    """
    found = services.settings
    if found is None:
        raise NoFileError("This program runs without a configuration file.")
    return found


def change_answer(
    desk: ConfigDesk, wanted: Mapping[str, Any], revision: str, *, save: bool
) -> Response:
    """Check what the file should state, save it when `save`, and answer with what changes.

    Raises:
        EmsError: The file cannot be read or written, or was changed in the meantime.
    """
    file = desk.read()
    values = unmasked(wanted, file.values)
    draft = desk.check(values)
    if draft.config is None or not save:
        answer = CheckAnswer(
            saved=False,
            revision=file.revision,
            backup=None,
            changes=_changes(draft.changes),
            problems=_problems(values, draft.problems),
        )
        return json_answer(answer, 400 if save else 200)
    return _saved_answer(desk.save(values, revision, actor()))


def _saved_answer(saved: Saved) -> Response:
    return json_answer(
        CheckAnswer(
            saved=True,
            revision=saved.file.revision,
            backup=saved.backup,
            changes=_changes(saved.changes),
            problems=[],
        )
    )


def _changes(found: tuple[Change, ...]) -> list[ChangeInfo]:
    return [ChangeInfo(path=c.path, old=c.old, new=c.new) for c in found]


def _problems(values: Mapping[str, Any], found: Iterable[FieldProblem]) -> list[ProblemInfo]:
    return [ProblemInfo(field=place(values, p), message=p.message, hint=p.hint) for p in found]
