"""Importing while the program runs: beside its own rows, told all the time, one at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from engine.config.load import load_config
from engine.history.columns import ColumnKey, Resolution
from engine.history.duckdb_store import DuckDbHistory
from engine.history.import_series import ImportOptions
from engine.history.query_errors import BusyError, QueryError
from engine.history.store import Batch
from engine.runtime import import_desk
from engine.runtime.history_import import ImportAsked
from engine.runtime.import_desk import ImportDesk, ImportState
from tests.support.history_data import samples

SITE = "site-1"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVER = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbHistory]:
    with DuckDbHistory(tmp_path / "hot.duckdb") as history:
        yield history


@pytest.fixture
def told() -> list[tuple[str, str, str]]:
    return []


@pytest.fixture
def desk(
    store: DuckDbHistory, tmp_path: Path, told: list[tuple[str, str, str]]
) -> Iterator[ImportDesk]:
    made = ImportDesk(
        store, load_config(tmp_path / "config"), tmp_path / "imports", lambda: NOW,
        lambda *event: told.append(event),
    )  # fmt: skip
    yield made
    made.stop(10.0)


def quarters(days: int = 20) -> bytes:
    index = pd.date_range("2026-10-01T00:00Z", periods=96 * days, freq="15min")
    text = pd.DataFrame({"ts": index, "load_kw": 20.0, "Preis [EUR/MWh]": 95.0}).to_csv(index=False)
    return str(text).encode()


def asked(path: Path, mapping: str | None = None) -> ImportAsked:
    return ImportAsked(path, ImportOptions(zone=ZoneInfo("Europe/Vienna"), now=NOW), mapping)


def ended(desk: ImportDesk) -> ImportState:
    assert desk.wait(240.0)
    return desk.states()[-1]


def test_a_file_is_kept_looked_at_checked_and_imported(
    desk: ImportDesk, store: DuckDbHistory, tmp_path: Path, told: list[tuple[str, str, str]]
) -> None:
    path = desk.keep("../../C:\\data\\past year.csv", [quarters()])
    assert path.name == "past year.csv"
    assert desk.kept(path.parent.name) == path
    preview = desk.preview(asked(path))
    assert preview.table.columns == ("ts", "load_kw", "Preis [EUR/MWh]")
    assert len(preview.table.rows) == 50
    assert [m.target for m in preview.mapping] == ["ts", "load_kw", "spot_eur_per_kwh"]

    desk.start(asked(path), dry_run=True)
    checked = ended(desk)
    assert (checked.state, checked.report and checked.report.samples.rows) == ("done", 28_800)
    assert store.counts()["samples"] == 0
    assert not told

    # the program's own rows are stored meanwhile, from its own thread
    stop, own = threading.Event(), 0

    def measure() -> None:
        nonlocal own
        while not stop.is_set():
            start = NOW + timedelta(seconds=20 * own)
            store.write(Batch(samples=tuple(samples(start, start + timedelta(seconds=20)))))
            own += 1

    writer = threading.Thread(target=measure)
    writer.start()
    desk.start(asked(path))
    done = ended(desk)
    stop.set()
    writer.join()
    assert done.state == "done"
    assert done.report is not None
    assert (done.report.samples.rows, done.report.prices.rows) == (28_800, 1_920)
    assert own > 0
    assert done.progress.step == "roll_ups"
    assert not path.exists()
    assert told == [
        ("info", "history_imported", "past year.csv was imported: 28800 minutes and 1920 prices.")
    ]
    found = store.columns(SITE, (ColumnKey("load_kw"),), *EVER, Resolution.QUARTER_HOUR)
    assert (found.values[ColumnKey("load_kw")] == 20.0).sum() == 1_920
    assert {p.source for p in store.prices(SITE, *EVER)} == {"import:past year.csv"}


def test_a_wrong_file_is_refused_and_can_be_tried_again(
    desk: ImportDesk, store: DuckDbHistory
) -> None:
    text = b"when;use\n2026-10-01T00:00Z;1,5\n2026-10-01T00:15Z;x\n2026-10-01T00:30Z;2,5\n"
    path = desk.keep("x.csv", [text])
    preview = desk.preview(asked(path))
    assert preview.mapping == ()
    assert "No column with a time is recognised" in str(preview.doubt)
    desk.start(asked(path))
    assert ended(desk).state == "refused"
    desk.start(asked(path, "when=ts,use=load_kw:kW"))
    refused = ended(desk)
    assert (refused.state, refused.problem_count) == ("refused", 1)
    assert (refused.problems[0].row, refused.problems[0].column) == (3, "use")
    assert store.counts()["samples"] == 0
    assert path.exists()


def test_one_at_a_time_and_cancelled_when_asked(desk: ImportDesk, store: DuckDbHistory) -> None:
    path = desk.keep("long.csv", [quarters(20)])
    desk.start(asked(path))
    with pytest.raises(BusyError):
        desk.start(asked(path))
    desk.cancel()
    assert ended(desk).state == "cancelled"
    # what was written stays, and importing again completes it
    desk.start(asked(path))
    assert ended(desk).state == "done"
    assert store.counts()["samples"] == 28_800
    assert [state.number for state in desk.states()] == [1, 2]


def test_files_that_cannot_be_kept(
    desk: ImportDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_desk, "MOST_UPLOAD_BYTES", 1_000)
    with pytest.raises(QueryError, match="more than"):
        desk.keep("x.csv", [b"x" * 600, b"x" * 600])
    with pytest.raises(QueryError, match="no name"):
        desk.keep("../..", [b"x"])
    assert not list((tmp_path / "imports").glob("*/*"))
    for token in ("0" * 16, "../config", ""):
        with pytest.raises(QueryError, match="not here any more"):
            desk.kept(token)
    kept = [desk.keep(f"{k}.csv", [b"x"]) for k in range(11)]
    assert sum(path.exists() for path in kept) == 10
    # a refusal of what is no table
    path = desk.keep("x.parquet", [b"x"])
    with pytest.raises(QueryError, match="Parquet"):
        desk.preview(asked(path))
    desk.stop(1.0)
    assert not (tmp_path / "imports").exists()
