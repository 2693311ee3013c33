"""What the monitoring page says: readings and their trust, alarms and their story, updates."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import plotly.graph_objects as go
import pytest
from ui_builders import NOW, SITE, image, link, moment, samples, snapshot, stale

from ems_dash.i18n import LANGS, catalogue
from ems_dash.ui.fields import Fields, ShownTexts
from ems_dash.ui.monitoring import alarms, channels, connections, events, registers, signals
from ems_dash.ui.monitoring import delta as live
from ems_dash.ui.monitoring.charts import battery_figure, power_figure, window_of
from ems_dash.ui.monitoring.connections import Links
from ems_dash.ui.monitoring.panel import Look
from ems_dash.ui.monitoring.series import (
    SPANS,
    gap_s,
    means,
    points_of,
    span_of,
    table_rows,
    with_holes,
)
from ems_dash.ui.monitoring.tiles import tile_fields
from ems_dash.ui.theme import PALETTES
from engine.devices.link_statistics import LinkFault, UnitStatistics
from engine.devices.mqtt.status import MqttStatus
from engine.devices.register_view import RegisterReading
from engine.domain.alarms import ENGINE_ALARMS, AlarmView
from engine.domain.control import LinkStatus
from engine.domain.records import EventRow
from engine.domain.sample import ProcessImage, Quality, Sample
from engine.domain.series import MeasuredPoint
from engine.domain.signals import ALARMS, SIGNALS, STATUS_NO_CHARGE, STATUS_NO_DISCHARGE
from engine.notify.notifier import NotifyTest
from engine.notify.outbox import ChannelStatus
from engine.telemetry.recent import RecentCycle, RecentRing

VIENNA = ZoneInfo("Europe/Vienna")


def plain(text: object) -> str:
    return str(text).replace("\u00a0", " ").replace("\u202f", " ")


def shown(fields: Fields) -> dict[str, str]:
    return {key: plain(value) for key, value in fields.items()}


# --- tiles and signals ------------------------------------------------------------------------


def test_a_tile_says_value_unit_source_and_age() -> None:
    said = shown(tile_fields(moment(image=image(voltage_v=768.44, status_code=1.0))))
    assert (said["m-volt-v"], said["m-volt-u"], said["m-volt-a"]) == ("768,4", "V", "sim · < 3 s")
    assert (said["m-status-v"], said["m-status-a"]) == ("Laden", "Code 1 · sim · < 3 s")
    assert said["m-pow-w"] == "lädt · Limit 100 kW (Nennleistung)"


def test_what_no_device_supplies_is_never_zero() -> None:
    said = shown(tile_fields(moment()))
    assert (said["m-iso-v"], said["m-iso-a"]) == ("–", "Kein Gerät liefert diesen Wert")
    assert "is-muted" in said["m-iso.className"]
    assert said["m-status-v"] == "–"


def test_large_insulation_values_are_in_megohms() -> None:
    said = shown(tile_fields(moment("en", image=image(insulation_resistance_kohm=1420.0))))
    assert (said["m-iso-v"], said["m-iso-u"]) == ("1.42", "MΩ")
    said = shown(tile_fields(moment("en", image=image(insulation_resistance_kohm=640.0))))
    assert (said["m-iso-v"], said["m-iso-u"]) == ("640", "kΩ")


def test_a_stale_reading_is_muted_with_its_age_and_an_invalid_one_has_no_figure() -> None:
    old = {**samples(), "soc_percent": stale(61.0, 14)}
    old["temperature_c"] = Sample(None, NOW, "bms", Quality.BAD, "sensor broken")
    now = moment(image=ProcessImage("site-1", NOW, old))
    tile, row = shown(tile_fields(now)), shown(signals.signal_fields(now))
    assert (tile["m-soc-v"], tile["m-soc-p"], tile["m-soc-a"]) == (
        "61",
        "veraltet, 14 s",
        "bms · 14 s",
    )
    assert (row["sig-soc_percent-q"], row["sig-soc_percent-r"]) == ("veraltet", "link silent")
    assert (row["sig-temperature_c-v"], row["sig-temperature_c-r"]) == ("–", "sensor broken")


def test_a_calmed_value_keeps_the_true_age_of_its_reading() -> None:
    held = ProcessImage("site-1", NOW, samples(NOW - timedelta(seconds=40)))
    said = shown(signals.signal_fields(moment(shown=held)))
    assert said["sig-grid_kw-a"] == "< 3 s"


def test_codes_and_alarm_bits_are_words() -> None:
    said = shown(signals.signal_fields(moment("en", image=image(status_code=5.0, alarm_bits=20.0))))
    assert said["sig-status_code-v"] == "5 · No charging"
    assert said["sig-alarm_bits-v"] == "Charging prohibited, Battery system fault"


@pytest.mark.parametrize("lang", LANGS)
def test_every_signal_alarm_status_and_link_error_has_a_name(lang: str) -> None:
    known = catalogue(lang)
    names = [f"signal.{name}" for name in SIGNALS]
    names += [f"alarm.{name}" for name in (*ALARMS, *ENGINE_ALARMS)]
    names += [f"status_code.{code}" for code in STATUS_NO_CHARGE | STATUS_NO_DISCHARGE | {1, 2, 3}]
    names += [f"link_error.{fault.value}" for fault in LinkFault]
    names += [f"quality.{quality.value}" for quality in Quality]
    assert [name for name in names if name not in known] == []


# --- alarms and events ------------------------------------------------------------------------


def event(minutes_ago: float, code: str, message: str, severity: str = "info") -> EventRow:
    return EventRow(NOW - timedelta(minutes=minutes_ago), "site-1", severity, code, message)


def alarm(name: str = "link_offline", minutes_ago: float = 5.0, **changes: Any) -> AlarmView:
    values = {"subject": "meter", "severity": "warning", "message": "no answer", **changes}
    return AlarmView(name, True, NOW - timedelta(minutes=minutes_ago), **values)


def test_active_alarms_come_first_then_what_is_over_since_yesterday() -> None:
    log = [
        event(3000, "alarm_raised", "no_price", "warning"),
        event(2900, "alarm_cleared", "no_price"),
        event(60, "alarm_raised", "system_fault", "alarm"),
        event(58, "alarm_acknowledged", "system_fault: by anna_k"),
        event(50, "alarm_cleared", "system_fault"),
        event(5, "alarm_raised", "link_offline [meter]: no answer", "warning"),
    ]
    grave = alarm("system_fault", 1.0, subject=None, severity="alarm", message=None)
    rows = alarms.alarm_rows(moment("en", alarms=(alarm(), grave)), log)
    assert [row.title for row in rows] == [
        "Battery system fault",
        "Connection lost: meter",
        "Battery system fault",
    ]
    assert [row.active for row in rows] == [True, True, False]
    assert [bool(row.id) for row in rows] == [True, True, False]
    over = rows[2]
    assert (over.raised, over.seen, over.cleared) == (
        "12:24:08",
        "12:26:08 by anna_k",
        "12:34:08",
    )
    assert alarms.count_active(rows) == (2, 2)


def test_what_is_over_but_not_seen_is_listed_once_with_its_button() -> None:
    log = [
        event(90, "alarm_raised", "system_fault", "alarm"),
        event(80, "alarm_cleared", "system_fault"),
        event(20, "alarm_raised", "system_fault", "alarm"),
        event(10, "alarm_cleared", "system_fault"),
    ]
    # The log is written a moment later than the cycle it tells of.
    over = alarm("system_fault", 20.1, subject=None, severity="alarm", message=None)
    over = replace(over, active=False, cleared_at=NOW - timedelta(minutes=10.1))
    rows = alarms.alarm_rows(moment(alarms=(over,)), log)
    assert [(bool(row.id), row.raised) for row in rows] == [(True, "13:04:02"), (False, "11:54:08")]


def test_a_failing_link_does_not_make_every_update_large() -> None:
    def lost(seconds: float) -> Fields:
        reason = f"unit 1: nothing listens there, next attempt in {seconds} s"
        bad = {n: Sample(None, NOW, "bms", Quality.BAD, reason) for n in samples()}
        return signals.signal_fields(moment(image=ProcessImage("site-1", NOW, bad)))

    assert lost(2.0) == lost(1.5)
    assert lost(2.0)["sig-soc_percent-a"] == "–"


def test_why_a_device_is_silent_is_not_repeated_for_each_of_its_signals() -> None:
    reason = "unit 1 at 10.0.0.9:502: no connection"
    bad = {"soc_percent": Sample(None, NOW, "bms", Quality.BAD, reason)}
    silent = moment(
        image=ProcessImage("site-1", NOW, bad), links=(link(state="offline", reason=reason),)
    )
    row = signals.signal_fields(silent)
    assert row["sig-soc_percent-r"] == "Gerät offline"
    assert "10.0.0.9" in str(row["sig-soc_percent-q.title"])


def test_an_acknowledged_alarm_says_when_and_by_whom_and_has_no_button() -> None:
    seen = alarm(
        acknowledged=True, acknowledged_at=NOW, acknowledged_by="operator", count=3, flapping=True
    )
    (row,) = alarms.alarm_rows(moment(alarms=(seen,)), [])
    assert (row.id, row.seen, row.cleared) == ("", "13:24:08 durch Bediener", "noch aktiv")
    assert row.detail == "keine Antwort · kommt und geht · 3-mal aufgetreten"


def test_who_may_not_acknowledge_sees_no_button() -> None:
    rows = alarms.alarm_rows(moment(alarms=(alarm(),)), [])
    assert "mon-ack" in json.dumps(_json(alarms.alarm_table(rows, "de", allowed=True)))
    assert "mon-ack" not in json.dumps(_json(alarms.alarm_table(rows, "de", allowed=False)))
    assert "Kein Alarm" in json.dumps(_json(alarms.alarm_table([], "de", allowed=True)))


def _json(component: Any) -> Any:
    parts = component if isinstance(component, list) else [component]
    return [json.loads(json.dumps(p, default=lambda c: c.to_plotly_json())) for p in parts]


@pytest.mark.parametrize(
    ("code", "message", "said"),
    [
        ("alarm_raised", "link_offline [bms]: no answer", "Connection lost: bms – no answer"),
        ("alarm_acknowledged", "no_plan: by operator", "No valid plan – seen by operator"),
        ("state_changed", "automatic -> safe (meter_missing)", "automatic → safe state (Grid"),
        ("external_limit", "dso: charge_kw 4.2", "dso: charge_kw 4.2"),
        ("engine_started", "The engine started.", "The engine started."),
    ],
)
def test_events_read_in_the_language_of_the_page(code: str, message: str, said: str) -> None:
    assert events.event_text(event(1, code, message), "en").startswith(said)


def test_the_log_shows_the_newest_first_and_is_bounded() -> None:
    many = [event(300 - i, "state_changed", "automatic -> safe") for i in range(events.MOST + 20)]
    text = json.dumps(_json(events.event_panel(moment(), many, "all")))
    assert text.count('"is-info"') == events.MOST


# --- connections, registers, channels ---------------------------------------------------------


def test_a_connection_says_its_errors_by_kind_and_its_response_times() -> None:
    statistics = {"bms": UnitStatistics(1000, 4, 2.0, {"timeout": 3, "exception 2": 1}, 2.1, 3, 9)}
    now = moment("en", links=(link(requests=1000, errors=4),))
    said = shown(connections.connection_fields(now, Links(statistics, None)))
    assert said["lnk-0-e"] == "4 (0.4 %)"
    assert said["lnk-0-k"] == "3 × no answer, 1 × refusal, code 2"
    assert (said["lnk-0-l"], said["lnk-0-m"]) == ("2.1 ms", "95 %: 3.0, at most 9.0 ms")


def test_the_broker_says_what_was_sent_and_lost() -> None:
    broker = MqttStatus(
        "degraded", "topic silent", "b:1883", "ems", False, True, published=9, dropped=2
    )
    links: tuple[LinkStatus, ...] = (broker.link(),)
    said = shown(connections.connection_fields(moment("en", links=links), Links({}, broker)))
    assert said["lnk-0-k"] == "9 sent · 0 received · 2 dropped"
    assert (said["lnk-0-q"], said["lnk-0-r"]) == ("degraded", "topic silent")


def register(**changes: Any) -> RegisterReading:
    values: dict[str, Any] = {
        **{"name": "current_a", "kind": "value", "address": 3, "function": 4, "type": "int32"},
        **{"words": (0xFFFF, 0xE2A4), "value": 75.16, "unit": "A", "quality": Quality.GOOD},
        **{"reason": None, "ts": NOW - timedelta(seconds=9)},
    }
    return RegisterReading(**{**values, **changes})


def test_a_register_shows_its_raw_words_in_both_notations() -> None:
    rows = (
        register(),
        register(name="charge_prohibited", kind="alarm", type="bit", words=(1,), value=1.0),
        register(name="pv_limited", words=(1,), value=1.0, unit=None, text="limited"),
        register(words=None, value=None, quality=Quality.BAD, reason="refused", ts=None),
    )
    said = shown(registers.register_fields(moment("en"), rows))
    assert (said["reg-0-w"], said["reg-0-v"]) == ("65535 58020 · 0xFFFF E2A4", "+75.2")
    assert (said["reg-0-a"], said["reg-1-w"], said["reg-1-v"]) == ("9 s", "1", "active")
    assert said["reg-2-v"] == "1 · limited"
    assert (said["reg-3-w"], said["reg-3-v"], said["reg-3-a"]) == ("–", "–", "–")
    assert said["reg-3.className"] == "is-muted"


def test_a_channel_says_its_state_and_what_came_of_a_test() -> None:
    failing = ChannelStatus(
        *("ops", "email", "mail.example.org", True, "failing"), last_error="refused", queued=2
    )
    text = json.dumps(_json(channels.channel_panel(moment("en"), (failing,), allowed=False)))
    assert "2 waiting" in text
    assert "refused" in text
    assert "mon-notify-test" not in text
    result = channels.result_text(NotifyTest("ops", False, "refused"), "en")
    assert result == "ops: Not delivered: refused"


# --- charts -----------------------------------------------------------------------------------


def cycles(seconds: int, step_s: float = 2.0) -> list[tuple[datetime, dict[str, float | None]]]:
    first = NOW - timedelta(seconds=seconds)
    return [
        (first + timedelta(seconds=i * step_s), {"battery_kw": 10.0 * (i % 2), "soc_percent": 50.0})
        for i in range(int(seconds / step_s))
    ]


@pytest.mark.parametrize("key", SPANS)
def test_a_range_has_at_most_720_points_per_trace_and_valid_figures(key: str) -> None:
    span = span_of(key)
    seconds = int(span.length.total_seconds())
    points = means(cycles(seconds), span, NOW - span.length, span.start_of(NOW))
    window = window_of(span, NOW, VIENNA)
    look: dict[str, Any] = {"hole_s": gap_s(span, 2.0), "theme": "dark", "lang": "de"}
    for figure in (
        power_figure(window, points, span, **look),
        battery_figure(window, points, span, SITE, **look),
        power_figure(window, [], span, **look),
    ):
        go.Figure(figure)
        assert "scattergl" not in json.dumps(figure)
        assert max(len(trace["x"]) for trace in figure["data"]) <= 720
        assert all(trace["meta"]["role"] in PALETTES["dark"] for trace in figure["data"])
        assert figure["layout"]["xaxis"]["autorange"] is False


def test_the_limits_of_the_bms_are_a_band_around_the_power() -> None:
    span = span_of("60m")
    values = {"battery_kw": -20.0, "max_charge_power_kw": 90.0, "max_discharge_power_kw": 80.0}
    points = [MeasuredPoint(span.start_of(NOW) - timedelta(seconds=5), 5, values)]
    figure = battery_figure(
        window_of(span, NOW, VIENNA), points, span, SITE, hole_s=10, theme="light", lang="en"
    )
    upper, lower = figure["data"][:2]
    assert (upper["y"], lower["y"]) == ([80.0], [-90.0])
    areas = {a["meta"].get("below"): a for a in figure["data"] if a.get("fill") == "tozeroy"}
    assert (areas[0]["y"], areas[1]["y"]) == ([80.0], [-90.0])


def test_missing_cycles_leave_a_hole() -> None:
    span = span_of("60m")
    kept = [row for row in cycles(600) if not 100 < (NOW - row[0]).total_seconds() < 200]
    points = means(kept, span, NOW - span.length, span.start_of(NOW))
    figure = power_figure(
        window_of(span, NOW, VIENNA), points, span, hole_s=10, theme="light", lang="en"
    )
    assert figure["data"][5]["y"].count(None) == 1


class _Engine:
    """A memory of ten minutes of cycles, and of minutes for the time before."""

    def __init__(self) -> None:
        self._ring = RecentRing()
        for ts, values in cycles(600):
            read = {n: Sample(v, ts, "bms") for n, v in values.items()}
            self._ring.add(ProcessImage("site-1", ts, read))

    def recent(self, since: datetime, limit: int | None = None) -> list[RecentCycle]:
        return self._ring.since(since, limit)

    def measured(self, since: datetime, until: datetime | None = None) -> list[MeasuredPoint]:
        minute = NOW.replace(second=0)
        ring = [
            MeasuredPoint(minute - timedelta(minutes=i), 60, {"soc_percent": 40.0})
            for i in range(120, 0, -1)
        ]
        return [p for p in ring if p.ts > since and (until is None or p.ts < until)]


def test_after_a_restart_the_time_before_is_drawn_from_minutes() -> None:
    span = span_of("60m")
    points = points_of(_Engine(), span, NOW, NOW - span.length)  # type: ignore[arg-type]
    times = [p.ts for p in points]
    assert times == sorted(set(times))
    assert points[0].values["soc_percent"] == 40.0
    assert points[-1].values["soc_percent"] == 50.0
    assert len(points) > 150
    assert points[-1].ts < span.start_of(NOW)


def test_only_finished_buckets_that_are_not_drawn_yet_are_added() -> None:
    span = span_of("60m")
    newest = span.start_of(NOW) - timedelta(seconds=10)
    fresh = points_of(_Engine(), span, NOW, newest)  # type: ignore[arg-type]
    assert [p.ts for p in fresh] == [newest + timedelta(seconds=5)]


def test_a_fast_clock_gets_coarser_points() -> None:
    assert span_of("15m", 1.0).bucket_s == 2.0
    assert span_of("15m", 60.0).bucket_s == 60.0
    assert span_of("15m", 90.0).bucket_s == 120.0
    assert span_of("nonsense").key == "60m"


def test_the_table_beside_a_chart_has_a_dozen_rows() -> None:
    span = span_of("60m")
    points = means(cycles(3600), span, NOW - span.length, span.start_of(NOW))
    rows = table_rows(points, span)
    assert 12 <= len(rows) <= 13
    assert rows[1][1]["battery_kw"] == pytest.approx(5.0, abs=0.2)


# --- live updates -----------------------------------------------------------------------------


def full_image(ts: datetime, factor: float = 1.0) -> ProcessImage:
    values = {name: 51.3 * factor + i for i, name in enumerate(SIGNALS)}
    values |= {"status_code": 1.0, "alarm_bits": 0.0}
    return ProcessImage("site-1", ts, {n: Sample(v, ts, "bms") for n, v in values.items()})


class _Plant(_Engine):
    def events(self, since: datetime) -> list[EventRow]:
        return []


def test_a_busy_update_with_every_signal_is_small_and_the_second_one_empty() -> None:
    shown_texts, look = ShownTexts(), Look()
    before = moment(image=full_image(NOW))
    now = live.shown_now(_Plant(), before, look)  # type: ignore[arg-type]
    state = live.first_state(before, now, [], shown_texts)
    later = NOW + timedelta(seconds=2)
    moved = replace(snapshot(image=full_image(later, 1.01)), seq=8, ts=later)
    after = replace(before, snapshot=moved, now=later)
    now = live.shown_now(_Plant(), after, look)  # type: ignore[arg-type]
    update = live.delta(state, after, now, [], shown_texts)
    assert len(json.dumps(update, ensure_ascii=False).encode()) < 1500
    again = live.delta({**state, "token": update["token"]}, after, now, [], shown_texts)
    assert "set" not in again


def test_a_usual_update_is_below_one_kilobyte() -> None:
    shown_texts, look = ShownTexts(), Look()
    before = moment()
    now = live.shown_now(_Plant(), before, look)  # type: ignore[arg-type]
    state = live.first_state(before, now, [], shown_texts)
    later = NOW + timedelta(seconds=2)
    read = samples(later, battery_kw=-41.0, pv_kw=60.1, load_kw=25.0, grid_kw=5.1)
    moved = replace(before.snapshot, seq=8, ts=later, image=ProcessImage("site-1", later, read))
    after = replace(before, snapshot=moved, now=later)
    now = live.shown_now(_Plant(), after, look)  # type: ignore[arg-type]
    points = [MeasuredPoint(NOW, 5, {"pv_kw": 60.1, "load_kw": 25.0, "grid_kw": 5.1})]
    update = live.delta(state, after, now, points, shown_texts)
    assert len(json.dumps(update, ensure_ascii=False).encode()) < 1024
    assert {"set", "add"} <= update.keys()
    assert not {"charts", "alarms", "panel"} & update.keys()


def test_a_new_panel_gets_all_its_texts_and_an_alarm_a_new_table() -> None:
    shown_texts = ShownTexts()
    now = live.shown_now(_Plant(), moment(), Look())  # type: ignore[arg-type]
    state = live.first_state(moment(), now, [], shown_texts)
    made = {"id": "new|8", "key": now.panel}
    update = live.delta(state, moment(), now, [], shown_texts, made=made)
    assert update["set"] == now.fields
    assert "panel" not in update
    told = {**state, "token": update["token"], "made": made}
    assert "set" not in live.delta(told, moment(), now, [], shown_texts, made=made)
    raised = moment(alarms=(alarm(),))
    now = live.shown_now(_Plant(), raised, Look())  # type: ignore[arg-type]
    update = live.delta(state, raised, now, [], shown_texts)
    assert "alarms" in update
    assert "set" not in update


def test_many_missed_points_rebuild_the_charts_instead() -> None:
    shown_texts = ShownTexts()
    now = live.shown_now(_Plant(), moment(), Look())  # type: ignore[arg-type]
    state = live.first_state(moment(), now, [], shown_texts)
    late = [MeasuredPoint(NOW + timedelta(seconds=i), 2, {}) for i in range(9)]
    update = live.delta(state, moment(), now, late, shown_texts)
    assert update["charts"].endswith("|late")
    assert "add" not in update


def test_the_axis_reads_local_time_and_is_drawn_anew_when_the_clock_changes() -> None:
    span = span_of("24h")
    before = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    keys = {
        live.charts_key(span, replace(moment(), now=before + timedelta(minutes=m)))
        for m in range(3)
    }
    assert len(keys) == 1
    after = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    keys = {
        live.charts_key(span, replace(moment(), now=after + timedelta(minutes=m))) for m in range(3)
    }
    assert len(keys) == 3


def test_an_address_with_nonsense_shows_the_usual_page() -> None:
    look = Look.of({"tab": "nothing", "range": "9y", "event_filter": "x"})
    assert (look.tab, look.event_filter) == ("signals", "all")


def test_minutes_from_before_a_restart_are_joined_and_fine_points_are_not_over_a_hole() -> None:
    minutes = [MeasuredPoint(NOW + timedelta(minutes=i), 60, {}) for i in range(3)]
    fine = [MeasuredPoint(NOW + timedelta(minutes=2, seconds=60 + 5 * i), 5, {}) for i in range(2)]
    late = MeasuredPoint(NOW + timedelta(minutes=5), 5, {})
    drawn = with_holes([*minutes, *fine, late], 10.0)
    assert [p.seconds for p in drawn] == [60, 60, 60, 5, 5, 0, 5]
