"""What Prometheus is told: the engine's own counts, read when asked, and the web server's.

One registry per application. Labels are names of devices, routes as they are registered and words
of fixed sets, never what a request says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from flask import Flask, Response, g, request
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from engine.audit.log import AuditStatus
from engine.devices.link_statistics import UnitStatistics
from engine.domain.alarms import SEVERITIES
from engine.domain.control import EngineState
from engine.domain.product import product_version
from engine.domain.snapshot import EngineSnapshot
from engine.history.writer import WriterStatus
from engine.runtime.counters import EngineCounters, Spread
from engine.runtime.readiness import Readiness

EXTENSION: Final = "ems_metrics"

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_HTTP_BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class WatchedEngine(Protocol):
    """What the metrics ask of the engine; every call is cheap."""

    @property
    def counters(self) -> EngineCounters: ...

    def snapshot(self) -> EngineSnapshot: ...

    def heartbeat_age_s(self) -> float: ...

    def storage_status(self) -> WriterStatus: ...

    def restarts(self) -> Mapping[str, int]: ...

    def unit_statistics(self) -> Mapping[str, UnitStatistics]: ...

    def audit_status(self) -> AuditStatus | None: ...


class EngineCollector(Collector):
    """Reads the engines when Prometheus asks; what concerns a site has its id as label ``site``.

    Args:
        sites: Every site: its engine, and what knows its files.
        sessions: Returns how many people are logged in; None when nobody can.
    """

    def __init__(
        self,
        sites: Sequence[tuple[WatchedEngine, Readiness]],
        sessions: Callable[[], int] | None = None,
    ) -> None:
        self._sites = tuple(_SiteMetrics(*site) for site in sites)
        self._sessions = sessions

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its values of this moment."""
        yield _gauge(
            "ems_build_info", "Version of the program.", {(product_version(),): 1.0}, "version"
        )
        families: dict[str, Metric] = {}
        for site in self._sites:
            for metric in site.collect():
                family = families.setdefault(metric.name, metric)
                if family is not metric:
                    family.samples += metric.samples
        yield from families.values()
        yield from self._people()

    def _people(self) -> Iterator[Metric]:
        # All sites share one audit log.
        audit = self._sites[0].engine.audit_status()
        yield _counter(
            "ems_audit_entries",
            "Entries of the audit log.",
            {} if audit is None else {(): audit.seq},
        )
        yield _gauge(
            "ems_audit_waiting",
            "Entries that wait for the disk.",
            {} if audit is None else {(): float(audit.waiting)},
        )
        yield _gauge(
            "ems_sessions",
            "People who are logged in.",
            {} if self._sessions is None else {(): float(self._sessions())},
        )


class _SiteMetrics:
    """The metrics of one site."""

    def __init__(self, engine: WatchedEngine, readiness: Readiness) -> None:
        self.engine = engine
        self._readiness = readiness

    def collect(self) -> Iterator[Metric]:
        """Yield every metric of the site, each value labelled with its id."""
        site = self.engine.snapshot().site.site_id
        for metric in (*self._control(), *self._devices(), *self._planning(), *self._storage()):
            metric.samples = [
                one._replace(labels={"site": site, **one.labels}) for one in metric.samples
            ]
            yield metric

    def _control(self) -> Iterator[Metric]:
        counters, snapshot = self.engine.counters, self.engine.snapshot()
        yield _histogram(
            "ems_cycle_duration_seconds", "Duration of control cycles.", counters.cycle_s.spread()
        )
        yield _histogram(
            "ems_cycle_lag_seconds",
            "How much later than planned control cycles began.",
            counters.lag_s.spread(),
        )
        yield _counter(
            "ems_cycles_skipped", "Control cycles left out after one that took too long.",
            {(): counters.skipped},
        )  # fmt: skip
        yield _gauge(
            "ems_heartbeat_age_seconds",
            "Time since the control loop last completed a cycle.",
            {(): self.engine.heartbeat_age_s()},
        )
        yield _gauge(
            "ems_engine_state",
            "1 for the state the engine is in.",
            {(state.value,): float(state is snapshot.state) for state in EngineState},
            "state",
        )
        yield _counter(
            "ems_step_failures",
            "Failures of recurring steps of the engine.",
            {(step,): count for step, count in self.engine.restarts().items()},
            "step",
        )
        active = [alarm.severity for alarm in snapshot.alarms if alarm.active]
        yield _gauge(
            "ems_alarms_active",
            "Active alarms by severity.",
            {(severity,): float(active.count(severity)) for severity in SEVERITIES},
            "severity",
        )

    def _devices(self) -> Iterator[Metric]:
        snapshot, statistics = self.engine.snapshot(), self.engine.unit_statistics()
        yield _gauge(
            "ems_device_up",
            "1 while a device or the broker answers.",
            {(link.name,): float(link.state == "online") for link in snapshot.links},
            "device",
        )
        yield _counter(
            "ems_device_requests",
            "Requests sent to a device.",
            {(name,): found.requests for name, found in statistics.items()},
            "device",
        )
        yield _counter(
            "ems_device_errors",
            "Requests without a valid answer, by kind.",
            {
                (name, kind): count
                for name, found in statistics.items()
                for kind, count in found.errors_by_kind.items()
            },
            *("device", "kind"),
        )
        newest: dict[str, float] = {}
        for sample in snapshot.image.samples.values():
            if sample.value is not None:
                age_s = (snapshot.ts - sample.ts).total_seconds()
                newest[sample.source] = min(age_s, newest.get(sample.source, age_s))
        yield _gauge(
            "ems_source_last_sample_age_seconds",
            "Age of the newest value of a source.",
            {(source,): age_s for source, age_s in newest.items()},
            "source",
        )

    def _planning(self) -> Iterator[Metric]:
        counters, snapshot = self.engine.counters, self.engine.snapshot()
        yield _counter(
            "ems_plans",
            "Plans by result.",
            {("ok",): counters.plans_ok, ("failed",): counters.plans_failed},
            "result",
        )
        yield _histogram(
            "ems_plan_duration_seconds",
            "Duration of making a plan: forecasts, candidates, solving.",
            counters.plan_s.spread(),
        )
        plan = snapshot.plan
        yield _gauge(
            "ems_plan_solve_seconds",
            "Time the solver took for the plan in force.",
            {} if plan is None else {(): plan.solve_ms / 1000.0},
        )
        yield _gauge(
            "ems_plan_age_seconds",
            "Age of the plan in force.",
            {} if plan is None else {(): (snapshot.ts - plan.created_at).total_seconds()},
        )

    def _storage(self) -> Iterator[Metric]:
        status = self.engine.storage_status()
        yield _gauge(
            "ems_history_commit_seconds",
            "Duration of the last commit.",
            {} if status.commit_ms is None else {(): status.commit_ms / 1000.0},
        )
        yield _gauge(
            "ems_history_rows_waiting", "Rows not stored yet.", {(): float(status.rows_waiting)}
        )
        yield _gauge(
            "ems_history_failures", "Commits that failed in a row.", {(): float(status.failures)}
        )
        for name, text, count in (
            ("ems_history_rows_written", "Rows stored.", status.rows_written),
            ("ems_history_rows_dropped", "Rows lost: the buffer was full.", status.rows_dropped),
            ("ems_history_rows_rejected", "Rows that cannot be stored.", status.rows_rejected),
        ):
            yield _counter(name, text, {(): count})
        yield _gauge(
            "ems_history_file_bytes",
            "Size of the history file and its log.",
            {(name,): float(size) for name, size in self._readiness.file_bytes().items()},
            "file",
        )
        yield _gauge(
            "ems_disk_free_bytes",
            "What may still be written to the disk of the data folder.",
            {(): float(self._readiness.free_bytes())},
        )


class HttpMetrics:
    """Counts the requests of one application.

    Args:
        registry: Where the metrics go.
        clock: Seconds that never run backwards.
    """

    def __init__(
        self, registry: CollectorRegistry, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._clock = clock
        self._requests = Counter(
            "ems_http_requests",
            "Requests by method, route and status.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._duration = Histogram(
            "ems_http_request_duration_seconds",
            "Time until a request was answered; of streams, until they began.",
            ("route",),
            buckets=_HTTP_BOUNDS_S,
            registry=registry,
        )
        self._open = Gauge(
            "ems_http_requests_open",
            "Requests whose answer has not ended; of the event stream, its listeners.",
            ("route",),
            registry=registry,
        )

    def install(self, server: Flask) -> None:
        """Count every request to `server` from now on."""

        # First of all, so that what others refuse is counted too.
        server.before_request_funcs.setdefault(None, []).insert(0, self._begin)
        server.after_request(self._end)

    def _begin(self) -> None:
        g.ems_began_s = self._clock()

    def _end(self, answer: Response) -> Response:
        route = _route()
        method = request.method if request.method in _METHODS else "OTHER"
        self._requests.labels(method, route, str(answer.status_code)).inc()
        began_s = g.get("ems_began_s")
        if began_s is not None:
            self._duration.labels(route).observe(self._clock() - began_s)
        still_open = self._open.labels(route)
        still_open.inc()
        answer.call_on_close(still_open.dec)
        return answer


def make_registry(collector: EngineCollector) -> CollectorRegistry:
    """Return a registry with the engine, the process and the interpreter in it."""
    # When a counter was first used tells nobody anything.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def _route() -> str:
    """Return the route as it is registered; one word for everything unknown."""
    return "unknown" if request.url_rule is None else request.url_rule.rule


def _gauge(name: str, text: str, values: Mapping[tuple[str, ...], float], *labels: str) -> Metric:
    family: Any = GaugeMetricFamily(name, text, labels=labels)
    for label, value in values.items():
        family.add_metric(label, value)
    return _made(family)


def _counter(name: str, text: str, values: Mapping[tuple[str, ...], int], *labels: str) -> Metric:
    family: Any = CounterMetricFamily(name, text, labels=labels)
    for label, value in values.items():
        family.add_metric(label, value)
    return _made(family)


def _histogram(name: str, text: str, spread: Spread) -> Metric:
    family: Any = HistogramMetricFamily(name, text)
    cumulated, buckets = 0, []
    for bound, count in zip((*spread.bounds, float("inf")), spread.counts, strict=True):
        cumulated += count
        buckets.append(("+Inf" if bound == float("inf") else repr(bound), cumulated))
    family.add_metric([], buckets, spread.total)
    return _made(family)


def _made(family: Any) -> Metric:
    made: Metric = family
    return made
