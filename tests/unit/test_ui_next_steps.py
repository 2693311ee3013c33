"""Next steps in words."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from ui_builders import NOW, plan

from ems_dash.ui.next_steps import day_strip, next_steps
from engine.optimization.explanation import next_actions

VIENNA = ZoneInfo("Europe/Vienna")


def lines(lang: str = "de") -> list[tuple[str, str]]:
    steps = next_steps(next_actions(plan(), NOW, limit=6), NOW, VIENNA, lang)
    return [(s.title, s.detail.replace("\u00a0", " ")) for s in steps]


def test_steps_say_what_when_how_much_and_at_which_price() -> None:
    german = lines()
    assert german[0][0] == "Laden mit PV und Netz"
    assert german[0][1].startswith("noch bis 16:15 · ")
    assert "ct/kWh" in german[0][1]
    assert german[1] == ("Halten", "16:15 – 19:15")
    assert german[2][0] == "Entladen für die Last"
    assert german[2][1].startswith("19:15 – 22:15 · 90,0 kWh · Ø ")


def test_running_step_says_why_and_only_that_one() -> None:
    steps = next_steps(next_actions(plan(), NOW, limit=6), NOW, VIENNA, "en")
    assert [s.running for s in steps] == [True, False, False, False, False, False]
    assert "12.0" in steps[0].why
    assert steps[1].why == ""
    assert steps[1].power is None


def test_steps_of_tomorrow_say_so() -> None:
    details = [detail for _, detail in lines("en")]
    assert any(detail.startswith("tomorrow ") for detail in details)


def test_strip_covers_24_hours() -> None:
    parts = day_strip(plan(), NOW, VIENNA, "de")
    assert abs(sum(part.share for part in parts) - 1) < 1e-9
    assert [part.kind for part in parts[:3]] == ["charge", "hold", "discharge"]
    assert parts[1].title.replace("\u00a0", " ") == "Halten 16:15 – 19:15"


def test_no_strip_without_a_plan_or_after_its_end() -> None:
    assert day_strip(None, NOW, VIENNA, "de") == []
    assert day_strip(plan(), NOW + timedelta(days=9), VIENNA, "de") == []
