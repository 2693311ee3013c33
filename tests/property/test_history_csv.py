"""CSV reads back as it was: values exactly, times as instants, texts as texts."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.history.export_csv import STYLES, csv_bytes
from engine.history.export_request import CsvProfile, ExportColumn, ExportInfo, ExportRows

ZONES = ["Europe/Vienna", "UTC", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata"]
NAMES = ("ts", "number", "word", "flag", "count")

times = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)).map(  # noqa: DTZ001
    lambda ts: ts.replace(microsecond=ts.microsecond // 1000 * 1000)
)
row = st.tuples(
    times,
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20),
    st.none() | st.booleans(),
    st.none() | st.integers(-(2**31), 2**31 - 1),
)


def export(rows: list[tuple[object, ...]], zone: str) -> ExportRows:
    schema = pa.schema(
        [
            ("ts", pa.timestamp("us")),
            ("number", pa.float64()),
            ("word", pa.string()),
            ("flag", pa.bool_()),
            ("count", pa.int32()),
        ]
    )
    columns = [pa.array([r[i] for r in rows], schema.field(i).type) for i in range(len(NAMES))]
    info = ExportInfo(
        "test", "main", zone, None, None, "",
        tuple(ExportColumn(name, "", "") for name in NAMES), "test", datetime.now(UTC),
    )  # fmt: skip
    half = len(rows) // 2
    table = pa.Table.from_arrays(columns, schema=schema)
    return ExportRows(info, schema, "ts", 2, iter([table.slice(0, half), table.slice(half)]))


@settings(deadline=None, max_examples=25)
@given(st.lists(row, max_size=12), st.sampled_from(ZONES), st.sampled_from(list(CsvProfile)))
def test_csv_reads_back_as_it_was(
    rows: list[tuple[object, ...]], zone: str, profile: CsvProfile
) -> None:
    style = STYLES[profile]
    made = csv_bytes(export(rows, zone), profile, comments=False, tell=lambda progress: None)
    text = b"".join(made).decode("utf-8-sig")
    read = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=style.separator))
    assert len(read) == len(rows)
    for got, (ts, number, word, flag, count) in zip(read, rows, strict=True):
        assert isinstance(ts, datetime)
        instant = ts.replace(tzinfo=UTC)
        assert datetime.fromisoformat(got["ts_utc"]) == instant
        local = got["ts_local"]
        if style.split_offset:
            local += got["ts_offset"].removeprefix("UTC")
        # an offset in seconds, as some zones had before 1972, is not among these years
        assert abs(datetime.fromisoformat(local) - instant) < timedelta(seconds=1)
        assert (
            got["number"] == ""
            if number is None
            else float(got["number"].replace(style.decimal, ".")) == number
        )
        if word is None or word == "":
            assert got["word"] == ""
        else:
            assert got["word"] in (word, f"'{word}")
            assert got["word"][0] not in "=+-@\t\r\n＝＋－＠"
        assert got["flag"] == ("" if flag is None else str(flag).lower())
        assert got["count"] == ("" if count is None else str(count))
