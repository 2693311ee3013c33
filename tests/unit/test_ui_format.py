"""Numbers, units and times as an operator reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ems_dash.ui import format as fmt

VIENNA = ZoneInfo("Europe/Vienna")
NBSP, NARROW = "\u00a0", "\u202f"


@pytest.mark.parametrize(
    ("value", "lang", "signed", "expected"),
    [
        (-58.04, "de", True, "−58,0"),
        (-58.04, "en", True, "−58.0"),
        (12.34, "de", True, "+12,3"),
        (12.34, "de", False, "12,3"),
        (1234.5, "de", False, "1.234,5"),
        (1234.5, "en", False, "1,234.5"),
        (-0.04, "de", True, "0,0"),
        (0.0, "en", True, "0.0"),
        (None, "de", True, "–"),
        (float("nan"), "en", False, "–"),
        (float("inf"), "en", False, "–"),
    ],
)
def test_power_has_true_minus_one_decimal_and_no_invented_zero(
    value: float | None, lang: str, signed: bool, expected: str
) -> None:
    assert fmt.power(value, lang, signed=signed).text == expected


def test_no_figure_uses_the_hyphen_as_minus() -> None:
    texts = [
        fmt.number(-1.5, 1, "de"),
        str(fmt.price(-0.012, "en")),
        fmt.money(-3.1, "de"),
        fmt.temperature(-4.0, "en"),
        fmt.price_per_mwh(-0.02, "de"),
    ]
    assert all("-" not in text and "−" in text for text in texts)


@pytest.mark.parametrize(
    ("kwh", "expected"),
    [
        (12.34, f"12,3{NBSP}kWh"),
        (99.97, f"100{NBSP}kWh"),
        (126.4, f"126{NBSP}kWh"),
        (1500.0, f"1,50{NBSP}MWh"),
        (None, f"–{NBSP}kWh"),
    ],
)
def test_energy_switches_decimals_and_unit(kwh: float | None, expected: str) -> None:
    assert str(fmt.energy(kwh, "de")) == expected


def test_percent_is_whole_with_a_narrow_space() -> None:
    assert str(fmt.percent(62.6, "de")) == f"63{NARROW}%"
    assert str(fmt.percent(None, "de")) == f"–{NARROW}%"


def test_price_is_shown_in_cents_and_euros_per_mwh() -> None:
    assert str(fmt.price(0.0441, "de")) == f"4,4{NBSP}ct/kWh"
    assert fmt.price_per_mwh(0.0441, "en") == f"44.10{NBSP}€/MWh"


@pytest.mark.parametrize(
    ("value", "lang", "signed", "expected"),
    [
        (18.42, "de", False, f"18,42{NBSP}€"),
        (18.42, "en", False, "€18.42"),
        (-3.1, "de", False, f"−3,10{NBSP}€"),
        (-3.1, "en", False, "−€3.10"),
        (6.1, "en", True, "+€6.10"),
        (None, "en", False, "–"),
    ],
)
def test_money(value: float | None, lang: str, signed: bool, expected: str) -> None:
    assert fmt.money(value, lang, signed=signed) == expected


def test_times_are_local_to_the_site() -> None:
    ts = datetime(2026, 11, 23, 12, 24, 8, tzinfo=UTC)
    assert fmt.clock_time(ts, VIENNA) == "13:24"
    assert fmt.clock_time(ts, VIENNA, seconds=True) == "13:24:08"
    assert fmt.date(ts, VIENNA, "de") == "Mo, 23.11.2026"
    assert fmt.date(ts, VIENNA, "en") == "Mon, 23 Nov 2026"
    late = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
    assert fmt.date(late, VIENNA, "de") == "Di, 24.11.2026"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(14.2, "14 s"), (89, "89 s"), (180, "3 min"), (7300, "2 h"), (86400 * 3, "3 d"), (-1, "0 s")],
)
def test_age(seconds: float, expected: str) -> None:
    assert fmt.age(seconds).replace(NBSP, " ") == expected
