"""Load the real program as a control room would, for a while; ``make soak``.

Starts the demo program, lets many clients poll it and many listen to its events, and prints what
went wrong, whether memory, threads or open files grow, and how regular the control loop stays.
The exit code is 0 when no request failed and nothing grew beyond the limits printed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import psutil

from ems_dash.auth.roles import Role
from tests.support.login import bearer, prepare
from tests.support.process import free_port

ROOT = Path(__file__).resolve().parents[1]
POLLED = ("/api/state", "/api/monitoring/telemetry?minutes=1&limit=5", "/api/state", "/api/alarms")
POLL_S = 2.0
SAMPLE_S = 10.0
SHUTDOWN_S = 15.0

MOST_GROWTH = 0.05
"""Memory may grow by so much from the second tenth to the last."""


@dataclass
class Seen:
    """What the clients saw; guarded by `lock`."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    statuses: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    cycles: list[tuple[float, datetime]] = field(default_factory=list)

    def failed(self, what: str, exc: Exception) -> None:
        with self.lock:
            self.errors[f"{what}: {type(exc).__name__} {exc}"[:120]] += 1


def poll(port: int, seen: Seen, end: threading.Event, place: int) -> None:
    """Ask every `POLL_S` on one connection, as a browser or a script does."""
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    n = place
    end.wait(POLL_S * (place % 20) / 20)
    while not end.is_set():
        began = time.monotonic()
        try:
            conn.request("GET", POLLED[n % len(POLLED)], headers=bearer(Role.VIEWER))
            answer = conn.getresponse()
            answer.read()
            with seen.lock:
                seen.statuses[str(answer.status)] += 1
                seen.latencies_ms.append((time.monotonic() - began) * 1e3)
        except (OSError, http.client.HTTPException) as exc:
            seen.failed("poll", exc)
            conn.close()
        n += 1
        end.wait(max(0.0, POLL_S - (time.monotonic() - began)))
    conn.close()


def listen(port: int, seen: Seen, end: threading.Event, place: int) -> None:
    """Listen to events; come back with the last id when the stream ends."""
    last_id = ""
    while not end.is_set():
        conn = http.client.HTTPConnection("127.0.0.1", port, timeout=40)
        try:
            headers = bearer(Role.VIEWER) | ({"Last-Event-ID": last_id} if last_id else {})
            conn.request("GET", "/api/events", headers=headers)
            answer = conn.getresponse()
            with seen.lock:
                seen.statuses[f"stream {answer.status}"] += 1
            while not end.is_set() and (line := answer.readline()):
                if line.startswith(b"id: "):
                    last_id = line[4:].decode().strip()
                elif line.startswith(b"event: "):
                    with seen.lock:
                        seen.events[line[7:].decode().strip()] += 1
                elif place == 0 and line.startswith(b'data: {"seq":'):
                    ts = datetime.fromisoformat(json.loads(line[6:])["ts"])
                    with seen.lock:
                        seen.cycles.append((time.monotonic(), ts))
        except (OSError, http.client.HTTPException) as exc:
            if not end.is_set():
                seen.failed("stream", exc)
        finally:
            conn.close()


def ready(port: int, program: subprocess.Popen[bytes], within_s: float = 120.0) -> None:
    """Wait until the first plan is there."""
    until = time.monotonic() + within_s
    while time.monotonic() < until and program.poll() is None:
        conn = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            conn.request("GET", "/api/plan", headers=bearer(Role.VIEWER))
            if conn.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            conn.close()
        time.sleep(0.5)
    raise SystemExit("the program did not make a plan")


def metrics(port: int) -> list[str]:
    """Return what the program itself counts about its control loop."""
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    conn.request("GET", "/metrics", headers=bearer(Role.VIEWER))
    text = conn.getresponse().read().decode()
    conn.close()
    wanted = r"(?m)^ems_\w*(?:cycle|restart|skipped|stall|control)\w*(?:\{[^}]*\})? \S+$"
    return [line for line in re.findall(wanted, text) if "_bucket" not in line]


def worker_of(program: subprocess.Popen[bytes]) -> psutil.Process:
    """Return the process that does the work: gunicorn's only worker."""
    found = psutil.Process(program.pid).children(recursive=True)
    return max(found or [psutil.Process(program.pid)], key=lambda p: p.memory_info().rss)


def share(values: list[float], at: float) -> float:
    """Return a quantile."""
    return sorted(values)[min(len(values) - 1, int(at * len(values)))] if values else float("nan")


def main() -> int:
    """Run and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--pollers", type=int, default=50)
    parser.add_argument("--listeners", type=int, default=30)
    parser.add_argument("--port", type=int, default=0)
    asked = parser.parse_args()
    port = asked.port or free_port()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config").mkdir()
        prepare(Path(folder) / "config")
        command = [
            *(sys.executable, "-m", "ems_dash", "run", "--port", str(port)),
            *("--config", f"{folder}/config", "--data", f"{folder}/data"),
        ]
        program = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return soak(program, port, asked)
        finally:
            program.terminate()
            program.wait(SHUTDOWN_S)


def soak(program: subprocess.Popen[bytes], port: int, asked: argparse.Namespace) -> int:
    """Load the running program and print what was seen."""
    ready(port, program)
    worker, seen, end = worker_of(program), Seen(), threading.Event()
    clients = [
        threading.Thread(target=what, args=(port, seen, end, place), daemon=True)
        for what, n in ((poll, asked.pollers), (listen, asked.listeners))
        for place in range(n)
    ]
    for client in clients:
        client.start()
    print(
        f"{asked.pollers} poll every {POLL_S:g} s, {asked.listeners} listen, "
        f"{asked.minutes:g} minutes"
    )
    began, readings = time.monotonic(), []
    worker.cpu_percent()
    while time.monotonic() - began < asked.minutes * 60:
        time.sleep(min(SAMPLE_S, asked.minutes * 60 / 10))
        reading = (worker.memory_info().rss / 1e6, worker.num_threads(), worker.num_fds())
        readings.append(reading)
        if len(readings) % 6 == 1:
            with seen.lock:
                wrong = sum(seen.errors.values())
            print(
                f"{time.monotonic() - began:5.0f} s: {reading[0]:.0f} MB, {reading[1]} threads, "
                f"{reading[2]} files, {worker.cpu_percent():.0f} % of a core, {wrong} errors",
                flush=True,
            )
    counted = metrics(port)
    end.set()
    stopped = time.monotonic()
    program.terminate()
    program.wait(SHUTDOWN_S)
    stop_s = time.monotonic() - stopped
    return told(seen, readings, counted, program.returncode, stop_s)


def told(
    seen: Seen,
    readings: list[tuple[float, int, int]],
    counted: list[str],
    code: int | None,
    stop_s: float,
) -> int:
    """Print what was seen and return the exit code."""
    warm = len(readings) // 10
    # medians, because a plan in the making holds memory for a moment
    tenth = max(1, warm)
    rss = [
        statistics.median(r[0] for r in part)
        for part in (readings[warm : warm + tenth], readings[-tenth:])
    ]
    growth = rss[-1] / rss[0] - 1.0
    steps = [(b[1] - a[1]).total_seconds() for a, b in pairwise(seen.cycles)]
    print(f"answers {dict(seen.statuses)}, events {dict(seen.events)}")
    shares = [f"p{100 * at:.0f} {share(seen.latencies_ms, at):.1f} ms" for at in (0.5, 0.95, 0.99)]
    print(f"latency {', '.join(shares)}, longest {max(seen.latencies_ms):.0f} ms")
    print(
        f"memory {rss[0]:.0f} -> {rss[-1]:.0f} MB ({growth:+.1%}), threads {readings[warm][1]} -> "
        f"{readings[-1][1]}, files {readings[warm][2]} -> {readings[-1][2]}"
    )
    if steps:
        print(
            f"control cycles {len(steps)}: step median {statistics.median(steps):.3f} s, p99 "
            f"{share(steps, 0.99):.3f} s, longest {max(steps):.3f} s"
        )
    for line in counted:
        print(f"  {line}")
    print(f"stopped within {stop_s:.1f} s, exit code {code}")
    for what, n in seen.errors.most_common(10):
        print(f"  {n} x {what}")
    failed = sum(seen.errors.values()) + sum(
        n for status, n in seen.statuses.items() if not status.endswith("200")
    )
    good = failed == 0 and growth <= MOST_GROWTH
    print("nothing went wrong" if good else f"{failed} failed, memory {growth:+.1%}")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
