"""Layout and callbacks of the settings; thin over `ems_dash.ui.settings_*`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dash
from dash import no_update

from ems_dash.auth.access import actor, may
from ems_dash.auth.roles import Role
from ems_dash.i18n import said as in_words
from ems_dash.i18n import t
from ems_dash.services import Services, SettingsServices
from ems_dash.site_router import site_names
from ems_dash.ui import format as fmt
from ems_dash.ui import (
    settings_content,
    settings_devices,
    settings_force,
    settings_sites,
    settings_tariff,
)
from ems_dash.ui import settings_registers as registers
from ems_dash.ui import settings_sections as sections
from ems_dash.ui import settings_view as view_
from ems_dash.ui.fields import Fields, ShownTexts
from ems_dash.ui.header import frame_fields
from ems_dash.ui.live import nothing_new, text_delta
from ems_dash.ui.moment import Moment
from ems_dash.ui.request import request_lang, request_theme
from ems_dash.ui.settings_backups import undo_id
from ems_dash.ui.settings_fields import ABSENT, get, put
from ems_dash.ui.settings_form import FormState, button
from ems_dash.ui.settings_links import link_fields
from ems_dash.ui.settings_state import Judged, judge, merged, stored
from engine.config.changes import changes
from engine.config.file_states import ConfigChangedError, Saved
from engine.config.load import ConfigProblems
from engine.devices.connection_test import ConnectionReport
from engine.domain.errors import EmsError
from engine.domain.local_days import local_day, local_midnight

REPORTS_KEPT = 16

Values = dict[str, Any]
View = dict[str, Any]


class SettingsPage:
    """The page of one app over its services."""

    def __init__(self, services: Services) -> None:
        self._services = services
        # Test reports are large; the page keeps their number only.
        self._shown = ShownTexts()
        self._reports: OrderedDict[str, ConnectionReport] = OrderedDict()

    # What is shown.

    def layout(self, section: str | None = None, **_values: str) -> Any:
        lang = request_lang()
        desk_of = self._services.settings
        shown = sections.section_of(section).key
        editable = desk_of is not None and may(Role.ADMIN)
        view: View = {"section": shown}
        title: dict[str, Any] = {"view": view, "editable": editable, "lang": lang}
        if desk_of is None:
            failed = view_.failure(t("set.no_file", lang), lang)
            return self._page(title, None, failed, None, None)
        try:
            file = desk_of.desk.read()
            draft = stored(file)
            judged = judge(desk_of.desk, draft["values"], lang)
            view |= _opened(view, draft["values"])
            form = self.form(view, judged, lang)
            side = self.side(view, judged, lang, request_theme())
        except EmsError as exc:
            failed = view_.failure(in_words(str(exc), lang), lang)
            return self._page({**title, "editable": False}, None, failed, None, None)
        return self._page(title, draft, form, side, self._pending(desk_of, lang))

    def _page(self, title: dict[str, Any], draft: Any, form: Any, side: Any, notice: Any) -> Any:
        moment = self._moment(title["lang"])
        return view_.page(
            **title,
            draft=draft,
            form=form,
            side=side,
            notice=notice,
            subtitle=t("set.subtitle", title["lang"], site=self._services.snapshot().site.name),
            frame=text_delta({}, moment, _live_fields(moment), self._shown),
        )

    def form(self, view: View, judged: Judged, lang: str) -> Any:
        """Return the form of the section that `view` names; only admins can change it."""
        state = FormState(judged.shown, judged.errors, lang, may(Role.ADMIN))
        settings = self._required()
        in_notifications = view.get("section") == sections.NOTIFICATIONS.key
        in_backups = view.get("section") == sections.BACKUPS.key
        return settings_content.content(
            view,
            state,
            report=self._reports.get(str(view.get("report"))),
            backups=settings.desk.backups() if in_backups else (),
            channels=self._services.notifications.status() if in_notifications else (),
            zone=self._zone,
            running=site_names(),
            moment=self._moment(lang),
        )

    def side(self, view: View, judged: Judged, lang: str, theme: str) -> Any:
        """Return what stands beside the form: the preview of the tariff builder."""
        if view.get("section") != sections.TARIFF.key:
            return None
        return self._preview(view, judged, lang, theme)

    def keep(self, report: ConnectionReport) -> str:
        """Keep a report for the page and return its number."""
        token = f"{report.device}-{report.started.timestamp():.3f}"
        self._reports[token] = report
        while len(self._reports) > REPORTS_KEPT:
            self._reports.popitem(last=False)
        return token

    def tick(self, _tick: int, known: dict[str, Any] | None, lang: str) -> Any:
        """Return what has changed around the form, and how the devices are connected."""
        moment = self._moment(lang)
        if nothing_new(known, moment):
            return no_update
        return text_delta(known or {}, moment, _live_fields(moment), self._shown)

    # What is done.

    def edit(self, sent: Mapping[str, Any]) -> tuple[Any, ...]:
        """Take over what is typed: check it, say what is wrong and what would change."""
        errors = dash.ctx.outputs_list[1]
        nothing = [no_update] * len(errors)
        page = Sent.of(sent)
        if page is None or not sent["ids"]:
            return no_update, nothing, no_update, no_update, no_update, no_update
        try:
            judged = judge(self._required().desk, page.values, page.lang)
        except EmsError as exc:
            return no_update, nothing, in_words(str(exc), page.lang), True, no_update, no_update
        form: Any = no_update
        texts: list[Any] = [judged.errors.get(output["id"]["path"], "") for output in errors]
        if page.reshaped:
            form, texts = self.form(page.view, judged, page.lang), nothing
        side = self.side(page.view, judged, page.lang, page.theme)
        return (
            page.draft,
            texts,
            *self._changes(judged, page.lang),
            form,
            side if side is not None else no_update,
        )

    def act(
        self,
        _clicks: list[Any],
        extra: list[Any],
        secrets: Mapping[str, list[Any]],
        sent: Mapping[str, Any],
    ) -> Any:
        """Add, remove or open a part of the draft, or store a secret."""
        page = Sent.of(sent)
        if page is None or not clicked():
            return (no_update,) * 7
        op, path = dash.ctx.triggered_id["op"], dash.ctx.triggered_id["path"]
        view, said = page.view, no_update
        if op == "secret":
            typed = dict(zip((i["path"] for i in secrets["ids"]), secrets["typed"], strict=True))
            try:
                name = self._store(path, str(typed.get(path) or ""), page.values)
                said = view_.said(t("set.secret.stored", page.lang, file=name))
            except EmsError as exc:
                return (*(no_update,) * 6, view_.said(in_words(str(exc), page.lang), "alarm"))
        else:
            view = self._carry_out(op, path, page.values, view, extra)
        return (*self._rendered(page.draft, view, page.lang, page.theme), said)

    def _store(self, path: str, secret: str, values: Values) -> str:
        """Store a secret and name its file in the draft; return the file's name."""
        stem, _, leaf = path.rpartition(".")
        name = f"{stem}-{leaf.removesuffix('_file')}".replace(".", "-").lower()
        file = self._required().store_secret(name, secret)
        put(values, path, file)
        # A secret has one place.
        put(values, f"{stem}.{leaf.removesuffix('_file')}_env", ABSENT)
        return Path(file).name

    def go(self, _clicks: list[Any], sent: Mapping[str, Any]) -> Any:
        """Show another section; the draft stays."""
        page = Sent.of(sent)
        if page is None or not clicked():
            return (no_update,) * 7
        section = dash.ctx.triggered_id["section"]
        view = {**page.view, "section": section, "report": None}
        view |= _opened(view, page.values)
        return (*self._rendered(page.draft, view, page.lang, page.theme), section)

    def decide(self, _clicks: list[Any], sent: Mapping[str, Any]) -> Any:
        """Save the draft, throw it away, or put a backup back."""
        page = Sent.of(sent)
        if page is None or not clicked():
            return (no_update,) * 8
        settings, lang = self._required(), page.lang
        what = dash.ctx.triggered_id
        try:
            judged = judge(settings.desk, page.values, lang)
            if what == "set-discard":
                said = view_.said(t("set.discarded", lang))
            elif what == "set-save":
                made = settings.desk.save(judged.values, page.revision, actor(), judged.sites)
                said = self._said_saved(made, lang, undo=True)
            elif judged.draft.problems or judged.draft.changes:
                return self._refused(t("set.undo_first", lang))
            elif what["type"] == "set-undo":
                made = settings.desk.undo(what["name"], page.revision, actor())
                said = self._said_saved(made, lang, undo=False)
            else:
                made = settings.desk.restore(what["name"], page.revision, actor())
                said = self._said_saved(made, lang, undo=False)
            draft = stored(settings.desk.read())
        except ConfigProblems:
            return self._refused(t("set.not_saved", lang))
        except ConfigChangedError:
            return self._refused(t("set.conflict", lang))
        except EmsError as exc:
            return self._refused(in_words(str(exc), lang))
        view = {**page.view, "register": None}
        return (
            *self._rendered(draft, view, lang, page.theme),
            said,
            self._pending(settings, lang),
        )

    def apply(self, _clicks: int | None, lang: str) -> Any:
        """Have the running program take over what of the file needs no restart."""
        if not clicked():
            return no_update, no_update
        try:
            settings = self._required()
            report = settings.reload()
            site_id = self._services.snapshot().site.site_id
            text = settings_force.applied(report, site_id, self._clock_time(), lang)
            return view_.said(text, "ok"), self._pending(settings, lang)
        except ConfigProblems:
            return view_.said(t("set.not_applied", lang), "alarm"), no_update
        except EmsError as exc:
            return view_.said(in_words(str(exc), lang), "alarm"), no_update

    # Parts.

    def _carry_out(
        self, op: str, path: str, values: Values, view: View, extra: Sequence[Any]
    ) -> View:
        """Change the draft in place and return what is open after it."""
        if op.startswith("reg-"):
            return {**view, "register": self._carry_out_register(op, path, values, view, extra)}
        if op == "add" and settings_sites.is_of_list(path):
            settings_sites.add(values, request_lang())
        elif op == "add":
            settings_content.add_at(values, path)
        elif op == "remove":
            sections.remove(values, path)
        elif op == "add-version":
            sections.add_version(values, self._next_version(values))
            return {**view, "version": sections.versions_of(values) - 1}
        elif op == "remove-version":
            sections.remove_version(values, int(path))
            return {**view, "version": None}
        elif op == "version":
            return {**view, "version": int(path)}
        elif op == "open":
            return {**view, "device": path, "register": None, "report": None}
        elif op == "add-device":
            settings_devices.add_device(values)
            newest = settings_devices.device_paths(values)[-1]
            return {**view, "device": newest, "register": None, "report": None}
        return view

    def _carry_out_register(
        self, op: str, path: str, values: Values, view: View, extra: Sequence[Any]
    ) -> str | None:
        """Change a register of the draft in place and return the one that is open after it."""
        device, _, signal = path.partition(".registers.")
        if op == "reg-edit":
            registers.begin_override(values, device, signal)
            return None if view.get("register") == signal else signal
        if op == "reg-reset":
            registers.reset_register(values, device, signal)
        elif op == "reg-drop":
            registers.drop_register(values, device, signal)
        elif op == "reg-add" and extra and extra[0]:
            registers.add_register(values, path, str(extra[0]))
            return str(extra[0])
        return None

    def _next_version(self, values: Values) -> str:
        """Return the first day of the year after the newest version, or after now."""
        count = sections.versions_of(values)
        newest = get(values, f"tariff.versions.{count - 1}.valid_from") if count else ""
        year = self._services.now().astimezone(self._zone).year
        if isinstance(newest, str) and newest[:4].isdigit():
            year = max(year, int(newest[:4]))
        return date(year + 1, 1, 1).isoformat()

    def _rendered(self, draft: Any, view: View, lang: str, theme: str) -> tuple[Any, ...]:
        judged = judge(self._required().desk, draft["values"], lang)
        return (
            draft,
            view,
            self.form(view, judged, lang),
            self.side(view, judged, lang, theme),
            *self._changes(judged, lang),
        )

    def _changes(self, judged: Judged, lang: str) -> tuple[Any, bool]:
        shown = view_.changes(judged.draft.changes, judged.named, lang)
        return shown, not judged.draft.changes

    def _refused(self, text: str) -> tuple[Any, ...]:
        return (*(no_update,) * 6, view_.said(text, "alarm"), no_update)

    def _said_saved(self, made: Saved, lang: str, *, undo: bool) -> Any:
        text = t("set.saved" if undo else "set.restored", lang, time=self._clock_time())
        text = f"{text} {settings_force.when(made.changes, lang)} "
        back = button(t("set.undo", lang), undo_id(made.backup), small=True) if undo else None
        return view_.said(text, "ok", back)

    def _clock_time(self) -> str:
        return fmt.clock_time(self._services.now(), self._zone, seconds=True)

    def _pending(self, settings: SettingsServices, lang: str) -> Any:
        file = settings.desk.read()
        if file.config is None:
            return []
        found = changes(settings.running, file.config) + settings_sites.pending(site_names(), file)
        return settings_force.notices(found, lang, may_apply=may(Role.ADMIN))

    def _preview(self, view: View, judged: Judged, lang: str, theme: str) -> Any:
        zone = self._zone
        now = self._services.now()
        start = local_midnight(local_day(now, zone), zone)
        rows = self._services.prices(start, settings_tariff.two_days_after(start))
        prices = settings_tariff.day_prices(rows, now, zone)
        chosen = view.get("version")
        config = settings_tariff.draft_tariff(
            judged.values, chosen if isinstance(chosen, int) else None
        )
        made = before = None
        why_not = t("set.preview.no_prices", lang)
        if config is None:
            why_not = t("set.preview.mistakes", lang)
        elif prices is not None:
            made = settings_tariff.preview(config, prices, zone)
            why_not = t("set.preview.not_valid", lang)
            saved = self._required().desk.read().config
            before = None if saved is None else settings_tariff.preview(saved.tariff, prices, zone)
        return settings_tariff.panel(made, before, zone, why_not=why_not, theme=theme, lang=lang)

    def _required(self) -> SettingsServices:
        settings = self._services.settings
        if settings is None:
            raise EmsError("This program runs without a configuration file.")
        return settings

    def _moment(self, lang: str) -> Moment:
        services = self._services
        return Moment(services.snapshot(), services.now(), services.heartbeat_age_s(), lang)

    @property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self._services.snapshot().site.timezone)


def _opened(view: View, values: Values) -> View:
    """Return the device that stays open in the section of devices, whatever is switched off."""
    if view["section"] != sections.DEVICES.key:
        return {}
    return {"device": settings_devices.opened_device(values, view)}


def _live_fields(moment: Moment) -> Fields:
    return frame_fields(moment, view_.ROOT) | link_fields(moment)


def clicked() -> bool:
    """True when a button was pressed, False when buttons only appeared."""
    return any(entry["value"] for entry in dash.ctx.triggered)


@dataclass(frozen=True, slots=True)
class Sent:
    """What the browser sends with every click.

    Attributes:
        values: The draft with everything that stands in the inputs.
        revision: Revision of the file it was made from.
        reshaped: True when other fields are there now.
        view: Section, and what is open in it.
        lang: ``"de"`` or ``"en"``.
        theme: ``"light"`` or ``"dark"``.
    """

    values: Values
    revision: str
    reshaped: bool
    view: View
    lang: str
    theme: str

    @classmethod
    def of(cls, sent: Mapping[str, Any]) -> Sent | None:
        """Return what was sent; None while the page has no draft."""
        draft = sent["draft"]
        if not draft:
            return None
        lang = str(sent["lang"])
        pairs = [(i["path"], v) for i, v in zip(sent["ids"], sent["entered"], strict=True)]
        values, reshaped = merged(draft["values"], pairs, lang)
        return cls(values, draft["revision"], reshaped, sent["view"], lang, str(sent["theme"]))

    @property
    def draft(self) -> dict[str, Any]:
        """The draft as the page keeps it."""
        return {"revision": self.revision, "values": self.values}
