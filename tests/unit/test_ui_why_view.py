"""A click on "why" answers with the value now, the value later, and what would change it."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from ui_builders import NOW, moment, plan

from ems_dash.ui.why_view import later_text, plan_table, what_would_change, why_body, why_title
from engine.domain.site import Battery
from engine.optimization.explanation import ActionKind, Driver, Reason, ReasonCode
from engine.optimization.turning_points import TurningPoints, turning_points

BATTERY = Battery(200.0, 100.0, 100.0, 0.95, 0.9, 10.0, 90.0, wear_cost_eur_per_kwh=0.02)
TURN = TurningPoints(0.10, 0.18, is_full=False, is_empty=False)
CLEAR = ReasonCode.STORED_VALUE_ABOVE_PRICE


def test_prices_turn_a_step_where_losses_and_wear_say() -> None:
    turn = turning_points(plan(), 0, BATTERY)
    assert turn.charge_below == pytest.approx((0.12 - 0.02) * 0.95)
    assert turn.discharge_above == pytest.approx((0.12 + 0.02) / 0.9)
    assert turning_points(plan(soc_kwh=np.full(144, 180.0)), 0, BATTERY).is_full
    assert turning_points(plan(soc_kwh=np.full(144, 20.0)), 0, BATTERY).is_empty


@pytest.mark.parametrize(
    ("kind", "turn", "code", "said"),
    [
        (ActionKind.CHARGE_GRID, TURN, CLEAR, "Above 10.0\u00a0ct/kWh it would no longer charge"),
        (
            ActionKind.DISCHARGE_LOAD,
            TURN,
            ReasonCode.PRICE_ABOVE_STORED_VALUE,
            "Below 18.0\u00a0ct/kWh it would no longer discharge",
        ),
        (
            ActionKind.HOLD,
            TURN,
            ReasonCode.NO_GAIN,
            "Below 10.0\u00a0ct/kWh it would charge. Above 18.0\u00a0ct/kWh it would discharge",
        ),
        (
            ActionKind.HOLD,
            TurningPoints(0.1, 0.18, is_full=True, is_empty=False),
            ReasonCode.NO_GAIN,
            "It cannot charge",
        ),
        (
            ActionKind.HOLD,
            TurningPoints(0.1, 0.18, is_full=False, is_empty=True),
            ReasonCode.NO_GAIN,
            "It cannot discharge",
        ),
        (ActionKind.CHARGE_PV, TURN, ReasonCode.CONSTRAINT, "No other price"),
    ],
)
def test_what_would_change_a_step_is_said(
    kind: ActionKind, turn: TurningPoints, code: ReasonCode, said: str
) -> None:
    text = what_would_change(kind, Reason(code, 0.12, 0.1), turn, "en")
    assert said in text
    assert text.endswith("nothing else about the plan changes.")


@pytest.mark.parametrize("driver", list(Driver))
@pytest.mark.parametrize("lang", ["de", "en"])
def test_drivers_say_what_their_absence_would_do(driver: Driver, lang: str) -> None:
    reason = Reason(CLEAR, 0.12, 0.1, drivers=(driver,))
    text = what_would_change(ActionKind.CHARGE_GRID, reason, TURN, lang)
    assert text.count(".") >= 3
    assert "why." not in text


def test_the_dialog_names_step_value_price_and_later() -> None:
    the_plan = plan()
    assert why_title(the_plan, 0, moment("en")).startswith("Charge from PV")
    assert "40.0\u00a0kW" in why_title(the_plan, 0, moment("en"))
    body = str(why_body(the_plan, 12, moment("en")))
    assert "Worth of a stored kWh" in body
    assert "12.0" in body
    assert "What would change it" in body
    assert later_text(Reason(CLEAR, 0.1, 0.1), moment("en")) == "Nothing is waited for."


def test_the_table_holds_six_hours_of_steps_each_with_a_button() -> None:
    shown = str(plan_table(plan(), 0, moment("en")))
    assert shown.count("'type': 'ov-why'") == 24
    assert "Why at Mon, 23 Nov 13:15?" in shown
    later = str(plan_table(plan(), 5, moment("en")))
    assert "Why at Tue, 24 Nov 19:15?" in later
    assert "ov-why" not in str(plan_table(plan(n=20), 5, moment("en")))
    old = plan(start=NOW - timedelta(days=9))
    assert "No steps yet" in str(plan_table(old, 0, moment("en")))
