"""Accuracy on numbers worked by hand, and when another model may take over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from engine.domain.errors import ForecastError
from engine.forecasting.accuracy import Outcome, Scoreboard, score, score_all

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def test_errors_by_lead_time_by_hand() -> None:
    found = score(
        actual=[10.0, 20.0, 30.0, np.nan],
        p10=[8.0, 21.0, 20.0, 0.0],
        p50=[12.0, 24.0, 28.0, 0.0],
        p90=[14.0, 30.0, 29.0, 0.0],
        naive=[14.0, 16.0, np.nan, 0.0],
        lead_steps=[0, 3, 200, 5],
    )
    near, far = found
    assert (near.lead_from_steps, near.lead_to_steps, near.n) == (0, 4, 2)
    assert near.mae == pytest.approx(3.0)
    assert near.rmse == pytest.approx(np.sqrt(10.0))
    assert near.bias == pytest.approx(3.0)
    assert near.rmae == pytest.approx(3.0 / 4.0)
    assert near.pinball_p50 == pytest.approx(1.5)
    # P10: 0.1 * 2 for the first, 0.9 * 1 for the second, which lies below it.
    assert near.pinball_p10 == pytest.approx((0.2 + 0.9) / 2)
    assert near.pinball_p90 == pytest.approx((0.1 * 4 + 0.1 * 10) / 2)
    assert near.coverage == 0.5
    assert (far.lead_from_steps, far.lead_to_steps, far.n) == (192, None, 1)
    assert far.rmae is None
    assert far.coverage == 0.0
    assert near.pinball == pytest.approx(
        (near.pinball_p10 + near.pinball_p50 + near.pinball_p90) / 3
    )


def test_nothing_known_scores_nothing() -> None:
    assert score([], [], [], [], None, []) == []
    assert score_all([np.nan], [1.0], [1.0], [1.0], None) is None
    with pytest.raises(ForecastError, match="same number"):
        score([1.0], [1.0], [1.0], [1.0], None, [1, 2])


def outcome(model: str, error: float, *, at: datetime = NOW, n: int = 96) -> Outcome:
    actual = np.full(n, 100.0)
    return Outcome(
        "load_kw",
        model,
        at,
        actual,
        actual + error - 5.0,
        actual + error,
        actual + error + 5.0,
        actual + 10.0,
    )


def test_a_model_is_replaced_only_by_a_clearly_better_one() -> None:
    board = Scoreboard()
    board.add([outcome("ensemble", 8.0), outcome("ridge", 7.7)])
    assert board.choose("load_kw", "ensemble", NOW) == "ensemble"
    board.add([outcome("lightgbm", 7.5)])
    assert board.choose("load_kw", "ensemble", NOW) == "lightgbm"
    assert [rank.model for rank in board.ranks("load_kw", NOW)] == [
        "lightgbm",
        "ridge",
        "ensemble",
    ]
    assert board.ranks("pv_kw", NOW) == []
    assert board.choose("load_kw", "unscored", NOW) == "unscored"


def test_a_few_lucky_hours_do_not_count() -> None:
    board = Scoreboard()
    board.add([outcome("ensemble", 8.0), outcome("ridge", 1.0, n=12)])
    assert board.choose("load_kw", "ensemble", NOW) == "ensemble"


def test_worse_than_last_week_raises_an_alert() -> None:
    board = Scoreboard()
    board.add([outcome("ridge", 11.0), outcome("day_type", 9.0)])
    assert {rank.model: rank.alert for rank in board.ranks("load_kw", NOW)} == {
        "ridge": True,
        "day_type": False,
    }


def test_old_outcomes_leave_the_board() -> None:
    board = Scoreboard()
    old = NOW - timedelta(days=28)
    board.add([outcome("ridge", 1.0, at=old), outcome("ridge", 9.0)])
    (rank,) = board.ranks("load_kw", NOW)
    assert rank.score.mae == pytest.approx(9.0)
    board.drop_before(NOW)
    assert board.ranks("load_kw", old) == []
