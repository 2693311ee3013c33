"""The SQL page: examples, cells, counts, places of mistakes, links."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from plotly.utils import PlotlyJSONEncoder

from ems_dash.i18n import LANGS, catalogue
from ems_dash.ui.analytics.sql_examples import EXAMPLES, Example
from ems_dash.ui.analytics.sql_model import (
    MOST_CELLS,
    MOST_ROWS,
    Cell,
    cell,
    export_links,
    place_of,
    rows_of_cells,
    rows_shown,
    summary,
)
from ems_dash.ui.analytics.sql_view import mistake
from engine.history.dictionary import tables
from engine.history.duckdb_store import DuckDbHistory
from engine.history.query_errors import SqlRefusedError
from engine.history.sql_sandbox import SqlColumn, SqlResult, SqlSandbox

VIENNA = "Europe/Vienna"
AFTERNOON = datetime.fromisoformat("2026-11-25T14:15:00")
"""Without offset, as DuckDB gives times of the tables."""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlSandbox]:
    path: Path = tmp_path_factory.mktemp("history") / "hot.duckdb"
    with DuckDbHistory(path) as history:
        yield SqlSandbox(history, "site-1", VIENNA)


def result(truncated: bool = False, seconds: float = 0.0123, **columns: Any) -> SqlResult:
    table = pa.table(columns)
    return SqlResult(tuple(SqlColumn(name, "X") for name in columns), table, truncated, seconds)


class TestExamples:
    @pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.key)
    def test_each_runs_on_a_store_that_is_new(self, sandbox: SqlSandbox, example: Example) -> None:
        answer = sandbox.run(example.sql)
        assert answer.table.num_rows == 0
        assert len(answer.columns) >= 3

    @pytest.mark.parametrize("lang", LANGS)
    def test_every_example_and_table_has_a_name(self, lang: str) -> None:
        texts = catalogue(lang)
        assert {f"sqlpage.example_{one.key}" for one in EXAMPLES} <= texts.keys()
        assert {f"sqlpage.table.{name}" for name in tables()} <= texts.keys()


class TestCells:
    @pytest.mark.parametrize(
        ("value", "lang", "text", "kind"),
        [
            (None, "en", "NULL", "null"),
            ("", "en", "", "empty"),
            ("NULL", "en", "NULL", "text"),
            (True, "de", "wahr", "text"),
            (2026, "de", "2026", "number"),
            (43200, "de", "43.200", "number"),
            (-1234567.5, "en", "\u22121,234,567.5", "number"),
            (0.1234, "de", "0,1234", "number"),
            (1e-9, "en", "1e-09", "number"),
            (float("nan"), "en", "NaN", "number"),
            (Decimal("12.50"), "de", "12,50", "number"),
            (date(2026, 11, 25), "de", "25.11.2026", "time"),
            (AFTERNOON, "en", "2026-11-25 14:15:00", "time"),
            (AFTERNOON.replace(microsecond=500_000), "de", "25.11.2026 14:15:00,5", "time"),
            (datetime(2026, 11, 25, 12, tzinfo=UTC), "en", "2026-11-25 13:00:00 CET", "time"),
            ([1.5, None], "en", "[1.5, null]", "text"),
        ],
    )
    def test_values_are_written_in_the_readers_notation(
        self, value: object, lang: str, text: str, kind: str
    ) -> None:
        shown = cell(value, ZoneInfo(VIENNA), lang)
        assert (shown.text, shown.kind) == (text, kind)

    def test_what_is_cut_stands_in_the_title(self) -> None:
        shown = cell("x" * 1000, ZoneInfo(VIENNA), "en")
        assert len(shown.text) < 400
        assert shown.title == "x" * 1000
        assert cell(0.123456789, ZoneInfo(VIENNA), "en") == Cell(
            "0.123457", "number", "0.123456789"
        )

    def test_figures_of_32_bits_show_no_more_digits_than_they_have(self) -> None:
        answer = result(x=pa.array([0.1], pa.float32()))
        assert rows_of_cells(answer, VIENNA, "en") == [[Cell("0.1", "number")]]


class TestAnswer:
    def test_it_says_how_many_rows_there_are_and_are_shown(self) -> None:
        few = summary(result(x=[1]), 10_000, "en")
        many = summary(result(x=list(range(5000)), seconds=1.26), 10_000, "de")
        cut = summary(result(x=list(range(10_000)), truncated=True), 10_000, "en")
        assert few == "1 row · 12\u00a0ms"
        assert many == "5.000 Zeilen · die ersten 200 gezeigt · 1,3\u00a0s"
        assert cut.startswith("more than 10,000 rows, the limit · the first 200 shown")

    def test_wide_answers_show_fewer_rows(self) -> None:
        wide = result(**{f"c{i}": list(range(500)) for i in range(400)})
        assert rows_shown(result(x=list(range(500)))) == MOST_ROWS
        assert rows_shown(wide) == MOST_CELLS // 400
        assert len(rows_of_cells(wide, VIENNA, "en")) == MOST_CELLS // 400


class TestMistakes:
    @pytest.mark.parametrize(
        ("sql", "line", "column"),
        [
            ("SELECT nothing FROM ledger", 1, 8),
            ("-- which days?\n\nSELECT ts,\n  nothing\nFROM ledger", 4, 3),
            ("/* ä */ SELECT nothing FROM ledger;\n", 1, 16),
            ("-- SELEC\nSELEC 1", 2, 1),
            ("\n\nSELECT 1\nFROM secrets", 4, 6),
        ],
    )
    def test_places_are_those_of_the_text_in_the_editor(
        self, sandbox: SqlSandbox, sql: str, line: int, column: int
    ) -> None:
        with pytest.raises(SqlRefusedError) as raised:
            sandbox.run(sql)
        place = place_of(raised.value, sql)
        assert place is not None
        assert (place.line, place.column) == (line, column)
        assert place.text == sql.splitlines()[line - 1]

    def test_a_mistake_without_a_place_has_none(self, sandbox: SqlSandbox) -> None:
        with pytest.raises(SqlRefusedError) as raised:
            sandbox.run("DROP TABLE samples")
        assert place_of(raised.value, "DROP TABLE samples") is None

    def test_the_database_is_quoted_in_its_own_language(self, sandbox: SqlSandbox) -> None:
        for sql, frame in (
            ("SELECT nothing FROM ledger", "Im Wortlaut der Datenbank:"),
            ("SELECT json_extract_string('{}', '$..')", "Die Datenbank sagt:"),
        ):
            with pytest.raises(SqlRefusedError) as raised:
                sandbox.run(sql)
            shown = json.dumps(mistake(raised.value, sql, "de"), cls=PlotlyJSONEncoder)
            quoted = {"children": raised.value.message, "lang": "en"}
            assert frame in shown
            assert json.dumps(quoted) in shown


class TestExport:
    def test_links_hold_the_statement(self) -> None:
        sql = "SELECT 'a+b & 100 %' AS \"ä\"\nFROM runs"
        links = dict(export_links(sql, "de"))
        assert list(links) == ["CSV", "Parquet", "XLSX"]
        parts = urlsplit(links["CSV"])
        assert parts.path == "/api/export/sql.csv"
        assert parse_qs(parts.query) == {"sql": [sql], "profile": ["excel_de"]}

    def test_a_statement_too_long_for_an_address_has_none(self) -> None:
        assert not export_links("SELECT 1 " + "-" * 4000, "en")
