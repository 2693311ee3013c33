"""The contracts of the history, kept by PostgreSQL, and what only PostgreSQL has."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from engine.config.load import parse_config
from engine.domain.clock import SystemClock
from engine.domain.errors import AlreadyRunningError, ConfigError, HistoryError
from engine.history.dictionary import tables
from engine.history.duckdb_store import DuckDbHistory
from engine.history.postgres.schema import TYPES, column_types
from engine.history.postgres.session import Session
from engine.history.postgres.store import PostgresHistory
from engine.history.postgres.target import PostgresTarget
from engine.history.query_errors import QueryStoppedError
from engine.history.read_limit import ReadLimit, limited_reads
from engine.history.retention import Retention
from engine.history.series_names import series_name
from engine.history.store import INSTALLATION_SITE_ID, Batch, HistoryStore
from engine.history.writer import HistoryWriter
from engine.runtime.history_setup import open_history, postgres_target
from tests.support.history_data import START, fill
from tests.support.postgres_server import PostgresServer, postgres_server
from tests.support.process import wait_for
from tests.unit.test_history_contract import DAY, T0, HistoryStoreContract, event, sample
from tests.unit.test_history_series import SeriesContract


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


class TestPostgresHistory(HistoryStoreContract):
    @pytest.fixture
    def store(self, server: PostgresServer) -> Iterator[HistoryStore]:
        with PostgresHistory(server.target()) as history:
            yield history
        server.clear()


class TestPostgresSeries(SeriesContract):
    @pytest.fixture
    def store(self, server: PostgresServer) -> Iterator[HistoryStore]:
        with PostgresHistory(server.target()) as history:
            yield history
        server.clear()


@pytest.fixture
def clean(server: PostgresServer) -> Iterator[PostgresServer]:
    yield server
    server.clear()


def config_of(server: PostgresServer, more: str = "") -> str:
    return (
        f"history: {{backend: postgres, postgres: {{host: 127.0.0.1, port: {server.port}, "
        f"dbname: postgres, user: ems, password_env: EMS_TEST_PASSWORD{more}}}}}\n"
    )


def test_both_backends_give_the_same_series_and_exports(
    clean: PostgresServer, tmp_path: Path
) -> None:
    end = START + timedelta(hours=2)
    names = (
        *("price:spot_eur_per_kwh", "ledger:import_kwh", "savings:no_battery:cost_eur"),
        *("plan:battery_kw", "forecast:load_kw:p50", "metric:energy_cost_eur"),
    )
    with PostgresHistory(clean.target()) as ours, DuckDbHistory(tmp_path / "h.duckdb") as theirs:
        for store in (ours, theirs):
            fill(store)
            store.roll_up(end)
        for text in names:
            name = series_name(text)
            found, wanted = (
                s.points(name, "main", START - DAY, end, "Europe/Vienna") for s in (ours, theirs)
            )
            assert found.ts.tolist() == wanted.ts.tolist(), text
            np.testing.assert_array_equal(found.values, wanted.values, text)
            np.testing.assert_array_equal(found.seconds, wanted.seconds, text)
        for table in tables().values():
            columns = [c.name for c in table.columns]
            found, wanted = (
                s.table_rows(table, columns, "main", START - DAY, end, timezone="Europe/Vienna")
                for s in (ours, theirs)
            )
            # rows of the same time have no order of their own
            rows = [sorted(map(str, t.to_pylist())) for t in (found, wanted)]
            assert rows[0] == rows[1], table.name
            assert found.schema == wanted.schema, table.name
            assert ours.extent(table, "main") == theirs.extent(table, "main")
        assert ours.imported_span("main") is theirs.imported_span("main") is None
        pairs = [
            s.forecast_pairs("main", "load_kw", "ensemble", START, end) for s in (ours, theirs)
        ]
        assert len(pairs[0]) == len(pairs[1]) > 0
        np.testing.assert_allclose(pairs[0].actual, pairs[1].actual, rtol=1e-6)


def test_the_tables_have_the_columns_of_the_data_dictionary(clean: PostgresServer) -> None:
    stored = {"minutes": "r1m", "quarter_hours": "r15m"}
    with PostgresHistory(clean.target()):
        session = Session(clean.target(), 10.0)
        for table in tables().values():
            present = column_types(session, stored.get(table.name, table.name))
            if table.name in ("plan_steps", "forecast_steps"):
                continue
            for column in table.columns:
                assert present[column.name] == TYPES[column.sql_type], (table.name, column.name)
        session.close()


def test_one_program_per_site(clean: PostgresServer) -> None:
    waits: list[float] = []
    first = PostgresHistory(clean.target(), site_id="a")
    with pytest.raises(AlreadyRunningError) as caught:
        PostgresHistory(clean.target(), site_id="a", sleep=waits.append)
    assert caught.value.field == "site.id"
    assert waits
    # other sites and readers share the database
    with PostgresHistory(clean.target(), site_id="b") as other, PostgresHistory(clean.target()):
        other.write(Batch(events=(event(0, "mine", INSTALLATION_SITE_ID), event(1, "b", "b"))))
        assert [e.message for e in other.events("b", T0, T0 + DAY)] == ["mine", "b"]
        assert first.events("a", T0, T0 + DAY) == []
    first.close()
    PostgresHistory(clean.target(), site_id="a").close()


def test_texts_that_postgres_cannot_store_block_nothing(clean: PostgresServer) -> None:
    long = "x" * 20_000
    with PostgresHistory(clean.target()) as store:
        store.write(Batch(events=(event(0, "a\0b"), event(1, long), event(1, long))))
        assert [e.message for e in store.events("main", T0, T0 + DAY)] == ["a\ufffdb", long]


def test_a_read_ends_when_it_takes_too_long(clean: PostgresServer) -> None:
    with PostgresHistory(clean.target()) as store:
        limit = ReadLimit(60.0)
        threading.Timer(0.1, limit.cancel).start()
        with limited_reads(limit), pytest.raises(QueryStoppedError):
            _sleep(store)
        assert store.counts()["samples"] == 0


def _sleep(store: PostgresHistory) -> None:
    with store._reading() as session:
        session.execute("SELECT pg_sleep(30)")


def test_what_is_old_is_deleted_and_quarter_hours_stay(clean: PostgresServer) -> None:
    now = T0 + timedelta(days=100)
    with PostgresHistory(clean.target(), retention=Retention(14, 30, 1)) as store:
        store.write(Batch(samples=tuple(sample(600 * i, pv_kw=1.0) for i in range(150))))
        # nothing is lost that was not rolled up
        assert store.tidy(now)
        assert store.counts()["samples"] == 150
        while store.roll_up(now):
            pass
        before = len(store.quarter_hour_means("main", ["pv_kw"], T0, now))
        assert store.tidy(now)
        assert store.counts()["samples"] == 0
        assert store.minute_means("main", ["pv_kw"], T0, now) == []
        assert len(store.quarter_hour_means("main", ["pv_kw"], T0, now)) == before > 90
        assert store.rebuild_roll_ups("main", T0, T0 + 3 * DAY) == 0
        assert len(store.quarter_hour_means("main", ["pv_kw"], T0, now)) == before


def test_what_only_duckdb_can_do_says_so(clean: PostgresServer, tmp_path: Path) -> None:
    with PostgresHistory(clean.target()) as store:
        assert store.checkpoint()
        with pytest.raises(HistoryError, match="pg_dump"):
            store.backup(tmp_path)
        with pytest.raises(HistoryError, match="DuckDB"):
            store.lend_cursor()


def test_a_restarted_server_costs_nothing_that_was_measured(server: PostgresServer) -> None:
    store = PostgresHistory(server.target("restarted"), site_id="main", sleep=lambda _: None)
    writer = HistoryWriter(store, SystemClock(), batch_seconds=0.05)
    writer.start()
    try:
        writer.add_sample(sample(0, pv_kw=1.0))
        wait_for(lambda: writer.status().rows_written >= 1, "the first commit")
        server.stop()
        for i in range(1, 200):
            writer.add_sample(sample(i, pv_kw=1.0))
        wait_for(lambda: writer.status().failures >= 1, "a failed commit")
        error = writer.status().last_error or ""
        assert "PostgreSQL" in error
        with pytest.raises(HistoryError, match="PostgreSQL"):
            store.latest_sample("main")
        server.start()
        wait_for(lambda: writer.status().rows_waiting == 0, "all rows to be stored")
        wait_for(lambda: _counted(store) == 200, "reads to work again")
        # and the site is still owned
        with pytest.raises(AlreadyRunningError):
            PostgresHistory(server.target("restarted"), site_id="main", sleep=lambda _: None)
    finally:
        writer.stop()


def _counted(store: PostgresHistory) -> int:
    try:
        return store.counts()["samples"]
    except HistoryError:
        return -1


def test_configured_and_opened_with_a_password(
    clean: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = parse_config(config_of(clean))
    with pytest.raises(ConfigError, match="EMS_TEST_PASSWORD"):
        open_history(config, tmp_path / "hot.duckdb")
    monkeypatch.setenv("EMS_TEST_PASSWORD", "wrong horse")
    with pytest.raises(HistoryError, match="password") as caught:
        open_history(config, tmp_path / "hot.duckdb")
    assert "wrong horse" not in str(caught.value)
    monkeypatch.setenv("EMS_TEST_PASSWORD", "right horse")
    assert "right horse" not in repr(postgres_target(config))
    with open_history(config, tmp_path / "hot.duckdb") as store:
        assert isinstance(store, PostgresHistory)
        with pytest.raises(AlreadyRunningError):
            open_history(config, tmp_path / "hot.duckdb")
    dsn = "history: {backend: postgres, postgres: {dsn_env: EMS_TEST_DSN}}"
    monkeypatch.setenv("EMS_TEST_DSN", "right horse = what")
    with pytest.raises(ConfigError) as refused:
        postgres_target(parse_config(dsn))
    assert "horse" not in str(refused.value)


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    target = PostgresTarget({"host": str(tmp_path), "user": "x"}, "ems_dash", "db on nowhere")
    with pytest.raises(HistoryError, match="nowhere") as caught:
        PostgresHistory(target)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("history: {backend: postgres}", "history.postgres"),
        ("history: {backend: postgres, postgres: {port: 5432}}", "history.postgres.host"),
        (
            "history: {backend: postgres, postgres: {dsn_env: A_DSN, user: me}}",
            "history.postgres.user",
        ),
    ],
)
def test_a_database_that_is_not_described_is_refused(text: str, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    assert f"{field}: " in str(caught.value)
