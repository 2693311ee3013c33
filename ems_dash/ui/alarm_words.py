"""What an alarm is called on the pages."""

from __future__ import annotations

from ems_dash.i18n import label

_SUBJECTS = {"external_limit": ("binding", "external_"), "step_failing": ("step", "")}
"""Alarms whose subject is a name of the program's own: its group of words and their prefix."""


def alarm_title(name: str, subject: str | None, lang: str) -> str:
    """Return the name of an alarm and, where it has one, what it is about.

    Args:
        name: The alarm.
        subject: A device or a part of the program; None or empty for none.
        lang: ``"de"`` or ``"en"``.
    """
    title = label("alarm", name, lang)
    if not subject:
        return title
    if name in _SUBJECTS:
        group, prefix = _SUBJECTS[name]
        subject = label(group, f"{prefix}{subject}", lang)
    return f"{title}: {subject}"
