"""Buy and sell prices, worked by hand, with every component, on every kind of day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.config.tariff import TariffConfig
from engine.domain.errors import MarketError
from engine.domain.quarter_hour import STEP
from engine.market.tariff import TariffBook

VIENNA = ZoneInfo("Europe/Vienna")


def book(**terms: Any) -> TariffBook:
    return TariffBook(TariffConfig.model_validate(terms), VIENNA)


def local(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=VIENNA)


NOON = local(2026, 6, 3, 12)

NT = {"name": "NT", "from": "22:00", "to": "06:00", "eur_per_kwh": 0.03}


def fees(tariff: TariffBook, start: datetime, n: int) -> np.ndarray:
    """The grid fee per step, seen through a tariff that consists of nothing else."""
    return tariff.prices(start, np.zeros(n)).buy_eur_per_kwh


def only_fee(**terms: Any) -> TariffBook:
    return book(spot_markup_eur_per_kwh=0, levies_eur_per_kwh=0, **terms)


ALL_PARTS: dict[str, Any] = {
    "spot_markup_percent": 3,
    "spot_markup_eur_per_kwh": 0.012,
    "loss_percent": 5,
    "grid_fee_eur_per_kwh": 0.07,
    "levies_eur_per_kwh": 0.015,
    "vat_percent": 19,
    "sell_fee_percent": 19,
    "sell_fee_eur_per_kwh": 0.002,
}


def test_every_component_worked_by_hand() -> None:
    tariff = book(**ALL_PARTS)
    # (0.10 + 0.003 + 0.012) x 1.05 = 0.12075; + 0.07 + 0.015 = 0.20575; x 1.19 = 0.2448425
    assert tariff.at(NOON, 0.10) == pytest.approx((0.2448425, 0.079))
    price = tariff.describe(NOON, 0.10)
    assert dict(price.parts) == pytest.approx(
        {
            "energy": 0.10,
            "markup": 0.015,
            "loss": 0.00575,
            "grid_fee": 0.07,
            "levies": 0.015,
            "vat": 0.0390925,
        }
    )
    assert price.energy_from_spot
    assert price.ts == NOON


def test_surcharges_stay_surcharges_when_prices_are_negative() -> None:
    tariff = book(**ALL_PARTS)
    # (-0.10 + 0.003 + 0.012) x 1.05 = -0.08925; + 0.085 = -0.00425; x 1.19 = -0.0050575
    assert tariff.at(NOON, -0.10) == pytest.approx((-0.0050575, -0.083))


def test_the_flat_keys_on_numbers_worked_by_hand() -> None:
    tariff = book(
        spot_markup_eur_per_kwh=0.015,
        grid_fee_eur_per_kwh=0.07,
        levies_eur_per_kwh=0.015,
        vat_percent=20,
        sell_fee_eur_per_kwh=0.005,
    )
    spot = np.array([-0.2, 0.0, 0.1])
    priced = tariff.prices(NOON, spot)
    # (spot + 0.015 + 0.07 + 0.015) x 1.2, and spot - 0.005.
    assert priced.buy_eur_per_kwh == pytest.approx([-0.12, 0.12, 0.24])
    assert priced.sell_eur_per_kwh == pytest.approx([-0.205, -0.005, 0.095])


def test_an_energy_price_takes_the_place_of_the_spot_price() -> None:
    tariff = book(energy_price_eur_per_kwh=0.12, vat_percent=20)
    # (0.12 + 0.07 + 0.015) x 1.2; the surcharges on the spot price do not apply.
    assert tariff.at(NOON, None)[0] == pytest.approx(0.246)
    assert not tariff.describe(NOON, None).energy_from_spot
    assert tariff.needs_spot(NOON), "feed-in is still sold at the exchange"
    assert np.isnan(tariff.at(NOON, None)[1])


def test_time_of_use_energy_and_feed_in() -> None:
    tariff = only_fee(
        grid_fee_eur_per_kwh=0,
        energy_price_eur_per_kwh=0.20,
        energy_price_windows=[
            {"name": "solar", "from": "10:00", "to": "16:00", "eur_per_kwh": 0.1}
        ],
        feed_in_eur_per_kwh=0.05,
        feed_in_windows=[{"from": "17:00", "to": "21:00", "eur_per_kwh": 0.12}],
    )
    assert not tariff.needs_spot(NOON)
    assert tariff.at(local(2026, 6, 3, 9, 59), None) == (0.20, 0.05)
    assert tariff.at(local(2026, 6, 3, 10), None) == (0.10, 0.05)
    assert tariff.at(local(2026, 6, 3, 18), None) == (0.20, 0.12)
    assert tariff.describe(NOON, None).energy_window == "solar"
    assert tariff.describe(local(2026, 6, 3, 18), None).energy_window is None


def test_an_unknown_spot_price_is_an_unknown_price() -> None:
    tariff = book()
    priced = tariff.prices(NOON, np.array([0.1, np.nan, 0.3]))
    assert np.isnan(priced.buy_eur_per_kwh).tolist() == [False, True, False]
    assert np.isnan(priced.sell_eur_per_kwh).tolist() == [False, True, False]


def test_feed_in_is_nothing_in_quarter_hours_with_a_negative_spot_price() -> None:
    rule = {"feed_in_zero_when_spot_negative": True}
    spot = np.array([-0.001, 0.0, 0.05, np.nan])
    sold = book(sell_fee_eur_per_kwh=0.01, **rule).prices(NOON, spot).sell_eur_per_kwh
    assert sold == pytest.approx([0.0, -0.01, 0.04, np.nan], nan_ok=True)
    fixed = book(feed_in_eur_per_kwh=0.08, **rule)
    assert fixed.prices(NOON, spot).sell_eur_per_kwh == pytest.approx(
        [0.0, 0.08, 0.08, np.nan], nan_ok=True
    )
    assert fixed.needs_spot(NOON)


def test_the_negative_price_rule_looks_at_the_quarter_hour_under_hourly_settlement() -> None:
    tariff = book(
        feed_in_eur_per_kwh=0.08, feed_in_zero_when_spot_negative=True, settlement_minutes=60
    )
    sold = tariff.prices(NOON, np.array([-0.01, 0.01, 0.02, 0.03])).sell_eur_per_kwh
    assert sold.tolist() == [0.0, 0.08, 0.08, 0.08]


def test_zero_export_earns_nothing_and_is_not_allowed() -> None:
    tariff = book(export_allowed=False)
    assert not tariff.export_allowed(NOON)
    assert tariff.prices(NOON, np.array([0.3, -0.3, np.nan])).sell_eur_per_kwh.tolist() == [0, 0, 0]
    assert book().export_allowed(NOON)


def test_windows_across_midnight_follow_the_date_of_each_quarter_hour() -> None:
    tariff = only_fee(grid_fee_eur_per_kwh=0.07, grid_fee_windows=[NT | {"weekdays": ["fri"]}])
    friday = local(2026, 6, 5)
    day = fees(tariff, friday, 96)
    assert day[:24].tolist() == [0.03] * 24
    assert day[24:88].tolist() == [0.07] * 64
    assert day[88:].tolist() == [0.03] * 8
    assert fees(tariff, friday + timedelta(days=1), 24).tolist() == [0.07] * 24
    assert tariff.describe(friday, 0.0).grid_fee_window == "NT"
    assert tariff.describe(friday + timedelta(hours=12), 0.0).grid_fee_window is None


def test_three_levels_by_quarter_of_the_year() -> None:
    """Paragraph 14a module 3, Bayernwerk 2026: NT and HT in the second and third quarter."""
    summer = {"months": [4, 5, 6, 7, 8, 9]}
    tariff = only_fee(
        grid_fee_eur_per_kwh=0.0562,
        grid_fee_windows=[
            {"name": "NT", "from": "10:00", "to": "15:00", "eur_per_kwh": 0.0056, **summer},
            {"name": "HT", "from": "17:00", "to": "22:00", "eur_per_kwh": 0.1075, **summer},
        ],
    )
    july = fees(tariff, local(2026, 7, 1), 96)
    assert np.unique(july[40:60]).tolist() == [0.0056]
    assert np.unique(july[68:88]).tolist() == [0.1075]
    assert np.unique(np.delete(july, [*range(40, 60), *range(68, 88)])).tolist() == [0.0562]
    assert np.unique(fees(tariff, local(2026, 12, 1), 96)).tolist() == [0.0562]
    last_of_march = fees(tariff, local(2026, 3, 31, 12), 96)
    assert last_of_march[0] == 0.0562
    assert last_of_march[95] == 0.0056


@pytest.mark.parametrize(
    ("day", "steps", "cheap"),
    # Spring skips 02:00-03:00, autumn has it twice; the window is 02:00-05:00 local.
    [((2026, 3, 29), 92, 8), ((2026, 10, 25), 100, 16), ((2026, 6, 3), 96, 12)],
)
def test_windows_keep_to_the_wall_clock_when_it_changes(
    day: tuple[int, int, int], steps: int, cheap: int
) -> None:
    window = {"from": "02:00", "to": "05:00", "eur_per_kwh": 0.03}
    tariff = only_fee(grid_fee_eur_per_kwh=0.07, grid_fee_windows=[window])
    start = local(*day)
    priced = fees(tariff, start, steps)
    assert (priced == 0.03).sum() == cheap
    assert (start.astimezone(UTC) + steps * STEP).astimezone(VIENNA).hour == 0
    for i, fee in enumerate(priced):
        hour = (start.astimezone(UTC) + i * STEP).astimezone(VIENNA).hour
        assert fee == (0.03 if 2 <= hour < 5 else 0.07)


def test_a_year_follows_the_local_calendar_step_by_step() -> None:
    window = {"from": "22:00", "to": "06:00", "weekdays": ["sat", "sun"], "months": [3, 10, 12]}
    tariff = only_fee(grid_fee_eur_per_kwh=0.07, grid_fee_windows=[window | {"eur_per_kwh": 0.03}])
    start = local(2026, 1, 1).astimezone(UTC)
    year = fees(tariff, start, 35_040)
    for i in range(0, 35_040, 7):
        ts = (start + i * STEP).astimezone(VIENNA)
        night = ts.hour >= 22 or ts.hour < 6
        cheap = night and ts.weekday() >= 5 and ts.month in (3, 10, 12)
        assert year[i] == (0.03 if cheap else 0.07), ts


VERSIONS = {
    "versions": [
        {"valid_from": "2026-01-01", "grid_fee_eur_per_kwh": 0.05},
        {"valid_from": "2026-07-01", "grid_fee_eur_per_kwh": 0.08, "export_allowed": False},
    ]
}


def test_a_version_begins_at_local_midnight() -> None:
    tariff = book(**VERSIONS)
    change = datetime(2026, 6, 30, 22, tzinfo=UTC)
    priced = tariff.prices(change - 2 * STEP, np.full(4, 0.1))
    assert priced.buy_eur_per_kwh == pytest.approx([0.18, 0.18, 0.21, 0.21])
    assert priced.sell_eur_per_kwh == pytest.approx([0.095, 0.095, 0, 0])
    assert tariff.at(change - timedelta(seconds=1), 0.1)[0] == pytest.approx(0.18)
    assert tariff.export_mask(change - 2 * STEP, 4).tolist() == [True, True, False, False]
    assert [tariff.export_allowed(change + k * STEP) for k in (-1, 0)] == [True, False]


def test_before_the_first_version_there_is_no_price() -> None:
    tariff = book(**VERSIONS)
    begin = datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert tariff.known_from == begin
    tariff.at(begin, 0.1)
    with pytest.raises(MarketError, match="2026-01-01") as caught:
        tariff.prices(begin - STEP, np.array([0.1, 0.1]))
    assert "2025-12-31 23:45" in str(caught.value), "local time"
    assert "leave out valid_from" in str(caught.value)
    with pytest.raises(MarketError):
        tariff.needs_spot(begin - STEP)


def test_without_a_day_the_first_version_has_always_been_valid() -> None:
    tariff = book(versions=[{}, {"valid_from": "2026-07-01", "vat_percent": 20}])
    assert tariff.known_from is None
    assert tariff.at(datetime(1999, 1, 1, tzinfo=UTC), 0.1)[0] == pytest.approx(0.2)
    assert tariff.at(NOON + timedelta(days=60), 0.1)[0] == pytest.approx(0.24)


def test_hourly_settlement_bills_the_mean_of_the_hour() -> None:
    tariff = only_fee(grid_fee_eur_per_kwh=0, sell_fee_eur_per_kwh=0, settlement_minutes=60)
    spot = np.array([0.1, 0.2, 0.3, 0.4, 0.0, 0.0, 0.4, 0.4])
    priced = tariff.prices(NOON, spot)
    assert priced.buy_eur_per_kwh == pytest.approx([0.25] * 4 + [0.2] * 4)
    assert priced.sell_eur_per_kwh == pytest.approx([0.25] * 4 + [0.2] * 4)
    assert only_fee(grid_fee_eur_per_kwh=0).prices(NOON, spot).buy_eur_per_kwh == pytest.approx(
        spot
    )


def test_an_hour_that_is_not_wholly_known_keeps_its_own_prices() -> None:
    tariff = only_fee(grid_fee_eur_per_kwh=0, settlement_minutes=60)
    spot = np.array([0.2, 0.3, 0.4, 0.1, np.nan, 0.4, 0.4, 0.7])
    buy = tariff.prices(NOON + STEP, spot).buy_eur_per_kwh
    # 12:15 has no 12:00 beside it, 13:15 is not known, 14:00 has no hour behind it.
    assert buy == pytest.approx([0.2, 0.3, 0.4, 0.1, np.nan, 0.4, 0.4, 0.7], nan_ok=True)
    assert tariff.settlement_start(NOON + 3 * STEP) == NOON
    assert tariff.settlement_minutes(NOON) == 60
    assert book().settlement_start(NOON + 3 * STEP) == NOON + 3 * STEP


def test_times_that_make_no_sense_are_refused() -> None:
    tariff = book()
    with pytest.raises(ValueError, match="quarter-hour"):
        tariff.prices(NOON + timedelta(minutes=5), np.zeros(4))
    with pytest.raises(ValueError, match="time zone"):
        tariff.prices(datetime(2026, 1, 1), np.zeros(4))  # noqa: DTZ001
    assert len(tariff.prices(NOON, np.zeros(0)).buy_eur_per_kwh) == 0


def test_a_site_in_another_zone_has_its_own_midnight() -> None:
    config = TariffConfig.model_validate(
        {"versions": [{"valid_from": "2026-01-01", "settlement_minutes": 60}]}
    )
    kolkata = TariffBook(config, ZoneInfo("Asia/Kolkata"))
    assert kolkata.known_from == datetime(2025, 12, 31, 18, 30, tzinfo=UTC)
