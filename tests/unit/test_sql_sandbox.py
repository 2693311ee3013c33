"""SQL for analysts: what runs, what is refused, and that the history stands after attacks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from engine.domain.errors import HistoryError
from engine.history.dictionary import tables
from engine.history.duckdb_store import DuckDbHistory
from engine.history.query_errors import QueryStoppedError, SqlRefusedError
from engine.history.sql_functions import ALLOWED, OPERATORS
from engine.history.sql_sandbox import SqlSandbox
from engine.history.views import source_sql, view_sql
from tests.support.history_data import SITE, START, fill, samples, write_samples

VIENNA = "Europe/Vienna"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbHistory]:
    with DuckDbHistory(tmp_path_factory.mktemp("history") / "hot.duckdb") as history:
        fill(history, hours=1)
        history.roll_up(START + timedelta(hours=2))
        yield history


@pytest.fixture
def sandbox(store: DuckDbHistory) -> SqlSandbox:
    return SqlSandbox(store, SITE, VIENNA)


USEFUL = [
    "FROM samples LIMIT 3",
    "SELECT date_trunc('hour', ts_local) h, avg(load_kw), max(load_kw) FILTER (load_kw > 0) "
    "FROM samples GROUP BY ALL ORDER BY h;",
    "SELECT time_bucket(INTERVAL 15 MINUTE, ts) q, quantile_cont(load_kw, 0.9) FROM samples "
    "GROUP BY 1 HAVING count(*) > 1 ORDER BY 2 DESC NULLS LAST LIMIT 5 OFFSET 1",
    "WITH booked AS (SELECT * FROM ledger), dear AS (FROM booked) SELECT ts, "
    "sum(cost_eur) OVER (ORDER BY ts) FROM dear JOIN prices p USING (ts)",
    "SELECT * FROM samples ASOF JOIN prices ON samples.ts >= prices.ts LIMIT 2",
    "SELECT m.load_kw_mean, q.battery_kw_positive_kwh FROM minutes m "
    "JOIN quarter_hours q USING (ts)",
    "DESCRIBE samples",
    "SUMMARIZE ledger",
    "SELECT 1 UNION ALL SELECT 2 EXCEPT SELECT 3",
    "SELECT CASE WHEN 1 = 1 THEN 'a' ELSE 'b' END, CAST('1' AS INT), 1 BETWEEN 0 AND 2, "
    "x IS NULL, x IN (1, 2), EXISTS (SELECT 1) FROM (VALUES (1), (2)) t(x)",
    "SELECT p50[1], unnest(p50), len(p50) FROM forecasts",
    "SELECT * FROM forecast_steps WHERE signal = 'load_kw' AND model LIKE 'ens%'",
    "SELECT * EXCLUDE (site_id) REPLACE (ts_local AS ts) FROM events",
    "SELECT ts AT TIME ZONE 'UTC', extract(HOUR FROM ts), ts::DATE, ts + INTERVAL 1 DAY, now() "
    "FROM samples LIMIT 1",
    "SELECT document->>'x', json_extract(document, '$.a') FROM tariffs",
    "SELECT * FROM ledger PIVOT (sum(cost_eur) FOR method IN ('counters'))",
    "SELECT row_number() OVER w FROM samples WINDOW w AS (PARTITION BY site_id ORDER BY ts) "
    "QUALIFY row_number() OVER w = 1",
    "SELECT i, count(ts) FROM range(5) t(i) LEFT JOIN ledger ON true GROUP BY ROLLUP (i)",
    "SELECT current_timestamp, current_date, today(), get_current_timestamp()",
    "SELECT message || ' (' || code || ')' FROM events -- a remark; not a statement",
]


@pytest.mark.parametrize("sql", USEFUL)
def test_what_analysts_need_runs(sandbox: SqlSandbox, sql: str) -> None:
    assert sandbox.run(sql).columns


ATTACKS = [
    # other statements
    "INSERT INTO ledger SELECT * FROM ledger",
    "DELETE FROM samples",
    "UPDATE prices SET source = 'x'",
    "CREATE TABLE x AS SELECT 1",
    "CREATE TEMP TABLE x AS SELECT 1",
    "CREATE MACRO f() AS 1",
    "DROP TABLE h.samples",
    "ALTER TABLE h.samples ADD COLUMN x INTEGER",
    "COPY (SELECT 1) TO 'x.csv'",
    "COPY samples FROM 'x.csv'",
    "EXPORT DATABASE 'x'",
    "IMPORT DATABASE 'x'",
    "ATTACH 'x.duckdb' AS x",
    "DETACH h",
    "USE h",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "SET threads = 64",
    "RESET memory_limit",
    "SET VARIABLE x = 1",
    "INSTALL httpfs",
    "LOAD json",
    "CHECKPOINT",
    "FORCE CHECKPOINT h",
    "VACUUM",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "PREPARE x AS SELECT 1",
    "EXECUTE x",
    "EXPLAIN ANALYZE SELECT 1",
    "PIVOT ledger ON method USING sum(cost_eur)",
    # more than one statement, or none
    "SELECT 1; DROP TABLE h.samples",
    "SELECT 1;;SELECT 2",
    "SELECT 1; -- x\nDELETE FROM h.samples",
    "",
    ";",
    "-- nothing",
    # writes inside a SELECT
    "WITH x AS (INSERT INTO h.metrics VALUES (current_date, 'a', 'b', 1) RETURNING *) FROM x",
    "WITH x AS (DELETE FROM h.samples RETURNING *) SELECT * FROM x",
    "WITH x AS (UPDATE h.prices SET source = 'x' RETURNING *) SELECT * FROM x",
    # files
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_csv_auto('/etc/passwd')",
    "SELECT * FROM read_parquet('*.parquet')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_json('/etc/passwd')",
    "SELECT * FROM parquet_metadata('x.parquet')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM glob('/*')",
    "FROM '/etc/passwd'",
    "FROM 'data.parquet'",
    'FROM "https://example.org/x.csv"',
    "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "SELECT * FROM samples WHERE EXISTS (FROM glob('/*'))",
    "SELECT * FROM range(1) t, LATERAL (SELECT * FROM read_text('/etc/passwd'))",
    "SELECT * FROM ledger ORDER BY (SELECT count(*) FROM glob('/*'))",
    "SELECT 1 LIMIT (SELECT count(*) FROM glob('/*'))",
    "SELECT sum(cost_eur) FILTER (EXISTS (FROM glob('/*'))) FROM ledger",
    # the catalogue, the settings and what stands behind the views
    "SELECT * FROM h.samples",
    'SELECT * FROM "h"."samples"',
    "SELECT * FROM h.main.samples",
    "SELECT * FROM memory.main.x",
    "SELECT * FROM temp.samples",
    "SELECT * FROM h.schema_version",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM duckdb_tables()",
    "SELECT * FROM duckdb_tables",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_functions()",
    "SELECT * FROM pragma_database_size()",
    "SELECT * FROM pragma_table_info('h.samples')",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM pg_catalog.pg_class",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    "SHOW DATABASES",
    "DESCRIBE h.samples",
    "SUMMARIZE duckdb_tables",
    "SELECT current_setting('temp_directory')",
    "SELECT getenv('HOME')",
    "SELECT getvariable('x')",
    "SELECT * FROM query('DROP TABLE h.samples')",
    "SELECT * FROM query_table('h.samples')",
    "SELECT * FROM json_execute_serialized_sql('{}')",
    "SELECT json_serialize_sql('SELECT 1')",
    "SELECT nextval('x')",
    "SELECT which_secret('x', 'y')",
    "SELECT * FROM checkpoint()",
    "SELECT * FROM force_checkpoint('h')",
    "SELECT main.getenv('HOME')",
    "SELECT system.main.getenv('HOME')",
    "SELECT ('HOME').getenv()",
    "SELECT 'HOME'.getenv() FROM samples",
    # names given by WITH do not open what they are called after
    "WITH duckdb_tables AS (SELECT * FROM duckdb_tables) FROM duckdb_tables",
    "SELECT (WITH duckdb_settings AS (SELECT 1) FROM duckdb_settings), * FROM duckdb_settings",
    "WITH a AS (FROM b), b AS (SELECT 1) FROM a",
    'WITH "x.csv" AS (SELECT 1) SELECT * FROM (SELECT 1), "y.csv"',
    # variables of the program itself
    "SELECT * FROM store",
    "SELECT * FROM sandbox",
    # time and memory
    "SELECT repeat('x', 2000000000)",
    "SELECT lpad('x', 2000000000, 'x')",
    "SELECT format('{:>2000000000}', 1)",
    "SELECT printf('%2000000000d', 1)",
    "SELECT range(1000000000)",
    "SELECT generate_series(1, 1000000000)",
    "SELECT list(load_kw) FROM samples",
    "SELECT string_agg(message, ',') FROM events",
    "SELECT replace(message, 'a', 'aaaaaaaa') FROM events",
    "SELECT histogram(load_kw) FROM samples",
    "SELECT NULL::INTEGER[100000] FROM range(100000)",
    "SELECT a || a || a || a || a || a || a || a || a || a FROM (SELECT message AS a FROM events)",
    "SELECT '" + "x" * 2_000 + "'",
    "SELECT 1" + " " * 30_000,
    "WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t) SELECT max(i) FROM t",
    "SELECT " + "-" * 5_000 + "1",
    "SELECT list_transform([1], x -> getenv('HOME'))",
    "SELECT list_transform([1], lambda x: x)",
    # parameters, odd characters
    "SELECT ?",
    "SELECT $1",
    "SELECT 1\x00; DROP TABLE h.samples",
    "SELECT 1;\nDROP TABLE h.samples; --",
]


def test_no_attack_gets_through_and_the_history_stands(
    sandbox: SqlSandbox, store: DuckDbHistory
) -> None:
    assert len(ATTACKS) >= 100
    before = store.counts()
    got_through = []
    for sql in ATTACKS:
        with suppress(SqlRefusedError):
            sandbox.run(sql)
            got_through.append(sql)
    assert got_through == []
    assert store.counts() == before
    later = START + timedelta(days=1)
    write_samples(store, samples(later, later + timedelta(seconds=4)))
    assert store.counts()["samples"] == before["samples"] + 2
    assert sandbox.run("SELECT count(*) FROM samples").table.column(0).to_pylist() == [
        before["samples"] + 2
    ]


def test_the_second_wall_holds_without_the_first(store: DuckDbHistory) -> None:
    def straight(sql: str) -> None:
        with store.lend_cursor() as cursor:
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            cursor.execute(sql)

    # what the guard refuses, the transaction and the instance refuse as well
    for sql in (
        "INSERT INTO h.metrics VALUES (DATE '2026-01-01', 'a', 'b', 1)",
        "DELETE FROM h.samples",
        "SELECT * FROM read_text('/etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "SET threads = 4",
        "ATTACH '/tmp/x.duckdb' AS x",
    ):
        with pytest.raises(HistoryError):
            straight(sql)


def test_a_mistake_is_told_with_its_place(sandbox: SqlSandbox) -> None:
    for sql, place, words in (
        ("SELECT *\nFROM samples\nWHERE nope = 1", "3:7", 'column "nope" not found'),
        ("SELECT * FROM samples WHERE x=", "1:30", "syntax error"),
        ("SELECT 1,\n  foo(1)", "2:3", "function foo is not possible"),
        ("SELECT *\n FROM sample", "2:7", "no table sample here; there are devices, events"),
        ("SELECT 'a'::INT", "1:11", "Could not convert"),
    ):
        with pytest.raises(SqlRefusedError, match=words) as caught:
            sandbox.run(sql)
        assert (caught.value.field, caught.value.value) == ("sql", place)


def test_rows_time_and_memory_are_limited(store: DuckDbHistory, sandbox: SqlSandbox) -> None:
    result = sandbox.run("SELECT ts FROM samples ORDER BY ts", rows=10)
    assert (result.table.num_rows, result.truncated) == (10, True)
    assert not sandbox.run("SELECT 1", rows=1).truncated
    with pytest.raises(HistoryError, match="0 rows are not possible"):
        sandbox.run("SELECT 1", rows=0)
    hasty = SqlSandbox(store, SITE, VIENNA, limit_seconds=0.05)
    with pytest.raises(QueryStoppedError, match="took longer"):
        hasty.run("SELECT count(*) FROM range(1000000000) a, range(1000000000) b")
    modest = SqlSandbox(store, SITE, VIENNA, growth_bytes=1_000)
    with pytest.raises(QueryStoppedError, match="memory"):
        modest.run("SELECT median(a.range * b.range) FROM range(100000) a, range(100000) b")
    assert sandbox.run("SELECT 1").table.num_rows == 1


WHOLE = [
    "SELECT count(*) FROM samples WHERE ts >= '2026-11-24' OR load_kw > 0",
    "SELECT count(*) FROM samples WHERE ts >= (SELECT min(ts) FROM ledger)",
    "SELECT (SELECT count(*) FROM samples) FROM samples WHERE ts >= '2026-11-25'",
    "SELECT count(*) FROM samples s JOIN ledger samples USING (ts) "
    "WHERE samples.ts >= '2026-11-25'",
    "SELECT count(*) FROM ledger ASOF JOIN samples s ON ledger.ts >= s.ts "
    "WHERE s.ts < '2026-11-24'",
    "SELECT count(*) FROM ledger LEFT JOIN samples s ON s.ts < ledger.ts WHERE s.ts < '2026-11-24'",
    "SELECT count(*) FROM samples WHERE ts < 'infinity' AND ts > '-infinity'",
    "SELECT count(*) FROM samples AS s(site_id, ts) WHERE ts >= '2026-11-25'",
]
SOME = [
    "SELECT count(*) FROM samples WHERE ts >= '2026-11-25' AND ts < '2026-11-26'",
    "SELECT count(*) FROM samples s WHERE s.ts BETWEEN DATE '2026-11-25' AND '2026-11-25 23:59'",
    "SELECT count(*) FROM samples WHERE ts_local::DATE = '2026-11-25' AND load_kw > 0",
    "SELECT count(*) FROM samples WHERE TIMESTAMP '2026-11-26' - INTERVAL 1 DAY <= ts "
    "AND '2026-11-26' > ts",
    "WITH day AS (FROM samples WHERE ts::DATE = '2026-11-25') SELECT count(*) FROM day",
    "SELECT count(*) FROM samples JOIN ledger USING (ts) "
    "WHERE ts >= '2026-11-25' AND ts < '2026-11-26'",
]


def test_only_the_archived_days_that_are_meant_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the answer is the one that reading everything gives."""
    with DuckDbHistory(tmp_path / "hot.duckdb") as history:
        write_samples(history, samples(START, START + timedelta(days=8), timedelta(hours=1)))
        fill(history, hours=1, start=START + timedelta(days=2))
        late = START + timedelta(days=60)
        while history.roll_up(late):
            pass
        while not history.tidy(late):
            pass
        opened: list[int] = []
        relation = history.samples_relation

        def counted(*arguments: object) -> str:
            made = relation(*arguments)  # type: ignore[arg-type]
            opened.append(made.count(".parquet"))
            return made

        monkeypatch.setattr(history, "samples_relation", counted)
        sandbox = SqlSandbox(history, SITE, VIENNA)
        answers = [sandbox.run(sql).table.to_pylist() for sql in (*WHOLE, *SOME)]
        days = opened[: len(WHOLE)], opened[len(WHOLE) :]
        assert days[0] == [9] * len(WHOLE)
        assert all(2 <= n <= 7 for n in days[1]), days
        monkeypatch.setattr(history, "samples_relation", lambda *given: relation(*given[:2]))
        assert answers == [sandbox.run(sql).table.to_pylist() for sql in (*WHOLE, *SOME)]


def test_local_time_stands_beside_utc(sandbox: SqlSandbox) -> None:
    rows = sandbox.run("SELECT ts, ts_local FROM ledger ORDER BY ts LIMIT 1").table.to_pylist()
    assert rows[0]["ts_local"] - rows[0]["ts"] == timedelta(hours=1)


def test_the_dictionary_is_the_schema(store: DuckDbHistory) -> None:
    with store.lend_cursor() as cursor:
        for name, table in tables().items():
            described = cursor.execute(f"DESCRIBE {view_sql(table, VIENNA)}").fetchall()
            types = {row[0]: row[1] for row in described}
            for column in table.columns:
                assert types[column.name] == column.sql_type, f"{name}.{column.name}"
                assert column.meaning
            assert [c.name for c in table.columns][:3].count("site_id") == 1
        # nothing that is stored is left out
        stored = cursor.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = 'h'"
        ).fetchall()
    named = {"r1m": "minutes", "r15m": "quarter_hours"}
    internal = {"schema_version", "roll_up_pending", "archived_days", "kept_from"}
    for table_name, column_name in stored:
        if table_name not in internal:
            columns = tables()[named.get(table_name, table_name)].columns
            assert column_name in {c.name for c in columns}, f"{table_name}.{column_name}"


def test_every_allowed_function_exists(store: DuckDbHistory) -> None:
    with store.lend_cursor() as cursor:
        known = {
            row[0]
            for row in cursor.execute("SELECT function_name FROM duckdb_functions()").fetchall()
        }
    by_syntax = {"coalesce", "count_star", "unnest", "if", "ifnull", "nullif", "position"}
    windows = {"fill", "first_value", "last_value", "lag", "lead", "nth_value"}
    missing = ALLOWED - OPERATORS - known - by_syntax - windows
    assert not missing
    assert source_sql(tables()["samples"])


def test_docs_list_every_table_and_column() -> None:
    page = (Path(__file__).parents[2] / "docs/analysis/schema.md").read_text(encoding="utf-8")
    from engine.history.schema_page import schema_page

    assert page == schema_page()
