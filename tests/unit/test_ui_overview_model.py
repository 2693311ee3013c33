"""What the overview says about a plant that is well, ill, silent or without a plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from ui_builders import NOW, SITE, image, link, moment, plan, samples, snapshot, stale

from ems_dash.i18n import label, t
from ems_dash.ui import overview_model as model
from ems_dash.ui.alarm_strip import alarm_entries, strip
from ems_dash.ui.fields import changed, token_of
from ems_dash.ui.header import badges, data_attribution
from ems_dash.ui.last_known import last_soc
from ems_dash.ui.moment import LastSoc
from engine.domain.alarms import AlarmView
from engine.domain.control import CommandReport, EngineState, PowerLimits, StepHealth
from engine.domain.plan import PlanCheck
from engine.domain.sample import ProcessImage, Quality, Sample
from engine.domain.series import MeasuredPoint
from engine.domain.snapshot import Notice, PriceNow


def plain(text: object) -> str:
    return str(text).replace("\u00a0", " ").replace("\u202f", " ")


def test_healthy_plant_in_german() -> None:
    shown = {key: plain(value) for key, value in model.fields(moment()).items()}
    assert shown["hdr-date"] == "Mo, 23.11.2026"
    assert shown["hdr-time"] == "13:24:08"
    assert shown["hdr-conn"] == "Live"
    assert shown["soc-v"] == "63"
    assert shown["soc-s"] == "126 von 200 kWh · Fenster 10–90 %"
    assert shown["pow-v"] == "−58,0"
    assert shown["pow-s"] == "lädt · Limit 100 kW (Nennleistung)"
    assert shown["strat-v"] == "Co-Optimierung"
    assert shown["profit-v"] == "18,42 €"
    assert shown["profit-t"] == "12,10 €"
    assert shown["grid-v"] == "+12,3"
    assert shown["grid-w"] == "Bezug"
    assert shown["bat-w"] == "lädt, 27,4 °C"
    assert shown["price-v"] == "4,4"
    assert shown["pv-w"] == "von 90 kWp"


def test_healthy_plant_in_english() -> None:
    shown = {key: plain(value) for key, value in model.fields(moment("en")).items()}
    assert shown["pow-v"] == "−58.0"
    assert shown["pow-s"] == "charging · limit 100 kW (nameplate)"
    assert shown["profit-v"] == "€18.42"
    assert shown["grid-w"] == "import"


@pytest.mark.parametrize(
    ("power_kw", "word"), [(-58.0, "lädt"), (58.0, "entlädt"), (0.1, "ruht"), (-0.1, "ruht")]
)
def test_battery_word_follows_the_sign(power_kw: float, word: str) -> None:
    shown = model.fields(moment(image=image(battery_kw=power_kw)))
    assert str(shown["pow-s"]).startswith(f"{word} · ")


def test_discharging_names_the_limit_that_binds() -> None:
    shown = model.fields(moment(image=image(battery_kw=80.0)))
    assert plain(shown["pow-s"]) == "entlädt · Limit 80 kW (BMS-Leistungsgrenze)"


def test_idle_battery_shows_both_limits() -> None:
    limits = PowerLimits(0.0, 80.0, "soc_window", "nameplate")
    shown = model.fields(moment(image=image(battery_kw=0.0), limits=limits))
    assert plain(shown["pow-s"]) == "ruht · Limit 0 laden / 80 kW entladen (SoC-Fenster)"


def test_power_bar_grows_from_the_middle_to_the_side_of_the_sign() -> None:
    charging = model.fields(moment(image=image(battery_kw=-50.0)))["pow-b.style"]
    discharging = model.fields(moment(image=image(battery_kw=50.0)))["pow-b.style"]
    assert charging == {"left": "25.0%", "width": "25.0%"}
    assert discharging == {"left": "50.0%", "width": "25.0%"}


def test_stale_value_is_muted_and_says_its_age() -> None:
    old = {**samples(), "soc_percent": stale(61.0, 14)}
    shown = model.fields(moment(image=ProcessImage("site-1", NOW, old)))
    assert shown["soc-v"] == "61"
    assert plain(shown["soc-p"]) == "veraltet, 14 s"
    assert shown["soc-p.title"] == "link silent"
    assert "is-muted" in str(shown["soc.className"])


def test_bad_value_is_a_dash_and_never_zero() -> None:
    bad = {**samples(), "grid_kw": Sample(None, NOW, "meter", Quality.BAD, "no answer yet")}
    shown = model.fields(moment(image=ProcessImage("site-1", NOW, bad)))
    assert shown["grid-v"] == "–"
    assert shown["grid-w"] == "unbekannt"
    assert shown["grid-p"] == "kein Wert"
    assert shown["flow-grid.className"] == "flow-line is-idle"


def test_signal_that_no_device_supplies_is_not_called_a_fault() -> None:
    shown = model.fields(moment(image=image(pv_kw=None)))
    assert shown["pv-v"] == "–"
    assert shown["pv-w"] == "nicht vorhanden"
    assert shown["pv-p"] == ""


def test_flow_points_to_the_busbar_for_sources_and_away_for_loads() -> None:
    shown = model.fields(moment())
    assert shown["flow-pv.className"] == "flow-line is-in is-strong"
    assert shown["flow-load.className"] == "flow-line is-out is-strong"
    assert shown["flow-grid.className"] == "flow-line is-in"
    assert shown["flow-bat.className"] == "flow-line is-out is-strong"
    assert shown["pv.className"] == "flow-item"


def test_a_device_that_is_silent_says_since_when() -> None:
    lost = AlarmView("link_offline", True, NOW - timedelta(minutes=5), subject="bms")
    ill = snapshot(
        alarms=(lost,),
        links=(link(state="offline", reason="unit 1: no connection"), link("pcs")),
    )
    bms, pcs = model.devices(ill, "en")
    assert plain(bms.text).startswith("since 13:19:08 · ")
    assert "since" not in pcs.text


def test_nothing_is_live_while_no_device_delivers() -> None:
    silent = ProcessImage(
        SITE.site_id,
        NOW,
        {"soc_percent": Sample(None, NOW, "bms", Quality.BAD, "no connection")},
    )
    gone = moment(image=silent, shown=silent, state=EngineState.SAFE, state_reason="bms_missing")
    shown = {key: plain(value) for key, value in model.fields(gone).items()}
    assert (shown["hdr-conn"], shown["hdr-conn.className"]) == ("keine Werte", "pill pill-warn")
    assert shown["soc-v"] == "–"
    assert shown["soc-s"].startswith("Kapazität")
    told = replace(gone, last_soc=LastSoc(49.6, NOW - timedelta(minutes=20)))
    assert plain(model.fields(told)["soc-s"]) == "zuletzt 50 % um 13:04 · Kapazität 200 kWh"
    yesterday = replace(gone, last_soc=LastSoc(49.6, NOW - timedelta(hours=20)))
    assert "um So, 22.11. 17:24" in plain(model.fields(yesterday)["soc-s"])
    starting = moment(image=silent, shown=silent, state=EngineState.STARTING)
    assert model.fields(starting)["hdr-conn"] == "verbindet …"


def test_the_last_state_of_charge_is_looked_up_only_while_there_is_none() -> None:
    class Ring:
        def measured(self, since: datetime, until: datetime | None = None) -> list[MeasuredPoint]:
            at = NOW - timedelta(minutes=3)
            return [
                MeasuredPoint(at - timedelta(minutes=1), 60, {"soc_percent": 48.0}),
                MeasuredPoint(at, 60, {"soc_percent": 49.0}),
                MeasuredPoint(at + timedelta(minutes=1), 60, {"soc_percent": None}),
            ]

    assert last_soc(Ring(), moment().snapshot, NOW) is None
    silent = ProcessImage(SITE.site_id, NOW, {})
    gone = moment(image=silent, shown=silent).snapshot
    assert last_soc(Ring(), gone, NOW) == LastSoc(49.0, NOW - timedelta(minutes=3))


def test_silent_control_loop_marks_the_whole_page() -> None:
    shown = model.fields(moment(heartbeat_age_s=14.0))
    assert plain(shown["hdr-conn"]) == "veraltet, 14 s"
    assert shown["ov-root.className"] == "live-page is-stale"


def test_without_a_plan_the_reason_is_said_and_no_profit_is_claimed() -> None:
    failed = StepHealth("plan", False, None, 2, 2, "Prices are not available.")
    now = moment(plan=None, health=(failed,), state=EngineState.DEGRADED, state_reason="no_plan")
    shown = model.fields(now)
    assert shown["strat-v"] == "Kein Plan"
    assert shown["strat-s"] == "Prices are not available."
    assert shown["profit-v"] == "–"
    assert shown["eng-v"] == "eingeschränkt"
    assert shown["eng-w"] == "Es gibt keinen gültigen Plan"


def test_a_new_site_that_waits_is_calm_and_says_what_for() -> None:
    waits = StepHealth(
        *("plan", False, None, 0, 0),
        "load_kw: There is not enough history to forecast anything: 2 of 4 quarter-hours. "
        "Wait until an hour has been measured, or import past values.",
    )
    state, reason = EngineState.WAITING, "too_little_measured"
    now = moment(plan=None, health=(waits,), state=state, state_reason=reason)
    shown = model.fields(now)
    assert (shown["eng-v"], shown["eng-v.className"]) == ("wartet", "pill pill-info")
    assert shown["eng-w"] == "Der erste Plan braucht eine Stunde Messwerte"
    assert (
        shown["strat-s"]
        == "Last: Für eine Prognose ist noch zu wenig gemessen: 2 von 4 Viertelstunden."
    )
    (entry,) = model.notices(now.snapshot, "de")
    assert (entry.kind, entry.title) == ("info", "Wartet auf die ersten Messwerte")


def test_late_plan_is_marked() -> None:
    old = plan(start=NOW - timedelta(minutes=70))
    shown = model.fields(moment(plan=old))
    assert plain(shown["strat-p"]) == "veraltet, 70 min"
    assert "is-muted" in str(shown["profit.className"])


def test_a_strategy_that_is_not_applied_is_not_called_automatic() -> None:
    shown = model.fields(moment(state=EngineState.MONITORING))
    assert str(shown["strat-s"]).startswith("wird nicht angewendet")


def test_unknown_price_and_unknown_cost_are_dashes() -> None:
    shown = model.fields(moment(price=None, energy_cost_today_eur=None))
    assert shown["price-v"] == "–"
    assert shown["price-w"] == "Preis unbekannt"
    assert shown["profit-t"] == "–"


def test_forecast_price_is_marked() -> None:
    price = PriceNow(0.05, 0.15, 0.045, "recorded", is_forecast=True)
    assert model.fields(moment(price=price))["price-p"] == "Prognose"


def test_downloaded_price_shows_its_age() -> None:
    price = PriceNow(0.05, 0.15, 0.045, "awattar", fetched_at=NOW - timedelta(hours=50))
    assert plain(model.fields(moment(price=price))["price-p"]) == "veraltet, 2 d"


@pytest.mark.parametrize(("spot", "level"), [(0.01, "cheap"), (0.09, "medium"), (0.2, "dear")])
def test_price_level_compares_with_the_next_day(spot: float, level: str) -> None:
    assert model.price_level(PriceNow(spot, spot, spot, "recorded"), plan(), NOW) == level


def test_badges_say_what_is_not_real() -> None:
    demo = snapshot(time_factor=60.0)
    assert [b.text for b in badges(demo, "de")] == [
        "Demo-Anlage (simuliert)",
        "Preise: Aufzeichnung",
        "Zeitraffer 60×",
    ]
    real = snapshot(
        image=ProcessImage("site-1", NOW, samples()),
        price=PriceNow(0.05, 0.15, 0.045, "awattar", fetched_at=NOW),
        plan=plan(forecast_sources={"price": "awattar"}),
    )
    assert badges(real, "de") == []
    assert data_attribution(real, "de") == ""
    assert "SMARD.de (CC BY 4.0); Last und PV: AEW" in data_attribution(demo, "de")


def test_recorded_prices_are_said_even_when_the_price_of_now_is_missing() -> None:
    silent = snapshot(price=None, notices=(Notice("recorded_prices"),))
    assert "Preise: Aufzeichnung" in [b.text for b in badges(silent, "de")]


def test_notices_failures_and_unmet_wishes_are_listed_gravest_first() -> None:
    sick = snapshot(
        notices=(Notice("monitor_mode", "warning"), Notice("demo_plant")),
        health=(
            StepHealth("control", False, NOW, 1, 1, "boom"),
            StepHealth("history", False, None, 1, 1, "disk full"),
        ),
        plan=plan(gave_way={"import_limit_kw": 4.2}),
    )
    entries = model.notices(sick, "de")
    assert [e.kind for e in entries] == ["alarm", "warn", "warn", "warn"]
    text = plain(" ".join(f"{e.title} {e.text}" for e in entries))
    assert "Regelung gestört boom (zuletzt in Ordnung 13:24)" in text
    assert "Aufzeichnung gestört disk full (noch nie gelungen)" in text
    assert "Abweichung 4,2 kW" in text
    assert "Die Anlage ist simuliert" not in text  # the badge says it


def test_what_a_remark_says_of_prices_is_not_said_again_by_their_jobs() -> None:
    told = "No day-ahead prices are known. The exchange is away. Look at the cable."
    ill = snapshot(
        plan=None,
        notices=(Notice("prices_none", "warning", told),),
        health=tuple(
            StepHealth(name, False, None, 2, 2, told)
            for name in ("plan", "prices", "price_history")
        ),
    )
    assert [entry.title for entry in model.notices(ill, "en")] == [
        label("notice", "prices_none", "en"),
        t("step.failed", "en", step=label("step", "plan", "en")),
    ]
    assert model.why_no_plan(ill, "en", briefly=True) == "No day-ahead prices are known."
    assert model.why_no_plan(ill, "en") == told


def test_plan_that_failed_its_check_is_an_alarm() -> None:
    broken = plan(check=PlanCheck(False, 5.0, 0.0, 0.0, ("Step 3 exceeds the limit.",)))
    (entry,) = model.notices(snapshot(plan=broken), "en")
    assert entry.kind == "alarm"
    assert entry.text == "Step 3 exceeds the limit."


def test_offline_device_says_why_and_online_device_says_what_it_may() -> None:
    offline = link("pcs", state="offline", reason="no answer for 12 s")
    first, second = model.devices(snapshot(links=(link(), offline)), "de")
    assert (first.word, first.text) == ("online", "simuliert · Schreiben frei")
    why = "seit 12 s keine Antwort"
    assert (second.word, second.text, second.kind) == ("offline", why, "alarm")


def test_a_flash_write_budget_is_shown_beside_the_device() -> None:
    report = CommandReport("confirmed", flash_writes_today=3, daily_write_budget=96)
    (entry,) = model.devices(snapshot(links=(link(),), command=report), "de")
    assert "Flash-Schreibvorgänge heute: 3 von 96" in entry.text


def test_the_broker_is_named_as_such() -> None:
    (entry,) = model.devices(snapshot(links=(link("mqtt", simulated=False),)), "en")
    assert entry.text == "MQTT broker"


def test_alarms_are_listed_until_seen_and_over() -> None:
    active = AlarmView("system_fault", True, NOW)
    over = AlarmView("charge_prohibited", False, NOW - timedelta(hours=1), cleared_at=NOW)
    seen = replace(over, name="fault", acknowledged=True)
    late = AlarmView("prices_late", True, NOW, severity="warning", source="engine")
    assert [
        model.fields(moment(alarms=alarms))["hdr-alarm"]
        for alarms in ((over, late), (active, over, late), (active, active))
    ] == ["", "1 Alarm", "2 Alarme"], "the bar of every page"
    entries = alarm_entries(snapshot(alarms=(over, late, seen, active)), "de")
    assert [(e.title, e.kind, e.word) for e in entries] == [
        ("Systemfehler der Batterie", "alarm", "Alarm"),
        ("Preise verspätet oder alt", "warn", "Warnung"),
        ("Laden gesperrt", "info", "vorbei"),
    ]
    assert "nicht quittiert" in entries[0].text
    assert strip([], "de") is None
    shown = str(strip([*entries, *entries], "de"))
    assert "und 2 weitere" in shown
    assert "/monitoring" in shown


def test_people_see_calmed_values_while_control_uses_the_raw_ones() -> None:
    calm = moment(image=image(soc_percent=63.04), shown=image(soc_percent=71.0))
    assert model.fields(calm)["soc-v"].startswith("71")


def test_only_changed_texts_are_sent_and_tokens_name_texts() -> None:
    old = model.fields(moment())
    new = model.fields(moment(image=image(soc_percent=64.0)))
    assert set(changed(old, new)) == {"soc-v", "soc-b.style", "soc-s"}
    assert changed(None, new) == new
    assert token_of(old) == token_of(model.fields(moment()))
    assert token_of(old) != token_of(new)


def test_lists_key_changes_with_a_device_state_only() -> None:
    base = snapshot()
    moved = replace(base, seq=8, image=image(soc_percent=70.0))
    gone = replace(base, links=(link(state="offline", reason="gone"),))
    assert model.lists_key(base, "de") == model.lists_key(moved, "de")
    assert model.lists_key(base, "de") != model.lists_key(gone, "de")
