from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.analytics.backtest.inputs import InputFiles, read_inputs
from engine.domain.errors import EmsError
from tests.support.backtest_cases import SITE

START = datetime(2025, 6, 1, tzinfo=UTC)
Rows = list[str]


def stamps(n: int, minutes: int = 15, start: datetime = START) -> list[datetime]:
    return [start + k * timedelta(minutes=minutes) for k in range(n)]


def csv(
    path: Path,
    n: int = 192,
    *,
    minutes: int = 15,
    columns: Sequence[str] = ("price_eur_per_mwh", "load_kw", "pv_kw"),
    value: Callable[[str, int], object] = lambda name, k: 80 + k % 7,
    change: Callable[[Rows], Rows] = lambda rows: rows,
    start: datetime = START,
) -> Path:
    rows = [
        ",".join([f"{ts:%Y-%m-%dT%H:%M:%SZ}", *(str(value(name, k)) for name in columns)])
        for k, ts in enumerate(stamps(n, minutes, start))
    ]
    path.write_text("\n".join([",".join(["ts_utc", *columns]), *change(rows)]) + "\n")
    return path


def read(*data: Path, **files: Path) -> tuple[object, ...]:
    given = {name: (path,) for name, path in files.items()}
    return read_inputs(InputFiles(data=data, **given), SITE, None, None)


def test_one_file_with_everything(tmp_path: Path) -> None:
    series, start, end = read_inputs(InputFiles(data=(csv(tmp_path / "a.csv"),)), SITE, None, None)
    assert (start, end) == (START, START + timedelta(days=2))
    assert series.n == 192
    assert series.spot_eur_per_kwh[1] == pytest.approx(0.081)
    assert series.load_kw[2] == 82.0


def test_hourly_prices_half_hourly_load_and_no_pv(tmp_path: Path) -> None:
    prices = csv(tmp_path / "p.csv", 48, minutes=60, columns=["price_eur_per_mwh"])
    load = csv(tmp_path / "l.csv", 96, minutes=30, columns=["load_kw"])
    series, *_ = read_inputs(InputFiles(prices=(prices,), load=(load,)), SITE, None, None)
    assert series.spot_eur_per_kwh[:8].tolist() == pytest.approx([0.08] * 4 + [0.081] * 4)
    assert series.load_kw[:4].tolist() == [80.0, 80.0, 81.0, 81.0]
    assert not series.has_pv
    text = " ".join(series.notes)
    assert "no column pv_kw" in text
    assert "60 min" in text
    assert "30 min" in text


def test_minutes_are_averaged_and_months_are_joined(tmp_path: Path) -> None:
    day = timedelta(days=1)
    one = csv(tmp_path / "1.csv", 1440, minutes=1, columns=["load_kw"], value=lambda _n, k: k % 15)
    two = csv(tmp_path / "2.csv", 96, columns=["load_kw"], start=START + day)
    prices = csv(tmp_path / "p.csv", 192, columns=["price_eur_per_mwh"])
    series, *_ = read_inputs(InputFiles(prices=(prices,), load=(two, one)), SITE, None, None)
    assert series.load_kw[0] == pytest.approx(7.0)
    assert series.load_kw[96] == 80.0


def test_the_change_from_hours_to_quarter_hours_is_followed(tmp_path: Path) -> None:
    hourly = csv(tmp_path / "h.csv", 24, minutes=60, columns=["price_eur_per_mwh"])
    rows = hourly.read_text()
    quarters = stamps(96, 15, START + timedelta(days=1))
    rows += "".join(f"{ts:%Y-%m-%dT%H:%M:%SZ},50\n" for ts in quarters)
    hourly.write_text(rows)
    load = csv(tmp_path / "l.csv", 192, columns=["load_kw"])
    series, *_ = read_inputs(InputFiles(prices=(hourly,), load=(load,)), SITE, None, None)
    assert series.n == 192
    assert series.spot_eur_per_kwh[95] == pytest.approx(0.082)
    assert series.spot_eur_per_kwh[96] == pytest.approx(0.05)


def test_local_times_with_offsets_over_the_autumn_night(tmp_path: Path) -> None:
    lines = ["ts_utc,load_kw,price_eur_per_mwh"]
    start = datetime(2025, 10, 25, 22, tzinfo=UTC)
    for k in range(100):
        ts = start + k * timedelta(minutes=15)
        offset = 2 if ts < datetime(2025, 10, 26, 1, tzinfo=UTC) else 1
        local = ts + timedelta(hours=offset)
        lines.append(f"{local:%Y-%m-%dT%H:%M}+0{offset}:00,{k},50")
    path = tmp_path / "dst.csv"
    path.write_text("\n".join(lines))
    series, *_ = read_inputs(InputFiles(data=(path,)), SITE, None, None)
    assert series.load_kw.tolist() == list(range(100))


def test_parquet_with_naive_times_and_watts(tmp_path: Path) -> None:
    naive = [ts.replace(tzinfo=None) for ts in stamps(96)]
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table(
            {
                "ts_utc": pa.array(naive, pa.timestamp("us")),
                "price_eur_per_kwh": np.full(96, 0.1, dtype=np.float32),
                "load_w": np.full(96, 30_000.0),
            }
        ),
        path,
    )
    series, *_ = read_inputs(InputFiles(data=(path,)), SITE, None, None)
    assert series.load_kw[0] == pytest.approx(30.0)
    assert series.spot_eur_per_kwh[0] == pytest.approx(0.1)
    assert any("taken as UTC" in note for note in series.notes)


def test_numbers_are_read_as_an_import_reads_them(tmp_path: Path) -> None:
    """A point in numbers with a decimal comma marks thousands, never a fraction."""
    path = tmp_path / "german.csv"
    rows = [f"{ts:%Y-%m-%dT%H:%M:%SZ};80,5;1.250,5;1.250" for ts in stamps(96)]
    path.write_text("\n".join(["ts_utc;price_eur_per_mwh;load_w;pv_w", *rows]) + "\n")
    series, *_ = read_inputs(InputFiles(data=(path,)), SITE, None, None)
    assert series.load_kw[0] == pytest.approx(1.2505)
    assert series.pv_kw[0] == pytest.approx(1.25)
    path.write_text(path.read_text().replace("1.250,5", "12.5"))
    with pytest.raises(EmsError, match="no number is read"):
        read(path)


def test_prices_alone_are_a_battery_at_the_grid(tmp_path: Path) -> None:
    prices = csv(tmp_path / "p.csv", columns=["price_eur_per_mwh"])
    series, *_ = read_inputs(InputFiles(prices=(prices,)), SITE, None, None)
    assert series.load_kw.sum() == 0.0
    assert any("stands alone" in note for note in series.notes)


def test_the_past_is_kept_as_far_as_it_has_no_gap(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", change=lambda rows: rows[:20] + rows[24:])
    series, start, _ = read_inputs(
        InputFiles(data=(path,)), SITE, START + timedelta(days=1), START + timedelta(days=2)
    )
    assert start == START + timedelta(days=1)
    assert series.start == START + 24 * timedelta(minutes=15)
    assert any("has gaps" in note for note in series.notes)


def _cell(row: int, column: int, text: str) -> Callable[[Rows], Rows]:
    def change(rows: Rows) -> Rows:
        cells = rows[row].split(",")
        cells[column] = text
        return [*rows[:row], ",".join(cells), *rows[row + 1 :]]

    return change


BAD: list[tuple[str, Callable[[Rows], Rows], list[str]]] = [
    ("gap", lambda r: r[:50] + r[53:], ["gap after row 51", "3 quarter-hours", "Fill the gap"]),
    ("duplicate", lambda r: [*r[:9], *r[8:]], ["row 11", "row before", "Remove the repeated"]),
    ("unsorted", lambda r: [*r[:5], r[6], r[5], *r[7:]], ["row 8", "lies before", "Sort"]),
    ("nan", _cell(30, 2, "NaN"), ["row 32", "load_kw is empty", "Fill the gap"]),
    ("empty cell", _cell(30, 1, ""), ["row 32", "price_eur_per_mwh is empty"]),
    ("word", _cell(7, 2, "much"), ["row 9", "column load_kw", "no number", "'much'"]),
    ("negative", _cell(7, 2, "-4"), ["row 9", "load is never negative", "sign"]),
    ("price", _cell(7, 1, "88000"), ["row 9", "beyond 4000 EUR/MWh", "unit"]),
    ("time", _cell(3, 0, "yesterday"), ["row 5", "no time", "2026-01-01T00:00Z"]),
    ("naive", _cell(3, 0, "2025-06-01T00:45:00"), ["time zones are mixed", "row 5 has no offset"]),
    ("zones", _cell(3, 0, "2025-06-01T05:45:00+05:00"), ["zones are mixed", "+05:00"]),
    ("empty file", lambda r: [], ["no rows"]),
]


@pytest.mark.parametrize(("_name", "change", "said"), BAD, ids=[name for name, *_ in BAD])
def test_bad_rows_are_named_with_their_remedy(
    tmp_path: Path, _name: str, change: Callable[[Rows], Rows], said: list[str]
) -> None:
    with pytest.raises(EmsError) as caught:
        read(csv(tmp_path / "bad.csv", change=change))
    text = str(caught.value)
    assert "bad.csv" in text
    for words in said:
        assert words in text, text


@pytest.mark.parametrize(
    ("columns", "value", "said"),
    [
        (["load_kw"], 50, "no prices"),
        (["price_eur_per_mwh"], 50, "no column load_kw"),
        (["price_eur_per_mwh", "load_kw"], lambda n, k: 0.08 if n[0] == "p" else 40, "EUR/kWh"),
        (["price_eur_per_mwh", "load_kw"], lambda n, k: 80 if n[0] == "p" else 40_000, "load_w"),
        (["price_eur_per_mwh", "load_kw"], lambda n, k: 80 if n[0] == "p" else 0.04, "megawatts"),
        (["consumption", "costs"], 1, "none of the columns"),
    ],
    ids=["no price", "no load", "price in kWh", "watts", "megawatts", "other names"],
)
def test_missing_columns_and_wrong_units(
    tmp_path: Path, columns: list[str], value: object, said: str
) -> None:
    of = value if callable(value) else lambda _name, _k: value
    path = csv(tmp_path / "bad.csv", columns=columns, value=of)
    with pytest.raises(EmsError, match=said) as caught:
        read(path)
    assert caught.value.hint


def test_a_file_without_the_time_column(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("time,load_kw\n2025-01-01T00:00Z,1\n2025-01-01T00:15Z,1\n")
    with pytest.raises(EmsError, match="no column ts_utc"):
        read(path)


def test_files_that_overlap_or_never_meet(tmp_path: Path) -> None:
    prices = csv(tmp_path / "p.csv", columns=["price_eur_per_mwh"])
    one, two = csv(tmp_path / "1.csv", columns=["load_kw"]), csv(tmp_path / "2.csv")
    with pytest.raises(EmsError, match=r"stands in 1\.csv and in 2\.csv|2\.csv and in 1\.csv"):
        read_inputs(InputFiles(prices=(prices,), load=(one, two)), SITE, None, None)
    later = csv(tmp_path / "later.csv", columns=["load_kw"], start=START + timedelta(days=90))
    with pytest.raises(EmsError, match="no common time"):
        read_inputs(InputFiles(prices=(prices,), load=(later,)), SITE, None, None)
    with pytest.raises(EmsError, match="inside the data"):
        read_inputs(
            InputFiles(data=(csv(tmp_path / "x.csv"),)), SITE, START, START + timedelta(days=9)
        )
    with pytest.raises(EmsError, match="There is no file"):
        read(tmp_path / "missing.csv")
