"""Price sources against a real web server that misbehaves in every way a host can."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from engine.domain.clock import ManualClock, SystemClock
from engine.domain.errors import FetchError
from engine.fetching.cache import DiskCache
from engine.fetching.http import HttpLimits, RequestsGetter
from engine.fetching.refresher import BackgroundRefresher
from engine.market.awattar import Awattar
from engine.market.energy_charts import EnergyCharts
from engine.market.entsoe import Entsoe
from engine.market.live_prices import LivePrices
from tests.support.api_replies import (
    energy_charts,
    entsoe_document,
    entsoe_nothing,
    entsoe_series,
    recorded,
)
from tests.support.http_server import Answer, WebServer, as_json

VIENNA = ZoneInfo("Europe/Vienna")
START = datetime(2025, 10, 25, 22, tzinfo=UTC)
END = START + timedelta(hours=25)
NOON = datetime(2025, 10, 26, 9, tzinfo=UTC)
LIMITS = HttpLimits(connect_s=2.0, read_s=2.0, total_s=5.0, max_bytes=200_000)
TOKEN = "S3cr3t-t0ken"


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def http(clock: ManualClock) -> RequestsGetter:
    return RequestsGetter(clock, LIMITS)


def awattar(server: WebServer, http: RequestsGetter, clock: ManualClock) -> Awattar:
    return Awattar("AT", http, clock, zone=VIENNA, base_url=server.url)


def charts(server: WebServer, http: RequestsGetter, clock: ManualClock) -> EnergyCharts:
    return EnergyCharts("AT", http, clock, zone=VIENNA, base_url=server.url)


def entsoe(
    server: WebServer, http: RequestsGetter, clock: ManualClock, token: str = TOKEN
) -> Entsoe:
    environ = {"EMS_ENTSOE_TOKEN": token}
    return Entsoe("AT", http, clock, zone=VIENNA, base_url=server.url, environ=environ)


# -- what is asked -------------------------------------------------------------------------


def test_awattar_is_always_asked_with_start_and_end(
    server: WebServer, http: RequestsGetter, clock: ManualClock
) -> None:
    server.answers["/v1/marketdata"] = as_json(recorded("awattar_at_2025-10-26"))
    fetched = awattar(server, http, clock).fetch(START, END)
    assert server.requests == [
        ("/v1/marketdata", {"start": "1761429600000", "end": "1761519600000"})
    ]
    assert len(fetched.intervals) == 24
    assert fetched.source == "awattar_at"
    assert fetched.fetched_at == NOON
    assert fetched.problems == ("2025-10-26: 96 of 100 quarter-hours have a price",)


def test_a_reply_that_reaches_into_the_next_day_is_cut(
    server: WebServer, http: RequestsGetter, clock: ManualClock
) -> None:
    server.answers["/v1/marketdata"] = as_json(recorded("awattar_at_2026-03-29"))
    start = datetime(2026, 3, 28, 23, tzinfo=UTC)
    fetched = awattar(server, http, clock).fetch(start, start + timedelta(hours=23))
    assert len(fetched.intervals) == 23
    assert fetched.problems == ()


def test_energy_charts_is_asked_for_local_days(
    server: WebServer, http: RequestsGetter, clock: ManualClock
) -> None:
    server.answers["/price"] = as_json(energy_charts("quarters_at_2025-10-26"))
    fetched = charts(server, http, clock).fetch(START, END)
    assert server.requests == [
        ("/price", {"bzn": "AT", "start": "2025-10-26", "end": "2025-10-26"})
    ]
    assert len(fetched.intervals) == 100
    assert fetched.problems == ()


def test_entsoe_gets_the_token_and_shows_it_to_no_one(
    server: WebServer, http: RequestsGetter, clock: ManualClock
) -> None:
    prices = [float(p) for p in energy_charts("quarters_at_2025-10-26")["price"]]
    server.answers["/api"] = Answer(entsoe_document(entsoe_series(START, prices)))
    fetched = entsoe(server, http, clock).fetch(START, END)
    _, query = server.requests[0]
    assert query == {
        "documentType": "A44",
        "in_Domain": "10YAT-APG------L",
        "out_Domain": "10YAT-APG------L",
        "periodStart": "202510252200",
        "periodEnd": "202510262300",
        "securityToken": TOKEN,
    }
    assert len(fetched.intervals) == 100
    assert TOKEN not in fetched.request
    assert TOKEN not in repr(fetched)

    server.answers["/api"] = Answer(entsoe_nothing())
    assert entsoe(server, http, clock).fetch(START, END).intervals == ()


def test_a_missing_token_names_the_variable_and_asks_no_one(
    server: WebServer, http: RequestsGetter, clock: ManualClock
) -> None:
    with pytest.raises(FetchError, match="EMS_ENTSOE_TOKEN") as caught:
        entsoe(server, http, clock, token=" ").fetch(START, END)
    assert caught.value.kind == "not_configured"
    assert server.requests == []


# -- what goes wrong -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "retryable", "words"),
    [
        (Answer(b'{"data": [{"start_ti'), "invalid", False, "no JSON"),
        (Answer(b""), "invalid", False, "is empty"),
        (Answer(b"<!DOCTYPE html><h1>Maintenance</h1>"), "invalid", False, "an HTML page"),
        (Answer(b'{"data": [NaN]}'), "invalid", False, "no JSON"),
        (Answer(b"[" * 100_000), "invalid", False, "no JSON"),
        (Answer(b"\xff\xfe\x00"), "invalid", False, "no JSON"),
        (as_json([1, 2]), "invalid", False, "not an object"),
        (as_json({"data": "none"}), "invalid", False, "not a list"),
        (Answer(b"x" * 300_000), "too_large", False, "larger than 200,000 bytes"),
        (Answer(b"oops", 500), "status", True, "status 500"),
        (Answer(b"", 404), "status", False, "status 404"),
        (as_json({"message": "Invalid key"}, 401), "status", False, "401: Invalid key. Check the"),
        (Answer(b"", 204), "status", False, "status 204"),
        (Answer(drop=True), "unreachable", True, "cannot be reached"),
        (Answer(b"", 302, {"Location": "/v1/marketdata"}), "invalid", False, "redirects more"),
        (Answer(b"x" * 50, 200, {"Content-Encoding": "gzip"}), "invalid", False, "compression"),
        (Answer(b'{"da', 200, {"Content-Length": "999"}), "", None, "127.0.0.1"),
    ],
)
def test_every_bad_answer_becomes_one_clear_error(
    server: WebServer,
    http: RequestsGetter,
    clock: ManualClock,
    answer: Answer,
    kind: str,
    retryable: bool | None,
    words: str,
) -> None:
    server.answers["/v1/marketdata"] = answer
    with pytest.raises(FetchError, match=words) as caught:
        awattar(server, http, clock).fetch(START, END)
    assert caught.value.kind == kind or not kind
    assert caught.value.retryable == retryable or retryable is None


def test_a_server_that_asks_to_wait_is_heard(
    server: WebServer, http: RequestsGetter, clock: ManualClock
) -> None:
    server.answers["/price"] = Answer(b"", 429, {"Retry-After": "90"})
    with pytest.raises(FetchError, match="Too many requests") as caught:
        charts(server, http, clock).fetch(START, END)
    assert caught.value.retryable
    assert caught.value.retry_after_s == 90.0
    server.answers["/price"] = Answer(b"", 503, {"Retry-After": "Sun, 26 Oct 2025 09:10:00 GMT"})
    with pytest.raises(FetchError) as caught:
        charts(server, http, clock).fetch(START, END)
    assert caught.value.retry_after_s == 600.0


@pytest.mark.parametrize("answer", [Answer(silent=True), Answer(b"{}", trickle_s=0.05)])
def test_a_silent_and_a_trickling_server_hold_no_thread(
    server: WebServer, clock: ManualClock, answer: Answer
) -> None:
    # The trickle never pauses as long as the read timeout; only the total limit can end it.
    read_s = 0.2 if answer.silent else 5.0
    http = RequestsGetter(clock, HttpLimits(connect_s=2.0, read_s=read_s, total_s=0.6))
    server.answers["/price"] = answer
    with pytest.raises(FetchError) as caught:
        charts(server, http, clock).fetch(START, END)
    assert caught.value.kind == "timeout"
    assert caught.value.retryable


def test_a_trickling_body_without_length_is_not_taken_for_whole(
    server: WebServer, clock: ManualClock
) -> None:
    http = RequestsGetter(clock, HttpLimits(read_s=5.0, total_s=1.5))
    # Valid JSON from the first byte on: only the end is missing.
    server.answers["/price"] = Answer(b"1" * 5_000, headers={"Content-Length": ""}, trickle_s=0.01)
    with pytest.raises(FetchError) as caught:
        http.get(f"{server.url}/price", {})
    assert caught.value.kind == "timeout"


def test_a_refused_connection_is_said(clock: ManualClock, http: RequestsGetter) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        source = Awattar("AT", http, clock, zone=VIENNA, base_url=url)
        with pytest.raises(FetchError, match="refuses the connection") as caught:
            source.fetch(START, END)
    assert caught.value.kind == "unreachable"


def test_an_address_that_is_none_is_said(clock: ManualClock, http: RequestsGetter) -> None:
    source = Awattar("AT", http, clock, zone=VIENNA, base_url="not an address")
    with pytest.raises(FetchError, match="no usable address"):
        source.fetch(START, END)


# -- keys ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"", 500),
        as_json({"message": f"the token {TOKEN} is unknown"}, 401),
        Answer(drop=True),
        Answer(silent=True),
        Answer(f"<html>{TOKEN}</html>".encode()),
        Answer(b"", 302, {"Location": f"/api?securityToken={TOKEN}"}),
        Answer(b"x", 200, {"broken header without end": "\r\n bad"}),
        Answer(entsoe_nothing(f"the token {TOKEN} is not allowed")),
    ],
)
def test_the_token_is_in_no_message_and_no_log(
    server: WebServer,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
    answer: Answer,
) -> None:
    caplog.set_level(logging.DEBUG)
    http = RequestsGetter(clock, HttpLimits(read_s=0.2, total_s=1.0))
    server.answers["/api"] = answer
    live = LivePrices([entsoe(server, http, clock)], clock, VIENNA, Random(1), market="at")
    refresher = BackgroundRefresher(live.jobs()[:1], clock, Random(1))
    refresher.run_due()
    assert server.requests[0][1]["securityToken"] == TOKEN
    shown = f"{refresher.health()} {live.status()} {caplog.text}"
    assert "entsoe_at" in shown
    assert TOKEN not in shown


# -- several sources together --------------------------------------------------------------


def test_failover_return_and_restart_over_http(
    server: WebServer, http: RequestsGetter, clock: ManualClock, tmp_path: Path
) -> None:
    def live() -> LivePrices:
        sources = [charts(server, http, clock), awattar(server, http, clock)]
        cache = DiskCache(tmp_path)
        return LivePrices(sources, clock, VIENNA, Random(1), market="at", cache=cache)

    server.answers["/price"] = Answer(b"<html>down for maintenance</html>")
    server.answers["/v1/marketdata"] = as_json(recorded("awattar_at_2025-10-26"))
    prices = live()
    prices.refresh()
    known = prices.published(clock.now())
    assert known.source == "awattar_at"
    assert known.at(START) == pytest.approx(0.09202)
    assert known.origin_at(START).minutes == 60  # type: ignore[union-attr]
    assert "HTML page" in str(prices.status().sources[0].last_error)

    server.answers["/price"] = as_json(energy_charts("quarters_at_2025-10-26"))
    server.answers["/v1/marketdata"] = Answer(b"", 500)
    clock.advance(3600)
    prices.refresh()
    known = prices.published(clock.now())
    assert known.source == "energy_charts_at"
    assert known.at(START) == pytest.approx(0.10496)
    assert known.at(START + timedelta(hours=24, minutes=45)) is not None

    server.answers["/price"] = Answer(b"", 500)
    server.answers["/v1/marketdata"] = as_json(recorded("awattar_at_2025-10-26"))
    clock.advance(3600)
    prices.refresh()
    assert prices.published(clock.now()).at(START) == pytest.approx(0.10496)
    assert prices.status().disagreement_eur_per_kwh < 1e-4

    server.answers.clear()
    restarted = live()
    assert restarted.published(clock.now()).at(START) == pytest.approx(0.10496)
    with pytest.raises(FetchError):
        restarted.refresh()
    assert restarted.status().state == "cached"
    # The cache tells where its prices come from and holds nothing else.
    entry = json.loads((tmp_path / "prices_at_2025-10-26.json").read_text())
    assert {row[3] for row in entry["payload"]} == {"energy_charts_at"}


def test_a_partial_answer_is_kept_and_completed_by_the_next_source(
    server: WebServer, http: RequestsGetter, clock: ManualClock
) -> None:
    reply = energy_charts("quarters_at_2025-10-26")
    reply["price"][40:] = [None] * 60
    server.answers["/price"] = as_json(reply)
    server.answers["/v1/marketdata"] = as_json(recorded("awattar_at_2025-10-26"))
    sources = [charts(server, http, clock), awattar(server, http, clock)]
    live = LivePrices(sources, clock, VIENNA, Random(1), market="at")
    live.refresh()
    minutes = live.published(clock.now()).resolution_minutes
    assert minutes.tolist() == [15] * 40 + [60] * 56
    assert "60 of 100 prices are left open" in str(live.status().sources[0].note)
    # The last hour of the long day is known to neither; it is not made up.
    assert live.status().state == "outage"
    assert "4 quarter-hours of today" in live.status().message


def test_published_never_waits_for_a_host_and_a_stop_ends_a_hanging_request(
    server: WebServer, clock: ManualClock
) -> None:
    asked = threading.Event()

    def hang(_: dict[str, str]) -> Answer:
        asked.set()
        return Answer(silent=True)

    server.answers["/price"] = as_json(energy_charts("quarters_at_2025-10-26"))
    http = RequestsGetter(SystemClock(), HttpLimits(read_s=60.0, total_s=60.0))
    live = LivePrices([charts(server, http, clock)], clock, VIENNA, Random(1), market="at")
    live.refresh()
    before = live.published(clock.now())
    server.answers["/price"] = hang
    refresher = BackgroundRefresher(live.jobs()[:1], SystemClock(), Random(1), cancel=http.close)
    refresher.start()
    assert asked.wait(10)
    assert live.published(clock.now()) is before
    assert refresher.stop()
    assert live.published(clock.now()) is before
