"""What sources of day-ahead prices send is read exactly, or refused with a reason."""

from __future__ import annotations

import copy
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from engine.domain.clock import ManualClock
from engine.domain.errors import FetchError
from engine.domain.local_days import day_period
from engine.market.awattar import parse_awattar
from engine.market.energy_charts import parse_energy_charts
from engine.market.entsoe import parse_entsoe
from engine.market.intervals import PriceInterval, intervals_from_stamps, missing_words
from engine.market.price_file import PriceFile, parse_price_csv
from tests.support.api_replies import (
    energy_charts,
    entsoe_document,
    entsoe_nothing,
    entsoe_series,
    recorded,
)

VIENNA = ZoneInfo("Europe/Vienna")
OCTOBER = datetime(2025, 10, 25, 22, tzinfo=UTC)
DAY = datetime(2026, 1, 14, 23, tzinfo=UTC)


def test_awattar_hours_in_eur_per_kwh() -> None:
    intervals = parse_awattar(recorded("awattar_at_2026-08-21")).intervals
    assert len(intervals) == 24
    assert intervals[0] == PriceInterval(datetime(2026, 8, 20, 22, tzinfo=UTC), 60, 0.17035)
    assert min(i.eur_per_kwh for i in intervals) == pytest.approx(
        min(r["marketprice"] for r in recorded("awattar_at_2026-08-21")["data"]) / 1000
    )


def test_awattar_asked_with_start_only_misses_an_hour_of_the_long_day() -> None:
    start, end = day_period(date(2025, 10, 26), VIENNA)
    intervals = parse_awattar(recorded("awattar_at_2025-10-26")).intervals
    assert (end - start) == timedelta(hours=25)
    assert missing_words(intervals, start, end, VIENNA) == (
        "2025-10-26: 96 of 100 quarter-hours have a price",
    )


@pytest.mark.parametrize(("day", "n"), [("2025-10-26", 100), ("2026-03-29", 92)])
def test_quarter_hours_of_days_with_a_clock_change(day: str, n: int) -> None:
    start, end = day_period(date.fromisoformat(day), VIENNA)
    intervals = parse_energy_charts(energy_charts(f"quarters_at_{day}")).intervals
    assert len(intervals) == n
    assert {i.minutes for i in intervals} == {15}
    assert (intervals[0].start, intervals[-1].end) == (start, end)
    assert missing_words(intervals, start, end, VIENNA) == ()


def test_hourly_awattar_prices_are_the_mean_of_the_quarter_hours() -> None:
    quarters = parse_energy_charts(energy_charts("quarters_at_2025-10-26")).intervals
    for hour in parse_awattar(recorded("awattar_at_2025-10-26")).intervals:
        inside = [q.eur_per_kwh for q in quarters if hour.start <= q.start < hour.end]
        assert sum(inside) / 4 == pytest.approx(hour.eur_per_kwh, abs=1e-5)


def test_energy_charts_before_october_2025_is_hourly() -> None:
    intervals = parse_energy_charts(recorded("energy_charts_hourly")).intervals
    assert len(intervals) == 48
    assert {i.minutes for i in intervals} == {60}


def test_the_step_is_read_off_the_stamps() -> None:
    change = datetime(2025, 9, 30, 22, tzinfo=UTC)
    hours = [change - timedelta(hours=h) for h in range(24, 0, -1)]
    quarters = [change + timedelta(minutes=15 * q) for q in range(96)]
    del quarters[5:8]
    intervals = intervals_from_stamps([*hours, *quarters], [0.1] * (24 + 93))
    assert [i.minutes for i in intervals] == [60] * 24 + [15] * 93


def test_open_values_are_named_and_left_out() -> None:
    reply = energy_charts("quarters_at_2025-10-26")
    reply["price"][10:14] = [None] * 4
    parsed = parse_energy_charts(reply)
    assert len(parsed.intervals) == 96
    assert parsed.problems == ("4 of 100 prices are left open",)


def broken(change: Any) -> dict[str, Any]:
    reply = copy.deepcopy(recorded("awattar_at_2026-08-21"))
    change(reply)
    return reply


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r["data"][3].update(marketprice="170.35"), "row 4: '170.35' is not a number"),
        (lambda r: r["data"][3].update(marketprice=True), "row 4: True is not a number"),
        (lambda r: r["data"][3].update(marketprice=17035.0), "beyond the market's limit"),
        (lambda r: r["data"][0].update(unit="ct/kWh"), "unit 'ct/kWh' is not EUR/MWh"),
        (lambda r: r["data"][0].pop("unit"), "unit None"),
        (lambda r: r["data"].reverse(), "not in order"),
        (lambda r: r["data"].insert(1, r["data"][0]), "not in order"),
        (lambda r: r["data"][2].update(start_timestamp="soon"), "row 3: 'soon' is not a time"),
        (lambda r: r["data"][2].update(start_timestamp=1787263201000), "full quarter-hour"),
        (lambda r: r["data"][2].update(end_timestamp=r["data"][3]["end_timestamp"]), "120 minutes"),
        (lambda r: r.update(data="none"), "'data' is str, not a list"),
        (lambda r: r["data"].append(7), "row 25 is int, not an object"),
    ],
)
def test_wrong_awattar_replies_are_refused_whole(change: Any, words: str) -> None:
    with pytest.raises(FetchError, match=words) as caught:
        parse_awattar(broken(change))
    assert caught.value.kind == "invalid"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.update(unit="ct/kWh"), "unit 'ct/kWh'"),
        (lambda r: r["price"].pop(), "100 times but 99 prices"),
        (lambda r: r["unix_seconds"].reverse(), "not in order"),
        (lambda r: r.update(price=None), "'price' is NoneType"),
        (lambda r: r["price"].__setitem__(7, "x"), "value 8: 'x' is not a number"),
        (lambda r: r["unix_seconds"].__setitem__(7, 1e30), "value 8: 1e\\+30 is not a time"),
    ],
)
def test_wrong_energy_charts_replies_are_refused_whole(change: Any, words: str) -> None:
    reply = energy_charts("quarters_at_2025-10-26")
    change(reply)
    with pytest.raises(FetchError, match=words):
        parse_energy_charts(reply)


# -- ENTSO-E -------------------------------------------------------------------------------

QUARTERS = [float(p) for p in energy_charts("quarters_at_2025-10-26")["price"]]


def test_entsoe_reads_the_common_auction_whatever_its_place() -> None:
    document = entsoe_document(
        entsoe_series(OCTOBER, [p + 5 for p in QUARTERS], sequence="2"),
        entsoe_series(OCTOBER, QUARTERS, sequence="1"),
    )
    intervals = parse_entsoe(document).intervals
    expected = parse_energy_charts(energy_charts("quarters_at_2025-10-26")).intervals
    assert intervals == expected


def test_entsoe_fills_points_that_repeat_only_where_the_curve_says_so() -> None:
    prices = [10.0, 10.0, -3.5, -3.5]
    filled = parse_entsoe(entsoe_document(entsoe_series(OCTOBER, prices)))
    assert [i.eur_per_kwh for i in filled.intervals] == [0.01, 0.01, -0.0035, -0.0035]
    gaps = parse_entsoe(entsoe_document(entsoe_series(OCTOBER, prices, curve="A01")))
    assert [i.start.minute for i in gaps.intervals] == [0, 30]


def test_entsoe_prefers_quarter_hours_where_both_are_given() -> None:
    document = entsoe_document(
        entsoe_series(OCTOBER, [50.0, 60.0], minutes=60, sequence=None),
        entsoe_series(OCTOBER, [49.0, 50.0, 51.0, 50.0], sequence=None),
    )
    intervals = parse_entsoe(document).intervals
    assert [i.minutes for i in intervals] == [15, 15, 15, 15, 60]


def test_entsoe_without_data_is_no_error_but_a_refusal_is() -> None:
    parsed = parse_entsoe(entsoe_nothing())
    assert parsed.intervals == ()
    assert "nothing is published" in parsed.problems[0]
    with pytest.raises(FetchError, match="Delivered time interval is not valid"):
        parse_entsoe(entsoe_nothing("Delivered time interval is not valid"))


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    "<Publication_MarketDocument>&b;</Publication_MarketDocument>"
)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (BOMB.encode(), "document type"),
        (BOMB.replace('"1.0"', '"1.0" encoding="utf-16"').encode("utf-16"), "document type"),
        (b"<!DOCTYPE x SYSTEM 'file:///etc/hostname'><x/>", "document type"),
        (b"<html><body>Maintenance</body></html>", "'html', not a price document"),
        (b"<Publication_MarketDocument>", "no XML"),
        (b"", "no XML"),
        (entsoe_document(entsoe_series(OCTOBER, [1.0], currency="PLN")), "PLN per MWH"),
        (entsoe_document(entsoe_series(OCTOBER, [1.0], minutes=30)), "PT30M"),
        (entsoe_document(entsoe_series(OCTOBER, [9999.0])), "beyond the market's limit"),
        (entsoe_document(entsoe_series(OCTOBER, [float("nan")])), "not a number"),
        (
            entsoe_document(entsoe_series(OCTOBER, [1.0, 2.0])).replace(
                b"<position>2<", b"<position>3<"
            ),
            "position '3' is not in 1..2",
        ),
        (
            entsoe_document(entsoe_series(OCTOBER, [1.0, 2.0])).replace(
                b"<position>2<", b"<position>1<"
            ),
            "position 1 twice",
        ),
    ],
)
def test_wrong_entsoe_replies_are_refused_whole(body: bytes, words: str) -> None:
    with pytest.raises(FetchError, match=words):
        parse_entsoe(body)


# -- files ---------------------------------------------------------------------------------


def quarter_csv(n: int = 8, column: str = "price_eur_per_mwh", start: datetime = DAY) -> str:
    rows = [f"{(start + timedelta(minutes=15 * i)).isoformat()},{10.0 * i - 20}" for i in range(n)]
    return "\n".join([f"ts_utc,{column}", *rows]) + "\n"


def test_csv_in_both_units_and_with_semicolons() -> None:
    per_mwh = parse_price_csv(quarter_csv())
    assert per_mwh[0] == PriceInterval(DAY, 15, -0.02)
    small = parse_price_csv(
        "\ufeffts_utc;note;price_eur_per_kwh\r\n"
        "2026-01-15T00:00:00+01:00;a;0.10\r\n2026-01-15T01:00:00+01:00;b;-0.05\r\n\r\n"
    )
    assert small == (
        PriceInterval(DAY, 60, 0.10),
        PriceInterval(DAY + timedelta(hours=1), 60, -0.05),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (quarter_csv().replace(",10.0\n", ",ten\n"), "row 5: the price 'ten' is not a number"),
        (quarter_csv().replace(",10.0\n", ',"10,0"\n'), "row 5.*write a decimal point"),
        (quarter_csv().replace("23:15:00+00:00", "23:15:00"), "row 3: the time .* has no offset"),
        (quarter_csv().replace("23:15:00", "23:16:00"), "row 3: 23:16:00 UTC is not a full"),
        (quarter_csv().replace("23:15:00", "23:00:00"), "row 3: the time .* comes twice"),
        (quarter_csv().replace("23:15:00", "21:00:00"), "row 3: the time .* is not in order"),
        (quarter_csv().replace("2026-01-14T23:15:00+00:00", "yesterday"), "row 3: 'yesterday'"),
        (quarter_csv().replace(",10.0\n", "\n"), "row 5: only 1 columns"),
        (quarter_csv(column="price_eur_per_kwh"), "row 2: -20000 EUR/MWh is beyond"),
        ("ts_utc,price\n", "columns ts_utc, price. It needs ts_utc and one of"),
        ("", "columns none"),
        (quarter_csv(1), "With a single price"),
    ],
)
def test_bad_rows_are_named_by_number(text: str, words: str) -> None:
    with pytest.raises(FetchError, match=words):
        parse_price_csv(text)


def test_only_the_first_bad_rows_are_listed() -> None:
    with pytest.raises(FetchError, match=r"row 2: .* row 6: .* And 3 more\.") as caught:
        parse_price_csv(quarter_csv().replace("+00:00", ""))
    assert "row 7" not in str(caught.value)


def test_a_price_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    source = PriceFile(path, ManualClock(DAY), zone=VIENNA)
    with pytest.raises(FetchError, match=r"prices\.csv cannot be read") as caught:
        source.fetch(DAY, DAY + timedelta(days=1))
    assert caught.value.retryable
    path.write_text(quarter_csv())
    assert source.changed()
    first = source.fetch(DAY, DAY + timedelta(days=1))
    assert len(first.intervals) == 8
    assert first.problems == ("2026-01-15: 8 of 96 quarter-hours have a price",)
    assert not source.changed()
    path.write_text(quarter_csv(96))
    assert len(source.fetch(DAY, DAY + timedelta(days=1)).intervals) == 96
    path.write_bytes(b"ts_utc,price_eur_per_mwh\n\xff\xfe,1\n")
    with pytest.raises(FetchError, match="not UTF-8"):
        source.fetch(DAY, DAY + timedelta(days=1))


def test_parquet_with_gaps_and_a_bad_row(tmp_path: Path) -> None:
    stamps = pd.date_range(DAY, periods=96, freq="15min")
    frame = pd.DataFrame({"ts_utc": stamps, "price_eur_per_mwh": 50.0})
    frame.loc[10, "price_eur_per_mwh"] = float("nan")
    path = tmp_path / "prices.parquet"
    frame.to_parquet(path)
    source = PriceFile(path, ManualClock(DAY), zone=VIENNA)
    assert len(source.fetch(DAY, DAY + timedelta(days=1)).intervals) == 95
    frame.loc[11, "price_eur_per_mwh"] = 4001.0
    frame.to_parquet(path)
    with pytest.raises(FetchError, match=r"prices\.parquet: row 12: 4001 EUR/MWh"):
        source.fetch(DAY, DAY + timedelta(days=1))
    path.write_bytes(b"not parquet at all")
    with pytest.raises(FetchError, match="no readable Parquet"):
        source.fetch(DAY, DAY + timedelta(days=1))
