"""Importing history: many dialects, every doubt named, nothing half-written, nothing passed off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from ems_dash.cli.main import main
from engine.history.columns import Aggregate, ColumnKey, Resolution
from engine.history.duckdb_store import DuckDbHistory
from engine.history.import_file import ImportRefusedError, parse_csv
from engine.history.import_mapping import guess_map, parse_map
from engine.history.import_series import ImportedSeries, ImportOptions, read_series
from engine.history.import_times import Ambiguous, Nonexistent
from engine.history.import_write import write_samples
from engine.history.query_errors import QueryError
from engine.history.store import Batch
from tests.support.history_data import SITE, START, price, samples
from tests.support.history_data import write_samples as write_measured

VIENNA = ZoneInfo("Europe/Vienna")
QUARTER = timedelta(minutes=15)
EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def read(text: str, mapping: str | None = None, **options: object) -> ImportedSeries:
    decimal = options.pop("decimal", None)
    table = parse_csv(text, "file.csv", separator=None, decimal=decimal)  # type: ignore[arg-type]
    maps = guess_map(table.columns) if mapping is None else parse_map(mapping, table.columns)
    return read_series(table, maps, ImportOptions(**({"zone": VIENNA} | options)))  # type: ignore[arg-type]


def refusal(text: str, mapping: str | None = None, **options: object) -> ImportRefusedError:
    with pytest.raises(ImportRefusedError) as caught:
        read(text, mapping, **options)
    return caught.value


def test_a_german_load_profile_is_recognised() -> None:
    got = read(
        "\ufeffDatum;Uhrzeit;Verbrauch [kWh];PV (kW);Preis [ct/kWh]\r\n"
        "23.11.2026;11:00;7,5;1.234,5;10,25\r\n"
        '23.11.2026;11:15;"8,25";;-0,5\r\n'
    )
    assert [str(m) for m in got.mapping] == [
        "Datum+Uhrzeit -> ts, recognised",
        "Verbrauch [kWh] -> load_kw (kWh), recognised",
        "PV (kW) -> pv_kw (kW), recognised",
        "Preis [ct/kWh] -> spot_eur_per_kwh (ct/kWh), recognised",
    ]
    first, second = got.values.values()
    assert list(got.values) == [START, START + QUARTER]
    # 7.5 kWh in a quarter-hour are 30 kW; an empty cell is a gap
    assert first == pytest.approx({"load_kw": 30.0, "pv_kw": 1234.5, "spot_eur_per_kwh": 0.1025})
    assert second == pytest.approx({"load_kw": 33.0, "spot_eur_per_kwh": -0.005})


@pytest.mark.parametrize(
    ("unit", "value", "kw"),
    [("W", 5000, 5.0), ("kW", 5, 5.0), ("MW", 0.005, 5.0), ("Wh", 1250, 5.0), ("kWh", 1.25, 5.0),
     ("-kW", -5, 5.0), ("MWh", 0.00125, 5.0)],
)  # fmt: skip
def test_units_of_power_and_of_energy_per_interval(unit: str, value: float, kw: float) -> None:
    text = f"t,x\n2026-11-23T10:00Z,{value}\n2026-11-23T10:15Z,{value}\n"
    got = read(text, f"t=ts,x=load_kw:{unit}")
    assert [row["load_kw"] for row in got.values.values()] == pytest.approx([kw, kw])


def test_times_in_many_forms_are_one_instant() -> None:
    for stamps in (
        ("2026-11-23T11:00+01:00", "2026-11-23T11:15+01:00"),
        ("2026-11-23 11:00", "2026-11-23 11:15:00"),
        ("23.11.2026 11:00", "23.11.2026 11:15:00"),
        ("1795428000", "1795428900"),
        ("1795428000000", "1795428900000"),
    ):
        got = read(f"time,load_kw\n{stamps[0]},1\n{stamps[1]},2\n")
        assert list(got.values) == [START, START + QUARTER], stamps
    ends = read("time,load_kw\n23.11.2026 11:15,1\n23.11.2026 11:30,2\n", stamp_is_end=True)
    assert list(ends.values) == [START, START + QUARTER]


def local_day(day: datetime, hours: int, *, step: timedelta = QUARTER) -> list[str]:
    start = day.replace(tzinfo=VIENNA).astimezone(UTC)
    stamps = [start + k * step for k in range(int(hours * timedelta(hours=1) / step))]
    return [f"{ts.astimezone(VIENNA):%Y-%m-%d %H:%M}" for ts in stamps]


def test_the_autumn_day_has_100_quarter_hours_by_the_order_of_its_rows() -> None:
    stamps = local_day(datetime(2026, 10, 25), 25)  # noqa: DTZ001
    text = "time,load_kw\n" + "".join(f"{ts},{k}\n" for k, ts in enumerate(stamps))
    got = read(text)
    times = list(got.values)
    assert len(times) == 100
    assert {b - a for a, b in pairwise(times)} == {QUARTER}
    assert [row["load_kw"] for row in got.values.values()] == list(range(100))
    # with one pass only it cannot be told which one it is
    once = "time,load_kw\n" + "".join(f"{ts},1\n" for ts in dict.fromkeys(stamps))
    error = refusal(once)
    assert error.count == 4
    assert error.problems[0].row == 10
    assert "comes twice in Europe/Vienna" in error.problems[0].message
    for way, gap_after in ((Ambiguous.FIRST, 3), (Ambiguous.SECOND, 2)):
        taken = read(once, ambiguous=way)
        assert len(taken.values) == 96
        assert taken.missing == 4
        hour = datetime(2026, 10, 25, gap_after, tzinfo=VIENNA) - timedelta(hours=1)
        assert hour.astimezone(UTC) in taken.values


def test_the_spring_hour_that_is_skipped_is_refused_or_shifted() -> None:
    text = "time,load_kw\n2026-03-29 01:45,1\n2026-03-29 02:00,2\n2026-03-29 03:15,3\n" \
        "2026-03-29 03:30,4\n"  # fmt: skip
    error = refusal(text)
    assert (error.count, error.problems[0].row) == (1, 3)
    assert "does not exist in Europe/Vienna" in error.problems[0].message
    assert "--timezone" in error.problems[0].hint
    shifted = read(text, nonexistent=Nonexistent.SHIFT)
    assert list(shifted.values)[1] == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert len(read(text, zone=ZoneInfo("UTC")).values) == 4


def test_bad_rows_are_named_with_column_value_and_remedy() -> None:
    error = refusal(
        "time,load_kw,soc_percent\n"
        "2026-11-23T10:00Z,1.5,50\n"
        "2026-11-23T10:15Z,abc,50\n"
        "yesterday,1,50\n"
        '2026-11-23T10:45Z,"1,5",50\n'
    )
    words = [(p.row, p.column, p.value) for p in error.problems]
    assert words == [(4, "time", "yesterday"), (3, "load_kw", "abc"), (5, "load_kw", "1,5")]
    assert "--decimal ','" in error.problems[2].hint
    assert "nothing was written" in error.message
    wrong = refusal(
        "time,load_kw,soc_percent\n2026-11-23T10:00Z,-1,50\n2026-11-23T10:15Z,1,150\n"
        "2026-11-23T10:30Z,5e9,50\n2026-11-23T10:31Z,1,1\n"
    )
    assert [(p.row, p.column) for p in wrong.problems][:1] == [(5, "time")]
    assert {p.column for p in wrong.problems} == {"time", "load_kw", "soc_percent"}
    many = "time,load_kw\n" + "".join(f"bad{k},1\n" for k in range(50))
    error = refusal(many)
    assert (error.count, len(error.problems)) == (50, 20)
    assert "And 30 more." in error.message
    short = refusal("time,load_kw\n2026-11-23T10:00Z\n2026-11-23T10:15Z,1\n")
    assert short.problems[0].row == 2
    future = refusal("time,load_kw\n2030-01-01T00:00Z,1\n2030-01-01T00:15Z,1\n", now=START)
    assert "future" in future.problems[0].message
    prices = "time,price [EUR/kWh]\n2026-11-23T10:00Z,80\n2026-11-23T11:00Z,90\n"
    assert "4,000 EUR/MWh" in refusal(prices).problems[0].message


def test_order_repetition_and_contradiction() -> None:
    text = "time,load_kw\n2026-11-23T10:15Z,2\n2026-11-23T10:00Z,1\n2026-11-23T10:15Z,2\n" \
        "2026-11-23T11:00Z,5\n2026-11-23T10:30Z,\n"  # fmt: skip
    got = read(text)
    assert [row["load_kw"] for row in got.values.values()] == [1.0, 2.0, 5.0]
    assert (got.duplicates, got.sorted_rows, got.missing, got.empty_rows) == (1, True, 1, 1)
    error = refusal("time,load_kw\n2026-11-23T10:00Z,1\n2026-11-23T10:15Z,1\n2026-11-23T10:00Z,2\n")
    assert error.problems[0].row == 4
    assert "row 2" in error.problems[0].message


@pytest.mark.parametrize(
    ("text", "mapping", "words"),
    [
        ("a,b\n1,2\n", None, "No column with a time"),
        ("time,b\n1,2\n", None, "No column with a series"),
        ("time,load\n1,2\n", None, "unit of the column 'load' is not stated"),
        ("time,load [PS]\n1,2\n", None, "unit 'PS'"),
        ("time,load_kw,Last [kW]\n1,2,3\n", None, "would all be load_kw"),
        ("time,load_kw\n1,2\n", "time=ts,x=load_kw:kW", "no column 'x'"),
        ("time,load_kw\n1,2\n", "time=ts,load_kw=power", "no mapping"),
        ("time\n1\n", None, "needs a header"),
        ("time,load_kw\n", None, "no rows"),
        ("time,load_kw\n2026-11-23T10:00Z,1\n", None, "a single time"),
        ("time,load_kw\n2026-11-23T10:00Z,1\n2026-11-23T10:07Z,1\n", None, "usually 0:07:00"),
    ],
)
def test_what_cannot_be_understood_is_said(text: str, mapping: str | None, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        read(text, mapping)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbHistory]:
    with DuckDbHistory(tmp_path / "hot.duckdb") as history:
        yield history


def test_imported_values_are_marked_and_never_replace_measured_ones(store: DuckDbHistory) -> None:
    measured_from = START + timedelta(minutes=30)
    write_measured(store, samples(measured_from, START + timedelta(minutes=45)))
    text = "time,load_kw\n" + "".join(
        f"{(START + k * QUARTER).isoformat()},{60 + k}\n" for k in range(4)
    )
    series = read(text)
    written = write_samples(store, series, SITE, lambda rows: None)
    assert (written.rows, written.left_out) == (45, 15)
    again = write_samples(store, series, SITE, lambda rows: None)
    assert store.counts()["samples"] == 45 + 450
    assert again.left_out == 15
    for made in (False, True):
        if made:
            store.roll_up(START + timedelta(days=1))
        keys = [ColumnKey("load_kw"), ColumnKey("load_kw", Aggregate.POSITIVE_KWH)]
        got = store.columns(
            SITE, keys, START, START + timedelta(hours=1), Resolution.QUARTER_HOUR,
            texts=("state",),
        )  # fmt: skip
        assert got.texts["state"].tolist() == ["imported", "imported", "ready", "imported"]
        assert got.values[keys[0]].tolist()[:2] == [60.0, 61.0]
        # energies are those of the file: 60 kW over a quarter-hour
        assert got.values[keys[1]].tolist()[:2] == pytest.approx([15.0, 15.25])
    newest = store.latest_sample(SITE)
    assert newest is not None
    assert newest.state == "imported"


def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    places = ["--config", str(tmp_path / "config"), "--data", str(tmp_path / "data")]
    (tmp_path / "data").mkdir(exist_ok=True)
    capsys.readouterr()
    code = main(["import", *options, *places])
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def test_the_command_checks_shows_and_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "past.parquet"
    index = pd.date_range("2026-03-28T23:00Z", periods=92, freq="15min")
    frame = pd.DataFrame({"ts": index, "load_kw": 20.0, "Preis [EUR/MWh]": 95.0})
    frame.loc[10, "load_kw"] = None
    frame.to_parquet(path)
    code, out = run(tmp_path, capsys, str(path), "--dry-run")
    assert code == 0
    assert "Preis [EUR/MWh] -> spot_eur_per_kwh (EUR/MWh), recognised" in out
    assert "1365 samples (one per minute) would be written" in out
    code, out = run(tmp_path, capsys, str(path), "--json")
    report = json.loads(out.splitlines()[-1])
    assert (report["samples_written"], report["prices_written"]) == (1365, 92)
    assert not report["dry_run"]
    code, out = run(tmp_path, capsys, str(path), "--json")
    assert json.loads(out.splitlines()[-1])["prices_written"] == 92
    with DuckDbHistory(tmp_path / "data" / "hot.duckdb") as store:
        prices = store.prices("site-1", *EVER)
        assert len(prices) == 92
        assert {p.source for p in prices} == {"import:past.parquet"}
        assert prices[0].spot_eur_per_kwh == pytest.approx(0.095)
        assert prices[0].buy_eur_per_kwh > prices[0].spot_eur_per_kwh
        assert store.counts()["samples"] == 1365
        # what was published to the program stays
        store.write(Batch(prices=(price(index[0].to_pydatetime(), 0.01),)))
    bad = tmp_path / "bad.csv"
    bad.write_text("time,load_kw\n2026-11-23T10:00Z,x\n2026-11-23T10:15Z,1\n", encoding="utf-8")
    code, out = run(tmp_path, capsys, str(bad))
    assert code == 2
    assert "row 2, column load_kw: no number is read ('x')" in out
    code, out = run(tmp_path, capsys, str(bad), "--json")
    assert code == 2
    assert json.loads(out.splitlines()[-1])["first"][0]["row"] == 2
    for options, words in (
        ((str(tmp_path / "none.csv"),), "No such file"),
        ((str(bad), "--timezone", "Mars/Base"), "no time zone 'Mars/Base'"),
    ):
        code, out = run(tmp_path, capsys, *options)
        assert code == 2
        assert words in out
    with DuckDbHistory(tmp_path / "data" / "hot.duckdb") as store:
        code, out = run(tmp_path, capsys, str(path))
        assert code == 2
        assert "or stop it first" in out
        assert store.counts()["samples"] == 1365
