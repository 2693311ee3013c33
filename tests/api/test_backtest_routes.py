from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flask.testing import FlaskClient

from ems_dash.api.backtest_routes import register_backtest_api
from ems_dash.i18n.backtest_said import assumed
from engine.analytics.backtest.evaluate import NO_BATTERY, PERFECT, assumptions, evaluate
from engine.analytics.backtest.policy import Policy
from engine.analytics.backtest.prepared import prepare
from engine.analytics.studies.finance import Investment
from engine.analytics.studies.run import run_units
from engine.analytics.studies.sizing import sizing_map, sizing_units
from engine.runtime.backtests.desk import BacktestDesk
from engine.runtime.backtests.result_document import Written, sizing_document
from tests.support.access import AS_OPERATOR, AS_VIEWER, open_flask
from tests.support.backtest_cases import SITE, case
from tests.support.backtest_desk import WAITS, SmallCases, ended, script, wait

ASKED = {"name": "Über <b>alles</b>", "strategies": ["self_consumption_rule"]}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[BacktestDesk]:
    made = BacktestDesk(tmp_path / "backtests", SmallCases(), command=script(WAITS))
    yield made
    made.stop()


@pytest.fixture
def client(desk: BacktestDesk) -> FlaskClient:
    server = open_flask()
    services: Any = SimpleNamespace(backtests=desk, snapshot=lambda: SimpleNamespace(site=SITE))
    register_backtest_api(server, services)
    return server.test_client()


def test_a_backtest_is_started_followed_cancelled_and_deleted(
    client: FlaskClient, desk: BacktestDesk
) -> None:
    begun = client.post("/api/backtests", json=ASKED, headers=AS_OPERATOR)
    assert begun.status_code == 202
    number = begun.json["id"]  # type: ignore[index]
    assert begun.json["by"] == "tester"  # type: ignore[index]
    found = client.get(f"/api/backtests/{number}", headers=AS_VIEWER).json
    assert found["backtest"]["state"] == "running"  # type: ignore[index]
    assert found["result"] is None  # type: ignore[index]
    listed = client.get("/api/backtests", headers=AS_VIEWER).json
    assert [one["id"] for one in listed["backtests"]] == [number]  # type: ignore[index]
    assert client.get(f"/api/backtests/{number}/report.html").status_code == 400
    assert client.get(f"/api/backtests/{number}/traces.csv").status_code == 404
    cancelled = client.delete(f"/api/backtests/{number}", headers=AS_OPERATOR)
    assert cancelled.json["state"] == "cancelled"  # type: ignore[index]
    wait(desk, number, ended)
    assert client.delete(f"/api/backtests/{number}", headers=AS_OPERATOR).status_code == 200
    assert client.get(f"/api/backtests/{number}").status_code == 404


def test_viewers_only_read(client: FlaskClient) -> None:
    refused = client.post("/api/backtests", json=ASKED, headers=AS_VIEWER)
    assert refused.status_code == 403
    assert client.delete("/api/backtests/x", headers=AS_VIEWER).status_code == 403
    assert client.get("/api/backtests", headers=AS_VIEWER).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"nonsense", None),
        (b"[]", None),
        (b'{"strategies": ["x"]}', "strategies"),
        (b'{"data": {"source": "moon"}}', "data.source"),
        (b'{"colour": 1}', "colour"),
    ],
)
def test_mistakes_have_the_one_shape(client: FlaskClient, body: bytes, field: str | None) -> None:
    answer = client.post(
        "/api/backtests", data=body, headers=AS_OPERATOR, content_type="application/json"
    )
    assert answer.status_code == 400
    error = answer.json["error"]  # type: ignore[index]
    assert error["field"] == field
    assert error["hint"]
    assert client.get("/api/backtests?site=other").status_code == 404


def test_too_many_are_told_to_come_again(client: FlaskClient) -> None:
    codes = [
        client.post("/api/backtests", json=ASKED, headers=AS_OPERATOR).status_code for _ in range(7)
    ]
    assert codes == [202] * 6 + [429]


def finished(desk: BacktestDesk, folder: Path) -> str:
    """Write the result of a small backtest as its process does; return its id."""
    state = desk.start(ASKED)
    small = case(days=3)
    prepared = prepare(small)
    written = Written(folder / state.id, prepared)
    written.assume(assumptions(prepared))
    for policy in (NO_BATTERY, PERFECT, Policy("self_consumption_rule"), Policy("timer")):
        written.add(evaluate(small, policy, perfect_saving_eur=100.0))
    units = sizing_units(small, PERFECT, [50.0, 100.0], [25.0])
    found = sizing_map(units, run_units(units).outcomes, Investment())
    written.size(sizing_document(found, PERFECT, Investment(), partial=False))
    written.finish()
    return state.id


def test_result_report_and_files(client: FlaskClient, desk: BacktestDesk, tmp_path: Path) -> None:
    number = finished(desk, tmp_path / "backtests")
    result = client.get(f"/api/backtests/{number}").json["result"]  # type: ignore[index]
    assert [entry["key"] for entry in result["strategies"]] == [
        "none",
        "co_optimised:perfect",
        "self_consumption_rule",
        "timer",
    ]
    csv = client.get(f"/api/backtests/{number}/traces.csv")
    assert csv.headers["Content-Disposition"].endswith(f'backtest_{number}.csv"')
    assert len(csv.text.splitlines()) == 4 * 3 * 96 + 1
    parquet = client.get(f"/api/backtests/{number}/traces.parquet")
    table = pq.read_table(pa.BufferReader(parquet.data))
    assert set(table.column("strategy").unique().to_pylist()) == {
        entry["key"] for entry in result["strategies"]
    }
    for lang, words in (("de", "Grenzen der Aussage"), ("en", "Limits of the claim")):
        report = client.get(f"/api/backtests/{number}/report.html?lang={lang}").text
        assert words in report
        assert "Über &lt;b&gt;alles&lt;/b&gt;" in report
        assert "<b>alles" not in report
        # Self-contained: nothing is fetched.
        assert "src=" not in report
        assert "http" not in report.replace("http-equiv", "")
        for text in result["assumptions"][:2]:
            assert assumed(text, lang)[0][:30] in report
    assert json.dumps(result)
