from __future__ import annotations

import base64
import csv
import io
import json
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
import pytest

from engine.analytics.backtest.evaluate import evaluate
from engine.audit.opening import open_audit
from engine.audit.reading import AuditQuery, read_page
from engine.audit.trail import Origin, acting
from engine.config.described_site import site_from
from engine.config.load import parse_config
from engine.domain.errors import BacktestError
from engine.recorded.library import PRICE_YEARS, SITES
from engine.recorded.recording import Recording
from engine.runtime.backtests.desk import (
    MOST_WAITING,
    BacktestBusyError,
    BacktestDesk,
    NoSuchBacktestError,
)
from engine.runtime.backtests.folders import read_case, write_case
from engine.runtime.backtests.request import parse_request
from engine.runtime.backtests.sources import BacktestSources
from tests.support.backtest_cases import case
from tests.support.backtest_desk import AWAKE, WAITS, SmallCases, ended, script, wait

ASKED = {"name": "Test", "strategies": ["self_consumption_rule", "timer"]}


@pytest.fixture
def waiting(tmp_path: Path) -> BacktestDesk:
    return BacktestDesk(tmp_path / "backtests", SmallCases(), command=script(WAITS))


def test_a_real_process_computes_what_the_lab_does(tmp_path: Path) -> None:
    desk = BacktestDesk(tmp_path / "backtests", SmallCases(), command=script(AWAKE))
    sizing = {"energies_kwh": [50, 100], "powers_kw": [50.0]}
    state = desk.start({**ASKED, "sizing": sizing}, by="anna")
    assert state.by == "anna"
    state = wait(desk, state.id, ended)
    assert (state.state, state.error) == ("done", None)
    assert state.share == 1.0
    result = desk.result(state.id)
    assert result is not None
    assert result["partial"] is False
    by_key = {entry["key"]: entry for entry in result["strategies"]}
    assert list(by_key) == [
        "none",
        "co_optimised:perfect",
        "self_consumption_rule",
        "timer",
    ]
    small = case(days=3)
    for policy in parse_request(ASKED).policies():
        expected = evaluate(small, policy)
        found = by_key[policy.strategy]
        assert found["saving_eur"] == pytest.approx(expected.saving_eur)
        assert sum(found["daily_saving_eur"]) == pytest.approx(expected.saving_eur, abs=1e-3)
        assert found["capture"] < 1.0
    assert len(result["sizing"]["points"]) == 2
    assert result["sizing"]["best"] in ([50.0, 50.0], [100.0, 50.0])
    table = pq.read_table(desk.traces(state.id))
    assert table.num_rows == 4 * small.n
    rows = list(csv.reader(io.StringIO(b"".join(desk.csv(state.id)).decode())))
    assert len(rows) == 4 * small.n + 1
    assert rows[0][:2] == ["ts_utc", "strategy"]
    assert rows[1][0].endswith("Z")
    # A new start of the program still has it; then it is deleted.
    again = BacktestDesk(tmp_path / "backtests", SmallCases())
    assert again.result(state.id) == result
    assert again.rename(state.id, "  Other   name ").name == "Other name"
    again.remove(state.id)
    assert again.list() == ()
    assert not (tmp_path / "backtests" / state.id).exists()


def test_the_second_waits_for_the_first(waiting: BacktestDesk) -> None:
    first = waiting.start(ASKED)
    second = waiting.start(ASKED)
    assert (first.state, second.state) == ("running", "queued")
    wait(waiting, first.id, lambda state: state.share == 0.25)
    assert [state.id for state in waiting.list()] == [second.id, first.id]
    assert waiting.remove(first.id).state == "cancelled"
    wait(waiting, second.id, lambda state: state.state == "running")
    assert waiting.state(first.id).finished_at is not None
    waiting.stop()
    assert waiting.state(second.id).state == "interrupted"


def test_too_many_are_refused_with_the_remedy(waiting: BacktestDesk) -> None:
    for _ in range(MOST_WAITING + 1):
        waiting.start(ASKED)
    with pytest.raises(BacktestBusyError, match="are waiting already"):
        waiting.start(ASKED)
    waiting.stop()


def test_what_ran_when_the_program_ended_is_interrupted(tmp_path: Path) -> None:
    folder = tmp_path / "backtests"
    before = BacktestDesk(folder, SmallCases(), command=script(WAITS))
    running, queued = before.start(ASKED), before.start(ASKED)
    # As after kill -9: nobody had time to write anything.
    after = BacktestDesk(folder, SmallCases(), command=script(WAITS))
    assert after.state(running.id).state == "interrupted"
    assert after.state(queued.id).state == "interrupted"
    (folder / running.id / "status.json").write_text("{torn")
    assert len(BacktestDesk(folder, SmallCases()).list()) == 1
    before.stop()


def test_a_process_ends_with_the_program(tmp_path: Path) -> None:
    """The work notices that its standard input has ended."""
    desk = BacktestDesk(tmp_path / "backtests", SmallCases(), command=script(WAITS))
    state = desk.start(ASKED)
    wait(desk, state.id, lambda s: s.share == 0.25)
    process = desk._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(30) == 0
    desk.stop()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import os; os._exit(9)", "ended unexpectedly (code 9)"),
        (
            "import json,sys; print(json.dumps({'error': {'message': 'No tariff.', 'hint': 'Add "
            "one.'}})); sys.exit(1)",
            "No tariff.",
        ),
    ],
)
def test_a_failure_says_why(tmp_path: Path, text: str, said: str) -> None:
    desk = BacktestDesk(tmp_path / "backtests", SmallCases(), command=script(text))
    state = wait(desk, desk.start(ASKED).id, ended)
    assert state.state == "failed"
    assert said in (state.error or "")
    assert state.hint
    assert desk.result(state.id) is None


def test_ids_are_no_paths(waiting: BacktestDesk) -> None:
    for bad in ("..", "../../etc", "x", "20260101-000000-abcdef"):
        with pytest.raises(NoSuchBacktestError):
            waiting.result(bad)
        with pytest.raises(NoSuchBacktestError):
            waiting.remove(bad)


@pytest.mark.parametrize(
    ("asked", "field", "said"),
    [
        ({"strategies": ["gambling"]}, "strategies", "no strategy 'gambling'"),
        ({"strategies": []}, "strategies", "at least 1 item"),
        ({"bess": {"energy_capacity_kwh": -1}}, "bess.energy_capacity_kwh", "greater than 0"),
        ({"tariff": {"grid_fee": 1}}, "tariff.grid_fee", "not permitted"),
        ({"data": {"source": "upload"}}, "data.files", "belong together"),
        ({"data": {"start": "2026-02-01", "end": "2026-01-01"}}, "data.end", "before it begins"),
        ({"data": {"start": "1999-01-01"}}, "data.start", "Nothing is known of 1999"),
        ({"studies": {"montecarlo": {}}}, "studies.montecarlo", "no whole week"),
        ({"strategies": ["timer"], "studies": {"forecast": {}}}, "strategies", "fixed rules"),
        (
            {
                "strategies": ["timer"],
                "sizing": {"energies_kwh": [50.0], "powers_kw": [50.0], "foresight": False},
            },
            "strategies",
            "fixed rules",
        ),
    ],
)
def test_a_mistake_names_its_field(
    waiting: BacktestDesk, asked: dict[str, object], field: str, said: str
) -> None:
    with pytest.raises(BacktestError, match=said) as caught:
        waiting.start({**ASKED, **asked})
    assert caught.value.field == field
    assert caught.value.hint
    assert waiting.list() == ()


def test_a_case_survives_its_files(tmp_path: Path) -> None:
    small = case(days=2)
    write_case(tmp_path, small)
    assert read_case(tmp_path).key() == small.key()
    assert json.loads((tmp_path / "case.json").read_text())["site"]["site_id"] == "bt"


@pytest.fixture(scope="module")
def sources() -> BacktestSources:
    config = parse_config("tariff: {grid_fee_eur_per_kwh: 0.06}")
    recording = Recording()
    return BacktestSources(
        lambda: config,
        site_from(config),
        None,  # type: ignore[arg-type]
        lambda: recording,
        lambda: datetime(2026, 6, 1, tzinfo=UTC),
    )


def test_the_recorded_site_has_its_past_and_its_edges(sources: BacktestSources) -> None:
    first, last = sources.recorded_days()["at_2025_26"]
    made = sources.case(
        parse_request({"data": {"start": "2026-03-02", "end": "2026-03-08"}, "bess": {}})
    )
    assert made.n == 7 * 96
    assert made.first == 35 * 96
    assert any("AEW" in note for note in made.series.notes)
    with pytest.raises(BacktestError, match="are known from"):
        sources.case(parse_request({"data": {"start": str(first - timedelta(days=1))}}))
    assert sources.defaults().recorded["at_2025_26"] == (first, last)
    assert sources.defaults().history[1] == date(2026, 5, 31)


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("year", PRICE_YEARS)
def test_every_recorded_site_is_offered_under_every_price_year(
    sources: BacktestSources, site: str, year: str
) -> None:
    first, last = sources.recorded_days()[year]
    days = {"start": str(last - timedelta(days=6)), "end": str(last)}
    made = sources.case(parse_request({"data": {"site": site, "prices": year, **days}}))
    assert made.n == 7 * 96
    assert made.series.load_kw.max() > 20.0
    assert SITES[site].source in " ".join(made.series.notes)
    whole = sources.case(parse_request({"data": {"site": site, "prices": year}}))
    assert (whole.end - whole.start).days > 280
    assert whole.start.astimezone(ZoneInfo("Europe/Vienna")).date() == first
    assert whole.first == round((whole.start - whole.series.start).total_seconds() / 900)


def test_uploaded_files_are_read_or_refused_by_row(sources: BacktestSources) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    lines = ["ts_utc,price_eur_per_mwh,load_kw"]
    lines += [
        f"{(start + k * timedelta(minutes=15)).isoformat()},{50 + k % 7},{20 + k % 5}"
        for k in range(3 * 96)
    ]

    def ask(rows: list[str]) -> dict[str, object]:
        content = base64.b64encode("\n".join(rows).encode()).decode()
        file = {"name": "../my data.csv", "content_base64": f"data:text/csv;base64,{content}"}
        return {"data": {"source": "upload", "files": [file]}}

    made = sources.case(parse_request(ask(lines)))
    assert made.n == 3 * 96
    assert np.allclose(made.series.load_kw[:3], [20, 21, 22])
    lines[10] = lines[10].rpartition(",")[0] + ",abc"
    with pytest.raises(BacktestError, match=r"row 1[01].*abc"):
        sources.case(parse_request(ask(lines)))
    bad = {"data": {"source": "upload", "files": [{"name": "x.csv", "content_base64": "%%%"}]}}
    with pytest.raises(BacktestError, match="not base64"):
        sources.case(parse_request(bad))


def test_the_work_has_the_lowest_priority() -> None:
    from engine.runtime.backtests import work

    assert work.NICENESS >= 10
    assert os.getpriority(os.PRIO_PROCESS, 0) <= work.NICENESS


def test_the_audit_log_says_who_began_cancelled_and_deleted_a_backtest(tmp_path: Path) -> None:
    audit = open_audit(tmp_path / "config", tmp_path / "data")
    desk = BacktestDesk(tmp_path / "b", SmallCases(), command=script(WAITS), trail=audit)
    with acting(Origin("anna", "session", "192.0.2.7")):
        number = desk.start(ASKED, by="anna").id
        desk.rename(number, "Winter")
        desk.remove(number)
        desk.remove(number)
        with pytest.raises(NoSuchBacktestError):
            desk.remove(number)
    desk.stop()
    page = read_page(tmp_path / "data" / "audit", AuditQuery(limit=10))
    entries = [e for e in reversed(page.entries) if e.action.startswith("backtest.")]
    assert [(e.action, e.target, e.actor, e.address) for e in entries] == [
        (f"backtest.{what}", number, "anna", "192.0.2.7")
        for what in ("start", "rename", "cancel", "delete")
    ]
