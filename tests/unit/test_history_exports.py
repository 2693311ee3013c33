"""Exports: what stands in the files, read back with the tools people use."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pytest

from engine.domain.errors import HistoryError
from engine.domain.records import EventRow
from engine.history import export_xlsx
from engine.history.duckdb_store import DuckDbHistory
from engine.history.export_parquet import METADATA_KEY
from engine.history.export_request import (
    CsvProfile,
    ExportFormat,
    ExportRequest,
    Progress,
    datasets,
)
from engine.history.export_rows import ExportContext
from engine.history.exporter import export_file, stream_export
from engine.history.query_errors import QueryError, QueryStoppedError
from engine.history.query_service import HistoryQueries
from engine.history.read_limit import ReadLimit
from engine.history.series_query import Aggregation, SeriesQuery, Step
from engine.history.sql_sandbox import SqlSandbox
from engine.history.store import Batch
from tests.support.history_data import (
    QUARTER,
    SITE,
    START,
    booking,
    fill,
    samples,
    write_samples,
)

VIENNA = "Europe/Vienna"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def context(store: DuckDbHistory) -> ExportContext:
    return ExportContext(
        store, SqlSandbox(store, SITE, VIENNA), VIENNA, "EMS Dash 0.1.0", START + 2 * HOUR
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbHistory]:
    with DuckDbHistory(tmp_path_factory.mktemp("history") / "hot.duckdb") as history:
        fill(history)
        yield history


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[DuckDbHistory]:
    with DuckDbHistory(tmp_path / "hot.duckdb") as history:
        yield history


def request(dataset: str, **changes: object) -> ExportRequest:
    given: dict[str, object] = {
        "dataset": dataset, "site_id": SITE, "since": START - HOUR, "until": START + DAY,
    }  # fmt: skip
    return ExportRequest(**(given | changes))  # type: ignore[arg-type]


def exported(store: DuckDbHistory, asked: ExportRequest) -> bytes:
    return b"".join(stream_export(context(store), asked))


def test_every_data_set_comes_in_every_format(store: DuckDbHistory) -> None:
    for dataset in datasets():
        changes: dict[str, object] = {}
        if dataset == "series":
            changes = {"signals": ("load_kw", "price:buy_eur_per_kwh"), "step": Step.QUARTER_HOUR}
        if dataset == "sql":
            changes = {"sql": "SELECT ts, message AS a, message AS a FROM events"}
        rows = list(csv.reader(io.StringIO(exported(store, request(dataset, **changes)).decode())))
        table = pq.read_table(
            io.BytesIO(exported(store, request(dataset, format=ExportFormat.PARQUET, **changes)))
        )
        assert len(rows) - 1 == table.num_rows
        if dataset != "samples":
            made = exported(store, request(dataset, format=ExportFormat.XLSX, **changes))
            sheet = openpyxl.load_workbook(io.BytesIO(made), read_only=True).worksheets[0]
            assert sum(1 for _ in sheet.rows) == len(rows)
        assert len({len(row) for row in rows}) == 1, dataset


def test_international_csv_says_both_times_and_plain_numbers(store: DuckDbHistory) -> None:
    text = exported(store, request("ledger", signals=("import_kwh", "method"))).decode()
    assert text.splitlines()[:2] == [
        '"ts_local","ts_utc","import_kwh","method"',
        '2026-11-23T11:00:00+01:00,2026-11-23T10:00:00Z,5,"counters"',
    ]
    frame = pd.read_csv(io.StringIO(text), parse_dates=["ts_local", "ts_utc"])
    assert frame["ts_utc"].dt.tz is not None
    assert frame["import_kwh"].sum() == 40.0


def test_german_excel_csv_to_the_letter(store: DuckDbHistory) -> None:
    asked = request(
        "prices", signals=("buy_eur_per_kwh", "source"), profile=CsvProfile.EXCEL_DE,
        until=START + 2 * QUARTER,
    )  # fmt: skip
    assert exported(store, asked) == (
        b"\xef\xbb\xbf"
        b'"ts_local";"ts_offset";"ts_utc";"buy_eur_per_kwh";"source"\r\n'
        b'2026-11-23 11:00:00;"UTC+01:00";2026-11-23T10:00:00Z;0,22;"recorded"\r\n'
        b'2026-11-23 11:15:00;"UTC+01:00";2026-11-23T10:15:00Z;0,23;"recorded"\r\n'
    )


def test_a_german_excel_gets_whole_seconds_and_utc_the_exact_time(empty: DuckDbHistory) -> None:
    ts = START + timedelta(seconds=1, microseconds=234_567)
    empty.write(Batch(events=(EventRow(ts, SITE, "info", "code", "x"),)))
    german = exported(empty, request("events", signals=("code",), profile=CsvProfile.EXCEL_DE))
    assert german.decode("utf-8-sig").splitlines()[1] == (
        '2026-11-23 11:00:01;"UTC+01:00";2026-11-23T10:00:01.234567Z;"code"'
    )


def test_texts_are_never_formulas(empty: DuckDbHistory) -> None:
    texts = [
        "=1+2", "+49 1234", "-5", "@SUM(A1)", "\tx", "\rx", "＝1",
        "plain", 'a "quote"', "two\nlines",
    ]  # fmt: skip
    empty.write(
        Batch(events=tuple(
            EventRow(START + k * HOUR, SITE, "info", "code", text) for k, text in enumerate(texts)
        ))
    )  # fmt: skip
    rows = list(csv.reader(io.StringIO(exported(empty, request("events")).decode(), newline="")))
    shown = [row[-1] for row in rows[1:]]
    assert shown == [f"'{t}" for t in texts[:7]] + texts[7:]
    # a negative number is a number
    sql = request("sql", sql="SELECT -5 AS a, -0.5::DOUBLE AS b, '-5' AS c")
    assert exported(empty, sql).decode().splitlines()[1] == '-5,-0.5,"\'-5"'
    book = openpyxl.load_workbook(
        io.BytesIO(exported(empty, request("events", format=ExportFormat.XLSX)))
    )
    cell = book.worksheets[0].cell(2, 7)
    assert (cell.value, cell.data_type) == ("=1+2", "s")


@pytest.mark.parametrize(("day", "quarters"), [((2026, 3, 29), 92), ((2026, 10, 25), 100)])
def test_the_days_of_the_clock_change_are_complete(
    empty: DuckDbHistory, day: tuple[int, int, int], quarters: int
) -> None:
    midnight = datetime(*day, tzinfo=ZoneInfo(VIENNA)).astimezone(UTC)
    end = midnight + quarters * QUARTER
    empty.write(Batch(ledger=tuple(booking(midnight + k * QUARTER) for k in range(quarters))))
    asked = request("ledger", since=midnight, until=end)
    rows = list(csv.DictReader(io.StringIO(exported(empty, asked).decode())))
    assert len(rows) == quarters
    for row in rows:
        assert datetime.fromisoformat(row["ts_local"]) == datetime.fromisoformat(row["ts_utc"])
    offsets = [row["ts_local"][-6:] for row in rows]
    assert sorted(set(offsets)) == ["+01:00", "+02:00"]
    daily = request("series", signals=("ledger:import_kwh",), step=Step.DAY, since=midnight,
                    until=end)  # fmt: skip
    lines = exported(empty, daily).decode().splitlines()
    assert lines[1].endswith(f",{5 * quarters}")
    assert len(lines) == 2


def test_parquet_opens_with_types_units_and_times(store: DuckDbHistory, tmp_path: Path) -> None:
    path = tmp_path / "series.parquet"
    made = export_file(
        context(store),
        request(
            "series",
            signals=("load_kw", "soc_percent", "price:buy_eur_per_kwh", "ledger:cost_eur"),
            step=Step.MINUTE,
            format=ExportFormat.PARQUET,
        ),
        path,
    )
    assert made.rows == 120
    frame = pd.read_parquet(path)
    assert str(frame["ts"].dt.tz) == "UTC"
    assert frame["ts"].iloc[0] == pd.Timestamp(START)
    assert frame["load_kw"].mean() == pytest.approx(30.0, abs=0.05)
    # a price holds for its whole quarter-hour
    assert frame["price:buy_eur_per_kwh"].iloc[14] == 0.22
    assert frame["price:buy_eur_per_kwh"].iloc[15] == pytest.approx(0.23)
    assert frame["simulated"].sum() == 0
    types = dict(
        duckdb.sql(f"SELECT column_name, column_type FROM (DESCRIBE FROM '{path}')").fetchall()
    )
    assert types["ts"] == "TIMESTAMP WITH TIME ZONE"
    assert types["load_kw"] == "DOUBLE"
    schema = pq.read_schema(path)
    assert schema.field("load_kw").metadata[b"unit"] == b"kW"
    assert schema.field("price:buy_eur_per_kwh").metadata[b"unit"] == b"EUR/kWh"
    assert json.loads(schema.metadata[METADATA_KEY])["site"] == SITE


LOCAL_AND_UTC = (
    "SELECT ts, ts_local, date_trunc('hour', ts_local) AS local_hour, ts_local AS created_at, "
    "time_bucket(INTERVAL 1 HOUR, ts) AS utc_hour, max(ts) OVER () AS newest, now() AS at "
    "FROM ledger ORDER BY ts LIMIT 1"
)


def test_a_statement_s_wall_clock_is_never_written_as_utc(store: DuckDbHistory) -> None:
    asked = request("sql", sql=LOCAL_AND_UTC)
    row = next(csv.DictReader(io.StringIO(exported(store, asked).decode())))
    assert {name: text for name, text in row.items() if name != "at"} == {
        "ts": "2026-11-23T10:00:00Z",
        "ts_local": "2026-11-23T11:00:00",
        "local_hour": "2026-11-23T11:00:00",
        "created_at": "2026-11-23T11:00:00",
        "utc_hour": "2026-11-23T10:00:00Z",
        "newest": "2026-11-23T11:45:00Z",
    }
    assert row["at"].endswith("Z")
    german = request("sql", sql=LOCAL_AND_UTC, profile=CsvProfile.EXCEL_DE)
    cells = exported(store, german).decode("utf-8-sig").splitlines()[1].split(";")
    assert cells[:2] == ["2026-11-23T10:00:00Z", "2026-11-23 11:00:00"]
    # a statement that converts zones itself is taken at its digits
    own = request("sql", sql="SELECT (ts AT TIME ZONE 'UTC') AT TIME ZONE 'Asia/Tokyo' FROM ledger")
    assert exported(store, own).decode().splitlines()[1] == "2026-11-23T19:00:00"
    comments = exported(store, request("sql", sql=LOCAL_AND_UTC, comments=True)).decode()
    assert "# ts [-]: Result of the statement, TIMESTAMP; UTC" in comments
    assert "# ts_local [-]: Result of the statement, TIMESTAMP; no time zone" in comments


def test_a_statement_s_times_have_the_right_types(store: DuckDbHistory) -> None:
    made = exported(store, request("sql", sql=LOCAL_AND_UTC, format=ExportFormat.PARQUET))
    schema = pq.read_schema(io.BytesIO(made))
    zones = {name: schema.field(name).type.tz for name in schema.names}
    assert zones == {
        "ts": "UTC", "ts_local": None, "local_hour": None, "created_at": None,
        "utc_hour": "UTC", "newest": "UTC", "at": "UTC",
    }  # fmt: skip
    sheet = openpyxl.load_workbook(
        io.BytesIO(exported(store, request("sql", sql=LOCAL_AND_UTC, format=ExportFormat.XLSX)))
    ).worksheets[0]
    first = dict(zip([c.value for c in sheet[1]], [c.value for c in sheet[2]], strict=True))
    assert first["ts"] == "2026-11-23T10:00:00Z"
    assert first["ts_local"] == datetime(2026, 11, 23, 11, tzinfo=UTC).replace(tzinfo=None)


def test_what_is_said_beside_the_file(store: DuckDbHistory, tmp_path: Path) -> None:
    path = tmp_path / "ledger.csv"
    told: list[Progress] = []
    made = export_file(context(store), request("ledger", comments=True), path, tell=told.append)
    about = json.loads((tmp_path / "ledger.csv.meta.json").read_text(encoding="utf-8"))
    assert about == made.about
    assert about["rows"] == 8
    assert about["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert about["time_zone"] == VIENNA
    assert {"name": "import_kwh", "unit": "kWh", "meaning": "Energy bought, >= 0"} in about[
        "columns"
    ]
    assert told[-1].parts == told[-1].parts_total
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[-1] == "# rows: 8"
    assert any(line.startswith("# import_kwh [kWh]: Energy bought") for line in lines)
    assert len(pd.read_csv(path, comment="#")) == 8


def test_a_table_of_numbers_and_times_in_excel(store: DuckDbHistory) -> None:
    made = exported(store, request("ledger", format=ExportFormat.XLSX))
    book = openpyxl.load_workbook(io.BytesIO(made))
    sheet, about = book.worksheets
    header = [cell.value for cell in sheet[1]]
    first = dict(zip(header, [cell.value for cell in sheet[2]], strict=True))
    assert first["ts_local"] == datetime(2026, 11, 23, 11, tzinfo=UTC).replace(tzinfo=None)
    assert first["ts_offset"] == "+01:00"
    assert first["import_kwh"] == 5
    assert first["pv_kwh"] is None
    words = {row[0].value: row[1].value for row in about.iter_rows(max_col=2) if row[0].value}
    assert words["rows"] == "8"
    assert words["import_kwh"] == "kWh"


def test_too_many_rows_for_excel_are_refused(
    store: DuckDbHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_xlsx, "MOST_ROWS", 5)
    with pytest.raises(QueryError, match="more than 5 rows"):
        exported(store, request("ledger", format=ExportFormat.XLSX))


def test_single_samples_and_energies(store: DuckDbHistory) -> None:
    raw = request("series", signals=("battery_kw",), step=Step.RAW, until=START + HOUR)
    lines = exported(store, raw).decode().splitlines()
    assert len(lines) == 1801
    assert lines[1] == "2026-11-23T11:00:00+01:00,2026-11-23T10:00:00Z,20,false,false"
    energy = request(
        "series", signals=("battery_kw",), aggregation=Aggregation.POSITIVE_KWH, step=Step.HOUR
    )
    rows = list(csv.DictReader(io.StringIO(exported(store, energy).decode())))
    assert [float(row["battery_kw"]) for row in rows] == pytest.approx([10.0, 10.0], abs=0.02)


def test_imported_rows_say_so(empty: DuckDbHistory) -> None:
    write_samples(empty, samples(START, START + HOUR, timedelta(minutes=1), state="imported"))
    asked = request("series", signals=("load_kw",), step=Step.QUARTER_HOUR)
    rows = list(csv.DictReader(io.StringIO(exported(empty, asked).decode())))
    assert {row["imported"] for row in rows} == {"true"}


def test_mistakes_are_told_before_a_byte_is_sent(store: DuckDbHistory) -> None:
    for changes in (
        {"dataset": "nothing"},
        {"dataset": "series"},
        {"dataset": "sql"},
        {"dataset": "ledger", "until": START - DAY},
        {"dataset": "ledger", "since": None},
    ):
        with pytest.raises(QueryError):
            request(**changes)  # type: ignore[arg-type]
    with pytest.raises(HistoryError):
        request("ledger", since=START.replace(tzinfo=None))
    for asked in (
        request("series", signals=("nothing",)),
        request("ledger", signals=("nothing",)),
        request("sql", sql="DROP TABLE h.samples"),
    ):
        with pytest.raises(QueryError):
            next(stream_export(context(store), asked))


def test_a_cancelled_export_ends_and_leaves_no_file(store: DuckDbHistory, tmp_path: Path) -> None:
    limit = ReadLimit(60.0)

    def cancel(progress: Progress) -> None:
        limit.cancel()

    asked = request("samples", until=START + 5 * DAY)
    with pytest.raises(QueryStoppedError):
        export_file(context(store), asked, tmp_path / "x.csv", limit, cancel)
    assert not list(tmp_path.iterdir())
    with pytest.raises(HistoryError, match="cannot be written"):
        export_file(context(store), request("ledger"), tmp_path / "none" / "x.csv")


def test_samples_in_the_archive_are_answered_and_exported_alike(empty: DuckDbHistory) -> None:
    write_samples(empty, samples(START, START + 2 * DAY, timedelta(minutes=10)))
    now = START + 40 * DAY
    service = HistoryQueries(empty, VIENNA, lambda: now)

    def answers() -> list[object]:
        sql = "SELECT count(*), sum(load_kw)::INTEGER, min(ts), max(ts) FROM samples"
        query = SeriesQuery(SITE, ("load_kw",), START, START + 2 * DAY, step=Step.RAW)
        # cached answers would prove nothing
        fresh = HistoryQueries(empty, VIENNA, lambda: now).series(query)
        asked = request("samples", until=START + 3 * DAY)
        return [
            SqlSandbox(empty, SITE, VIENNA).run(sql).table.to_pylist(),
            fresh.series["load_kw"].values.tolist(),
            exported(empty, asked),
        ]

    before = answers()
    while empty.roll_up(now):
        pass
    while not empty.tidy(now):
        pass
    with empty.lend_cursor() as cursor:
        assert cursor.execute("SELECT count(*) FROM h.samples").fetchall() == [(0,)]
    assert answers() == before
    minutes = SeriesQuery(SITE, ("load_kw",), START, START + 2 * DAY, step=Step.HOUR)
    assert service.series(minutes).series["load_kw"].n == 48
