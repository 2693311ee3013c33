"""Every page as a visitor meets it: the whole program on the demo plant and a real Chromium.

Prints per page how long its main content takes to be painted and what is transferred, at the
first visit and later ones; what a live update costs the server, with one page open and with
fifty; and what it costs the browser.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import requests

from ems_dash.first_view import PREFIX
from ems_dash.ui.live import TICK_MS
from tests.benchmarks.page_probe import Visit, page_probe
from tests.support.login import bearer
from tests.support.process import Program, running

VISITS = 3
WATCHED_S = 12.0
CLIENTS = 50
ROUNDS = 8
TICK_S = TICK_MS / 1000

PAINT_LIMIT_MS = 1500
SERVER_LIMIT_MS = 10
BYTES_LIMIT = 1000
"""DESIGN, limits to hold."""

PAGES = {
    "/": "#soc-v",
    "/monitoring": "#m-soc-v",
    "/forecasts": "#fc-price-facts dd",
    "/analytics": "#an-kpi-profit-v",
    "/analytics/explorer": ".ex-table tbody td",
    "/analytics/runs": "#an-body-runs td",
    "/analytics/sql": ".sq-schema tbody td",
    "/backtest": "main h1",
    "/settings": "main h1",
}
"""Path and main content: the first figure of the page, or its heading where it has none."""


@dataclass(frozen=True, slots=True)
class Updates:
    """Live updates that changed something: median and 95th percentile in ms, mean size in bytes."""

    median_ms: float
    p95_ms: float
    size: float


def main() -> None:
    """Run the program, visit its pages, ask as fifty of them."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as program:
        program.wait_for_plan()
        time.sleep(5.0)
        bodies = _show_visits(program)
        _show_updates(program, bodies)
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def _show_visits(program: Program) -> dict[str, dict[str, Any]]:
    url = f"http://127.0.0.1:{program.port}"
    print(
        f"main content painted, ms (limit {PAINT_LIMIT_MS}), and the page ready for clicks; "
        "kB transferred; ms of processor time per live update\n"
        f"{'page':22} {'first':>7} {'later':>7} {'worst':>7} {'ready':>7} {'later':>7} "
        f"{'kB':>7} {'later':>7} {'main':>7} {'script':>7} {'browser':>8}"
    )
    bodies = {}
    with page_probe(bearer()) as warm:
        warm.visit(url + "/", _anywhere(PAGES["/"]))
    for path, selector in PAGES.items():
        first, later = [], []
        for _ in range(VISITS):
            with page_probe(bearer()) as probe:
                first.append(probe.visit(url + path, _anywhere(selector)))
                later.append(probe.visit(url + path, _anywhere(selector)))
                if len(first) == VISITS:
                    ticks = probe.ticks(WATCHED_S, TICK_S)
                    body = probe.tick_body()
        if body is not None:
            bodies[path] = body
        worst = max(visit.useful_ms for visit in first)
        print(
            f"{path:22} {_middle_ms(first):7.0f} {_middle_ms(later):7.0f} {worst:7.0f} "
            f"{median(visit.ready_ms for visit in first):7.0f} "
            f"{median(visit.ready_ms for visit in later):7.0f} "
            f"{first[0].bytes / 1e3:7.0f} {later[0].bytes / 1e3:7.0f} "
            f"{ticks.main_ms:7.0f} {ticks.script_ms:7.0f} {ticks.browser_ms:8.0f}"
            f"{'   over the limit' if _middle_ms(first) > PAINT_LIMIT_MS else ''}",
            flush=True,
        )
    return bodies


def _anywhere(selector: str) -> str:
    """Return a selector that finds the main content in the first view too."""
    return f"{selector}, {selector.replace('#', f'#{PREFIX}')}"


def _middle_ms(visits: list[Visit]) -> float:
    return median(visit.useful_ms for visit in visits)


def _show_updates(program: Program, bodies: dict[str, dict[str, Any]]) -> None:
    print(
        f"\nlive update (limits {SERVER_LIMIT_MS} ms alone, {BYTES_LIMIT} bytes); round trips\n"
        f"{'page':22} {'median':>7} {'p95':>7} {'bytes':>6}   {CLIENTS} open: {'median':>7} "
        f"{'p95':>7} {'bytes':>6} {'% of a core':>12}"
    )
    for path, body in bodies.items():
        alone, _ = _asked(program, body, 1)
        idle = _share(program, ROUNDS * TICK_S)
        together, busy = _asked(program, body, CLIENTS)
        over = alone.median_ms > SERVER_LIMIT_MS or alone.size > BYTES_LIMIT
        print(
            f"{path:22} {alone.median_ms:7.1f} {alone.p95_ms:7.1f} {alone.size:6.0f}   "
            f"{'':9}{together.median_ms:7.1f} {together.p95_ms:7.1f} {together.size:6.0f} "
            f"{busy - idle:12.1f}{'   over the limit' if over else ''}",
            flush=True,
        )


def _asked(program: Program, body: dict[str, Any], clients: int) -> tuple[Updates, float]:
    """Ask as `clients` open pages do; return what it took and the server's share of a core."""
    took: list[float] = []
    sizes: list[int] = []
    threads = [
        threading.Thread(
            target=_one_page, args=(program, body, place / clients * TICK_S, took, sizes)
        )
        for place in range(clients)
    ]
    for thread in threads:
        thread.start()
    share = _share(program, ROUNDS * TICK_S)
    for thread in threads:
        thread.join()
    took.sort()
    return Updates(median(took), took[int(0.95 * len(took))], sum(sizes) / len(sizes)), share


def _one_page(
    program: Program, body: dict[str, Any], delay_s: float, took: list[float], sizes: list[int]
) -> None:
    session = requests.Session()
    session.headers.update(bearer())
    body = json.loads(json.dumps(body))
    url = f"http://127.0.0.1:{program.port}/_dash-update-component"
    time.sleep(delay_s)
    for number in range(ROUNDS):
        began = time.perf_counter()
        answer = session.post(url, json=body, timeout=30)
        answer.raise_for_status()
        passed = time.perf_counter() - began
        changed = answer.json().get("response") if answer.content else None
        if number and changed:  # the first answer opens the connection and catches up
            took.append(1e3 * passed)
            sizes.append(int(answer.headers.get("Content-Length", len(answer.content))))
        if changed:
            _remember(body, changed)
        time.sleep(max(0.0, TICK_S - passed))


def _remember(body: dict[str, Any], changed: dict[str, Any]) -> None:
    """Take over the answer as the page's script does."""
    (props,) = changed.values()
    delta = props["data"]
    values = (entry["value"] for entry in body["state"])
    state = next(value for value in values if isinstance(value, dict) and "token" in value)
    for key in ("seq", "token", "charts", "lists", "alarms", "panel", "made"):
        if key in delta:
            state[key] = delta[key]
    for key in ("minute", "newest"):
        if key not in state:
            continue
        if delta.get("add"):
            state[key] = delta["add"][-1][0]
        elif "charts" in delta:  # the page asks for its charts and has every point with them
            state[key] = delta["now"]


def _share(program: Program, seconds: float) -> float:
    """Return the share of one core that the program uses for `seconds`, in percent."""
    master = psutil.Process(program.process.pid)
    processes = [master, *master.children(recursive=True)]

    def used() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    before = used()
    time.sleep(seconds)
    return 100.0 * (used() - before) / seconds


if __name__ == "__main__":
    main()
