"""Rows as CSV and Parquet say what the JSON of the same route says."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest
from flask.testing import FlaskClient

from tests.support.login import bearer
from tests.support.whole_program import Program

ROUTES = {
    "/api/plan": ("steps", {"battery_kw", "soc_percent", "price_is_forecast"}),
    "/api/forecast": ("forecasts", {"signal", "p10", "p50", "p90", "known"}),
    "/api/prices": ("prices", {"spot_eur_per_kwh", "source"}),
    "/api/monitoring/telemetry": ("cycles", {"soc_percent", "load_kw"}),
    "/api/history/events": ("events", {"severity", "code", "message"}),
    "/api/history/optimization": ("runs", {"trigger", "status", "duration_ms"}),
    "/api/history/state": ("ts", {"state"}),
    "/api/analytics/daily": ("days", {"closed"}),
    "/api/analytics/savings": ("quarters", {"import_kwh", "energy_eur"}),
    "/api/analytics/attribution": ("by_day", {"gap_eur"}),
}


@pytest.fixture
def client(served: tuple[str, Program]) -> FlaskClient:
    client = served[1].server.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = bearer()["Authorization"]
    return client


@pytest.mark.parametrize("path", ROUTES)
def test_csv_and_parquet_have_the_rows_of_json(client: FlaskClient, path: str) -> None:
    key, columns = ROUTES[path]
    told = client.get(path).get_json()[key]
    n = sum(len(one["p50"]) for one in told) if path == "/api/forecast" else len(told)
    text = client.get(f"{path}.csv")
    assert text.mimetype == "text/csv"
    assert "attachment" in text.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(text.get_data(as_text=True))))
    # telemetry goes on between two requests
    assert abs(len(rows) - n) <= (5 if "telemetry" in path else 0)
    head = text.get_data(as_text=True).partition("\n")[0].replace('"', "").split(",")
    assert columns <= set(head)
    table = pq.read_table(io.BytesIO(client.get(f"{path}.parquet").data))
    assert abs(table.num_rows - n) <= (5 if "telemetry" in path else 0)
    assert columns <= set(table.column_names)
    by_accept = client.get(path, headers={"Accept": "text/csv"})
    assert by_accept.mimetype == "text/csv"
    assert by_accept.get_data(as_text=True).partition("\n")[0].replace('"', "").split(",") == head


def test_numbers_and_times_are_those_of_json(client: FlaskClient) -> None:
    steps = client.get("/api/plan").get_json()["steps"]
    table = pq.read_table(io.BytesIO(client.get("/api/plan.parquet").data))
    assert table.column("battery_kw").to_pylist() == [step["battery_kw"] for step in steps]
    assert table.column("price_is_forecast").to_pylist() == [s["price_is_forecast"] for s in steps]
    first = table.column("ts").to_pylist()[0]
    assert first.astimezone(UTC) == datetime.fromisoformat(steps[0]["ts"])
    assert table.schema.field("battery_kw").metadata[b"unit"] == b"kW"
    german = client.get("/api/plan.csv?profile=excel_de").get_data(as_text=True)
    assert german.startswith("\ufeff")
    assert ";" in german.splitlines()[1]


def test_long_lists_come_in_pages(client: FlaskClient) -> None:
    everything = client.get("/api/history/events").get_json()
    assert everything["total"] >= 2
    assert everything["next"] is None
    first = client.get("/api/history/events?limit=1").get_json()
    assert first["events"] == everything["events"][:1]
    second = client.get(first["next"]).get_json()
    assert second["events"] == everything["events"][1:2]
    for query in ("limit=0", "limit=5001", "offset=-1", "hours=0", "severity=odd"):
        refused = client.get(f"/api/history/events?{query}")
        assert refused.get_json()["error"]["field"] == query.partition("=")[0]


def test_the_plan_is_not_sent_again_while_it_is_in_force(client: FlaskClient) -> None:
    for path in ("/api/plan", "/api/forecast", "/api/plan.csv"):
        tag = client.get(path).headers["ETag"]
        assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
