"""Pages about the past and the settings say which devices do not answer, and since when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ems_dash.ui.settings_devices import opened_device
from ems_dash.ui.settings_links import link_fields, link_parts
from ems_dash.ui.silence import silence
from engine.domain.alarms import AlarmView
from tests.unit.ui_builders import NOW, link, moment

SINCE = NOW - timedelta(minutes=20)


def gone(name: str, since: Any = SINCE) -> AlarmView:
    return AlarmView("link_offline", True, since, subject=name, source="engine")


@pytest.mark.parametrize("lang", ["de", "en"])
def test_silent_devices_are_named_once_with_when_they_fell_silent(lang: str) -> None:
    word = {"de": "seit", "en": "since"}[lang]
    now = moment(
        lang,
        links=(
            link("bms", state="offline"),
            link("meter", state="offline"),
            link("pv", state="offline"),
            link("pcs"),
            link("mqtt", state="offline"),
        ),
        alarms=(gone("bms"), gone("meter"), gone("pv", NOW - timedelta(minutes=5))),
    )
    said = silence(now)
    first, later = (
        (NOW - timedelta(minutes=m)).astimezone(now.tz).strftime("%H:%M:%S") for m in (20, 5)
    )
    assert f"bms, meter {word} {first}" in said
    assert f"pv {word} {later}" in said
    assert "pcs" not in said
    assert "mqtt" not in said, "the broker measures nothing"


def test_nothing_is_said_while_everything_answers() -> None:
    assert silence(moment()) == ""
    ended = AlarmView("bms_stale", False, SINCE, cleared_at=NOW)
    assert silence(moment(alarms=(ended,))) == ""


def test_values_that_stay_away_are_said_when_the_link_stands() -> None:
    said = silence(moment("en", alarms=(AlarmView("bms_stale", True, SINCE, source="engine"),)))
    assert "since" in said
    assert "battery" in said.lower()


def test_the_settings_show_how_a_device_is_connected_and_nothing_invented() -> None:
    now = moment(
        "en",
        links=(link("pcs"), link("bms", state="offline", reason="nothing listens there.")),
        alarms=(gone("bms"),),
    )
    fields = link_fields(now)
    assert fields["set-lnk-0.className"].endswith("pill-ok")
    assert fields["set-why-0"] == ""
    assert fields["set-lnk-1.className"].endswith("pill-alarm")
    assert fields["set-why-1"].startswith("since ")
    assert [part.id for part in link_parts("bms", now)] == ["set-lnk-1", "set-why-1"]
    (unknown,) = link_parts("new", now)
    assert "pill-ok" not in unknown.className


def test_the_first_device_that_is_read_is_open_until_another_is_chosen() -> None:
    values = {"devices": [{"name": "a", "enabled": False}, {"name": "b"}]}
    assert opened_device(values, {}) == "devices.1"
    assert opened_device(values, {"device": "devices.0"}) == "devices.0"
    assert opened_device(values, {"device": "devices.7"}) == "devices.1"
    assert opened_device({}, {}) == "modbus"
