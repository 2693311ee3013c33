"""Series, SQL and exports over HTTP: complete, guarded, in one error shape."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
from flask.testing import FlaskClient

from ems_dash.api.history_routes import EXPORT_NUMBER, register_history_api
from engine.history.duckdb_store import DuckDbHistory
from engine.runtime.history_desk import HistoryDesk
from tests.support.access import open_flask
from tests.support.history_data import SITE, START, fill

PERIOD = {"from": "2026-11-23T11:00:00+01:00", "to": "2026-11-23T13:00:00+01:00"}


class Services:
    """A site with two hours of history."""

    def __init__(self, store: DuckDbHistory) -> None:
        self.history = HistoryDesk(store, SITE, "Europe/Vienna", self.now)

    def snapshot(self) -> Any:
        return SimpleNamespace(site=SimpleNamespace(site_id=SITE))

    def now(self) -> datetime:
        return START + timedelta(hours=2)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with DuckDbHistory(tmp_path_factory.mktemp("history") / "hot.duckdb") as store:
        fill(store)
        yield Services(store)


@pytest.fixture
def client(services: Services) -> Iterator[FlaskClient]:
    server = open_flask()
    register_history_api(server, services)  # type: ignore[arg-type]
    with server.test_client() as client:
        yield client


def refused(client: FlaskClient, path: str, status: int = 400, **query: str) -> dict[str, Any]:
    answer = client.get(path, query_string=query)
    assert answer.status_code == status, answer.data[:200]
    assert set(answer.json) == {"error"}
    assert set(answer.json["error"]) == {"code", "message", "field", "hint"}
    error: dict[str, Any] = answer.json["error"]
    return error


def test_series_for_a_chart(client: FlaskClient) -> None:
    answer = client.get(
        "/api/series",
        query_string=PERIOD | {"signals": "load_kw, price:buy_eur_per_kwh", "max_points": "100"},
    )
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json
    assert (body["from"], body["resolution"]) == ("2026-11-23T10:00:00.000Z", "raw")
    load, price = body["series"]
    assert (load["name"], load["unit"], load["stepped"], load["n"]) == (
        "load_kw", "kW", False, 3600,
    )  # fmt: skip
    assert len(load["ts"]) == len(load["values"]) <= 100
    assert load["ts"][0] == "2026-11-23T10:00:00.000Z"
    assert max(load["values"]) == pytest.approx(40.0, abs=0.01)
    assert load["statistics"]["coverage"] == pytest.approx(1.0, abs=0.01)
    assert price["stepped"]
    assert len(price["values"]) == 8
    week = client.get(
        "/api/series",
        query_string=PERIOD
        | {"signals": "load_kw", "compare": "week", "statistics": "0", "resolution": "15min"},
    ).json
    assert week["earlier_from"] == "2026-11-16T10:00:00.000Z"
    assert week["earlier"][0]["values"] == []
    assert week["series"][0]["statistics"] is None
    assert len(week["series"][0]["low"]) == 8
    # without a period the last day is meant
    assert client.get("/api/series?signals=load_kw").json["series"][0]["n"] == 3600


def test_mistakes_in_a_question_name_the_field(client: FlaskClient) -> None:
    for query, field in (
        ({}, "signals"),
        ({"signals": "nothing"}, "signals"),
        ({"signals": "load_kw", "from": "yesterday"}, "from"),
        ({"signals": "load_kw", "to": "2026-11-23T10:00:00"}, "to"),
        ({"signals": "load_kw", "resolution": "2min"}, "resolution"),
        ({"signals": "load_kw", "aggregation": "sum"}, "aggregation"),
        ({"signals": "load_kw", "max_points": "1000000"}, "max_points"),
        ({"signals": "load_kw", "compare": "century"}, "compare"),
        ({"signals": "load_kw", "from": "2027-01-01T00:00:00Z"}, "to"),
    ):
        assert refused(client, "/api/series", **query)["field"] == field
    assert refused(client, "/api/series", 404, site="elsewhere")["code"] == "unknown_site"
    for path, field in (
        ("/api/export/nothing.csv", "dataset"),
        ("/api/export/ledger.doc", "format"),
        ("/api/export/ledger.csv", "from"),
        ("/api/export/sql.csv", "sql"),
    ):
        assert refused(client, path)["field"] == field
    assert refused(client, "/api/export/series.csv", **PERIOD)["field"] == "signals"


def test_a_statement_and_what_is_refused(client: FlaskClient) -> None:
    def ask(body: Any, **headers: str) -> Any:
        return client.post("/api/sql", json=body, headers=headers)

    answer = ask({"sql": "SELECT ts, cost_eur, pv_kwh, method FROM ledger ORDER BY ts", "rows": 2})
    assert answer.status_code == 200
    assert answer.json["rows"][0] == ["2026-11-23T10:00:00", pytest.approx(1.1), None, "counters"]
    assert answer.json["truncated"] is True
    assert answer.json["columns"][1] == {"name": "cost_eur", "type": "DOUBLE"}
    odd = "SELECT 'NaN'::DOUBLE, [1, 2], INTERVAL 90 MINUTE, 1.5::DECIMAL(4,2), NULL, true"
    assert ask({"sql": odd}).json["rows"] == [[None, [1, 2], "P0M0DT5400S", 1.5, None, True]]
    wrong = ask({"sql": "SELECT nope FROM ledger"})
    assert wrong.status_code == 400
    assert wrong.json["error"]["code"] == "sql_refused"
    assert "line 1, column 8" in wrong.json["error"]["message"]
    assert ask({"sql": "DROP TABLE h.samples"}).status_code == 400
    assert ask({"statement": "SELECT 1"}).json["error"]["field"] == "sql"
    assert ask({"sql": "SELECT 1", "rows": 10**9}).json["error"]["field"] == "rows"


def test_an_export_streams_as_a_file_and_tells_how_far_it_is(client: FlaskClient) -> None:
    answer = client.get(
        "/api/export/ledger.csv", query_string=PERIOD | {"profile": "excel_de", "comments": "1"}
    )
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert 'filename="ems_ledger_20261123_20261123.csv"' in answer.headers["Content-Disposition"]
    assert answer.data.startswith(b"\xef\xbb\xbf# dataset: ledger\r\n")
    assert answer.data.endswith(b"# rows: 8\r\n")
    number = int(answer.headers[EXPORT_NUMBER])
    states = {one["number"]: one for one in client.get("/api/exports").json["exports"]}
    assert (states[number]["state"], states[number]["rows"]) == ("done", 8)
    parquet = client.get("/api/export/events.parquet", query_string=PERIOD)
    assert pq.read_table(io.BytesIO(parquet.data)).num_rows == 2
    sheet = client.get("/api/export/runs.xlsx", query_string=PERIOD)
    assert sheet.data[:2] == b"PK"
    rows = list(csv.reader(io.StringIO(client.get("/api/export/sql.csv?sql=SELECT+1+AS+one").text)))
    assert rows == [["one"], ["1"]]
    about = client.get("/api/export/ledger.csv/about", query_string=PERIOD).json
    assert about["time_zone"] == "Europe/Vienna"


def test_two_exports_run_at_once_and_one_that_nobody_takes_ends(
    client: FlaskClient, services: Services
) -> None:
    kept = [client.get("/api/export/ledger.csv", query_string=PERIOD) for _ in range(2)]
    third = client.get("/api/export/ledger.csv", query_string=PERIOD)
    assert third.status_code == 429
    assert third.json["error"]["code"] == "rate_limited"
    for answer in kept:
        answer.close()
    assert client.get("/api/export/ledger.csv", query_string=PERIOD).data.count(b"\n") == 9
    assert "ended" in {one.state for one in services.history.exports()}
