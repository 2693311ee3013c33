"""Key figures: what is unknown stays unknown, and every figure is documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analytics.kpis import KPIS, KpiSettings, kpis, round_trip_efficiency
from engine.analytics.totals import MAXIMA, TOTALS, added
from tests.support.measured_site import BATTERY_200

SETTINGS = KpiSettings(BATTERY_200)
DOCS = Path(__file__).resolve().parents[2] / "docs" / "analysis" / "kpis.md"


def test_nothing_known_makes_nothing_known() -> None:
    assert kpis({}, SETTINGS) == dict.fromkeys(KPIS)
    assert kpis(added([]), SETTINGS) == dict.fromkeys(KPIS)


def test_every_key_figure_has_an_entry_in_the_documentation_and_in_the_docstring() -> None:
    entries = "\n".join(
        line.split("|")[1]
        for line in DOCS.read_text("utf-8").splitlines()
        if line.startswith("| `")
    )
    assert set(re.findall(r"`([a-z0-9_]+)`", entries)) == set(KPIS)
    docstring = kpis.__doc__ or ""
    for name in KPIS:
        assert name in docstring or name.endswith("_rmae"), name


def test_a_period_is_computed_from_sums_and_not_averaged_from_days() -> None:
    one = {"counted_pv_kwh": 100.0, "counted_pv_exported_kwh": 100.0, "peak_kw": 40.0}
    other = {"counted_pv_kwh": 300.0, "counted_pv_exported_kwh": 0.0, "peak_kw": 70.0}
    both = kpis(added([one, other, {}]), SETTINGS)
    assert both["self_consumption"] == pytest.approx(0.75)
    assert both["peak_kw"] == 70.0
    assert both["self_sufficiency"] is None


def test_capture_needs_something_to_capture() -> None:
    earned = {"perfect_profit_eur": 10.0, "captured_profit_eur": 6.5}
    assert kpis(earned, SETTINGS)["capture"] == pytest.approx(0.65)
    nothing = {"perfect_profit_eur": 0.0, "captured_profit_eur": -0.4}
    assert kpis(nothing, SETTINGS)["capture"] is None
    assert kpis(nothing, SETTINGS)["gap_to_perfect_eur"] == pytest.approx(0.4)


def test_self_sufficiency_is_not_said_of_minutes_of_charging_from_the_grid() -> None:
    day = {"counted_load_kwh": 100.0, "counted_load_import_kwh": 60.0, "counted_stored_kwh": 20.0}
    assert kpis(day, SETTINGS)["self_sufficiency"] == pytest.approx(0.4)
    charging = {
        "counted_load_kwh": 9.0,
        "counted_load_import_kwh": 56.0,
        "counted_stored_kwh": 45.0,
    }
    assert kpis(charging, SETTINGS)["self_sufficiency"] is None
    emptied = {"counted_load_kwh": 9.0, "counted_load_import_kwh": 0.0, "counted_stored_kwh": -9.0}
    assert kpis(emptied, SETTINGS)["self_sufficiency"] is None
    # What was exported for more than it cost is import without load for good: that is said.
    traded = {"counted_load_kwh": 100.0, "counted_load_import_kwh": 130.0}
    assert kpis(traded, SETTINGS)["self_sufficiency"] == pytest.approx(-0.3)


def test_a_round_trip_is_measured_only_where_it_can_be() -> None:
    full = {
        "counted_charged_kwh": 200.0,
        "counted_discharged_kwh": 180.5,
        "counted_stored_kwh": 0.0,
    }
    assert kpis(full, SETTINGS)["round_trip_efficiency"] == pytest.approx(0.9025)
    short = full | {"counted_discharged_kwh": 40.0, "counted_charged_kwh": 45.0}
    assert kpis(short, SETTINGS)["round_trip_efficiency"] is None
    unknown = {key: value for key, value in full.items() if key != "counted_stored_kwh"}
    assert kpis(unknown, SETTINGS)["round_trip_efficiency"] is None


@given(
    efficiency=st.floats(min_value=0.7, max_value=1.0),
    charged=st.floats(min_value=100.0, max_value=500.0),
    share=st.floats(min_value=0.0, max_value=0.4),
)
def test_what_stays_in_the_store_does_not_look_like_a_loss(
    efficiency: float, charged: float, share: float
) -> None:
    one_way = efficiency**0.5
    stored = charged * one_way * share
    discharged = (charged * one_way - stored) * one_way
    found = round_trip_efficiency(charged, discharged, stored)
    assert found == pytest.approx(efficiency, rel=1e-6)


def test_co2_is_shown_only_with_a_factor() -> None:
    totals = {"import_kwh": 50.0, "no_battery_import_kwh": 80.0, "counted_import_kwh": 45.0}
    assert kpis(totals, SETTINGS)["co2_kg"] is None
    found = kpis(totals, KpiSettings(BATTERY_200, 200.0))
    assert found["co2_kg"] == pytest.approx(10.0)
    assert found["co2_saved_kg"] == pytest.approx(7.0)


def test_names_are_used_once() -> None:
    assert len({*TOTALS, *MAXIMA}) == len(TOTALS) + len(MAXIMA)
    # The highest import is kept of a day under the name of the figure it is.
    assert set(KPIS) & {*TOTALS, *MAXIMA} == {"peak_kw"}
