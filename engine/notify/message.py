"""What a channel delivers: one message about one or several things that happened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from engine.domain.alarms import AlarmChange, AlarmSeverity, severity_rank
from engine.notify.plain import one_line
from engine.notify.titles import Language, duration, title_of, word

MAX_ITEMS = 20
"""Most things listed in one message; further ones are counted."""

MAX_SUBJECT = 150

MessageKind = Literal["raised", "cleared", "flapping", "several", "test"]


@dataclass(frozen=True, slots=True)
class Message:
    """Something to tell, in no form yet.

    Attributes:
        id: Unique; the same for every attempt, so that a receiver can drop duplicates.
        site_id: Key of the site.
        site_name: Name of the site.
        timezone: Time zone for local times.
        language: Language of the text.
        created_at: When it was put together, UTC.
        changes: What happened, oldest first; empty for a test.
        suppressed: Further things that were dropped and are only counted.
        link: Address of the page, or None.
    """

    id: str
    site_id: str
    site_name: str
    timezone: str
    language: Language
    created_at: datetime
    changes: tuple[AlarmChange, ...] = ()
    suppressed: int = 0
    link: str | None = None

    @property
    def kind(self) -> MessageKind:
        """What it is about."""
        if not self.changes:
            return "test"
        if len(self.changes) > 1:
            return "several"
        return _kind(self.changes[0])

    @property
    def severity(self) -> AlarmSeverity:
        """The worst severity of what is in it; what is over counts as info."""
        found: list[AlarmSeverity] = [urgency(change) for change in self.changes]
        return max(found, key=severity_rank, default="info")

    @property
    def listed(self) -> tuple[AlarmChange, ...]:
        """What is listed: the worst of it, in the order it happened."""
        if len(self.changes) <= MAX_ITEMS:
            return self.changes
        by_weight = sorted(
            range(len(self.changes)),
            key=lambda i: (-severity_rank(urgency(self.changes[i])), -i),
        )
        return tuple(self.changes[i] for i in sorted(by_weight[:MAX_ITEMS]))

    @property
    def unlisted(self) -> int:
        """Things that are in it but not listed."""
        return len(self.changes) - len(self.listed)

    def subject(self) -> str:
        """Return one line that says the most important: site, severity, what."""
        language = self.language
        if not self.changes:
            what = word("test", language)
        elif len(self.changes) == 1:
            what = _headline(self.changes[0], language)
        else:
            worst = max(self.changes, key=lambda c: severity_rank(urgency(c)))
            what = f"{word('several', language, n=len(self.changes))}: "
            what += _headline(worst, language)
        return one_line(f"[{self.site_name}] {what}", MAX_SUBJECT)

    def text(self) -> str:
        """Return the whole text, lines separated by ``\\n``."""
        language = self.language
        lines = [f"{word('site', language)}: {one_line(self.site_name)} ({self.site_id})", ""]
        if not self.changes:
            lines += [word("test_text", language), self.when(self.created_at)]
        for change in self.listed:
            lines += [*self._block(change), ""]
        if self.unlisted:
            lines += [word("more", language, n=self.unlisted), ""]
        if self.suppressed:
            lines += [word("suppressed", language, n=self.suppressed), ""]
        if self.link is not None:
            lines.append(f"{word('link', language)}: {self.link}")
        return "\n".join(lines).rstrip() + "\n"

    def when(self, ts: datetime) -> str:
        """Return a time as local time and UTC."""
        local = ts.astimezone(ZoneInfo(self.timezone))
        form = "%d.%m.%Y %H:%M:%S" if self.language == "de" else "%Y-%m-%d %H:%M:%S"
        return f"{local:{form}} {local.tzname()} ({ts.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC)"

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values; times are ISO 8601 in UTC."""
        return {
            "version": 1,
            "id": self.id,
            "kind": self.kind,
            "site_id": self.site_id,
            "site_name": one_line(self.site_name),
            "severity": self.severity,
            "language": self.language,
            "subject": self.subject(),
            "text": self.text(),
            "created_at": _iso(self.created_at),
            "link": self.link,
            "alarms": [self._item(change) for change in self.listed],
            "unlisted": self.unlisted,
            "suppressed": self.suppressed,
        }

    def as_json(self) -> bytes:
        """Return `as_dict` as UTF-8 JSON."""
        text = json.dumps(
            self.as_dict(), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        # Lone surrogates have no UTF-8 form.
        return text.encode("utf-8", "replace")

    def _item(self, change: AlarmChange) -> dict[str, Any]:
        view = change.view
        local = view.raised_at.astimezone(ZoneInfo(self.timezone))
        return {
            "kind": _kind(change),
            "alarm_id": view.id,
            "code": view.name,
            "subject": None if view.subject is None else one_line(view.subject, 80),
            "severity": view.severity,
            "title": title_of(view.name, self.language),
            "detail": None if view.message is None else one_line(view.message),
            "active": view.active,
            "raised_at": _iso(view.raised_at),
            "raised_at_local": local.isoformat(timespec="seconds"),
            "cleared_at": None if view.cleared_at is None else _iso(view.cleared_at),
            "lasted_s": _lasted_s(change),
            "times": change.times or None,
        }

    def _block(self, change: AlarmChange) -> Sequence[str]:
        view, language = change.view, self.language
        lines = [f"{_headline(change, language)}"]
        if view.message:
            lines.append(f"  {word('detail', language)}: {one_line(view.message)}")
        if change.times:
            length = duration(change.window_s, language)
            lines.append(f"  {word('times', language, n=change.times, time=length)}")
        lines.append(f"  {word('since', language)}: {self.when(view.raised_at)}")
        lasted_s = _lasted_s(change)
        if view.cleared_at is not None and lasted_s is not None:
            lines.append(f"  {word('until', language)}: {self.when(view.cleared_at)}")
            lines.append(f"  {word('lasted', language)}: {duration(lasted_s, language)}")
        lines.append(f"  {word('code', language)}: {view.name}")
        return lines


def urgency(change: AlarmChange) -> AlarmSeverity:
    """Return how urgent it is to hear of `change`; what is over is never more than info."""
    return change.view.severity if change.view.active else "info"


def _kind(change: AlarmChange) -> Literal["raised", "cleared", "flapping"]:
    if change.kind.value == "flapping":
        return "flapping"
    return "raised" if change.view.active else "cleared"


def _headline(change: AlarmChange, language: Language) -> str:
    view = change.view
    what = title_of(view.name, language)
    if view.subject is not None:
        what += f" ({one_line(view.subject, 80)})"
    state = word(_kind(change), language)
    return f"{word(view.severity, language)}: {what} – {state}"


def _lasted_s(change: AlarmChange) -> float | None:
    over = change.view.cleared_at
    return None if over is None else max(0.0, (over - change.view.raised_at).total_seconds())


def _iso(ts: datetime) -> str:
    return ts.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
