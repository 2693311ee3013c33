"""Planning in the running engine: strategies, prices, forecasts and tariffs that fail or change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ems_dash.api.routes import register_api
from ems_dash.app import create_app
from ems_dash.cli.main import main
from ems_dash.ui import overview_model
from ems_dash.ui.chart_window import chart_window
from ems_dash.ui.format import NO_VALUE
from ems_dash.ui.moment import Moment
from ems_dash.ui.price_bars import price_bars
from ems_dash.ui.price_soc_chart import price_soc_figure
from engine.config.load import parse_config
from engine.devices.simulator.plant import DemoPlant
from engine.devices.simulator.server import DemoPlantServer
from engine.domain.clock import Clock, ManualClock, SystemClock
from engine.domain.control import EngineState, StepHealth
from engine.domain.errors import ForecastError, HistoryError, OptimizationError
from engine.domain.plan import Plan
from engine.domain.records import LedgerRow
from engine.domain.snapshot import EngineSnapshot
from engine.domain.strategy import StrategyKey
from engine.forecasting.histories import RecordedHistory
from engine.history.duckdb_store import DuckDbHistory
from engine.history.store import Batch
from engine.optimization.optimizer import Optimizer
from engine.recorded.recording import Recording
from engine.runtime import planning_setup, uncertainty
from engine.runtime.assembly import build_engine
from engine.runtime.device_setup import make_demo_plant
from engine.runtime.engine import Engine
from engine.runtime.forecast_service import StandIn
from engine.runtime.history_setup import DATABASE_NAME
from engine.runtime.strategy_desk import OVERRIDE_NAME
from engine.strategies import candidates
from tests.support.access import OPEN, open_flask
from tests.support.build import SIMPLE_MODELS
from tests.support.http_server import Answer, Query, WebServer, as_json
from tests.unit.test_incurred_peak import booked

VIENNA = ZoneInfo("Europe/Vienna")
# A November evening at high prices: the battery serves the load.
START = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
NOWHERE = "http://127.0.0.1:9"


@dataclass
class Running:
    """An engine that is moved by hand."""

    engine: Engine
    plant: DemoPlant
    clock: ManualClock
    on_stop: tuple[Callable[[], None], ...] = ()
    stopped: bool = field(default=False)

    def run(self, cycles: int = 1, step_s: float = 2.0) -> EngineSnapshot:
        for _ in range(cycles):
            self.clock.advance(step_s)
            self.engine.run_once()
        return self.engine.snapshot()

    def stop(self) -> None:
        if self.stopped:
            return
        self.stopped = True
        self.engine.stop()
        for action in self.on_stop:
            action()

    @property
    def plan(self) -> Plan:
        plan = self.engine.snapshot().plan
        assert plan is not None
        return plan

    @property
    def setpoint_kw(self) -> float:
        """What the converter was last told."""
        return float(self.plant.pcs_values()["battery_setpoint_kw"])

    def health(self, name: str) -> StepHealth:
        return {h.name: h for h in self.engine.snapshot().health}[name]

    def notices(self) -> dict[str, str]:
        return {n.code: n.severity for n in self.engine.snapshot().notices}

    def fetch(self) -> None:
        """Fetch what is due, as the background thread would."""
        refresher = self.engine._parts.market.refresher
        assert refresher is not None
        refresher.run_due()

    @property
    def store(self) -> DuckDbHistory:
        """The history with everything that was handed over."""
        assert self.engine._parts.history.flush(10.0)
        store = self.engine._parts.history._store
        assert isinstance(store, DuckDbHistory)
        return store


Build = Callable[..., Running]


@pytest.fixture
def build(tmp_path: Path, recording: Recording) -> Iterator[Build]:
    """Build the demo on one data folder; the one before is stopped."""
    made: list[Running] = []

    def make(text: str = "", start: datetime = START) -> Running:
        for earlier in made:
            earlier.stop()
        config = parse_config(SIMPLE_MODELS + text)
        clock = ManualClock(start)
        plant = make_demo_plant(config, recording, clock)
        made.append(Running(build_engine(config, tmp_path / "data", clock, plant), plant, clock))
        return made[-1]

    yield make
    for running in made:
        running.stop()


@pytest.fixture
def build_real(tmp_path: Path, recording: Recording) -> Iterator[Build]:
    """Build a site that takes the demo plant for a real, writable one."""
    made: list[Running] = []

    def make(text: str = "", start: datetime = START) -> Running:
        clock = ManualClock(start)
        plant = make_demo_plant(parse_config(""), recording, clock)
        server = DemoPlantServer(plant)
        port = server.start()
        entries = ", ".join(
            f"{{name: {name}, profile: demo_{name}, host: 127.0.0.1, port: {port}, "
            f"timeout_s: 30, unit_id: {unit}, write_enabled: {str(name == 'pcs').lower()}}}"
            for unit, name in enumerate(("bms", "pcs", "meter", "pv"), start=1)
        )
        config = parse_config(f"{SIMPLE_MODELS}devices: [{entries}]\n{text}")
        engine = build_engine(config, tmp_path / "data", clock)
        made.append(Running(engine, plant, clock, (server.stop,)))
        return made[-1]

    yield make
    for running in made:
        running.stop()


# -- choosing a strategy -------------------------------------------------------------------


def test_a_strategy_chosen_by_hand_plans_at_once_and_until_its_end(build: Build) -> None:
    demo = build()
    demo.run(2)
    assert demo.plan.strategy == StrategyKey.CO_OPTIMISED
    until = demo.clock.now() + timedelta(minutes=8)
    demo.engine.choose_strategy(StrategyKey.PEAK_SHAVING, until)
    snapshot = demo.run(2)
    assert (demo.plan.strategy, demo.plan.trigger) == (StrategyKey.PEAK_SHAVING, "override")
    assert snapshot.strategy is not None
    assert snapshot.strategy.selection is not None
    assert (snapshot.strategy.mode, snapshot.strategy.manual) == ("manual", "peak_shaving")
    assert snapshot.strategy.manual_until == until
    assert snapshot.strategy.selection.active is StrategyKey.PEAK_SHAVING
    demo.run(1, step_s=8 * 60)
    snapshot = demo.run(1)
    assert (demo.plan.strategy, demo.plan.trigger) == (StrategyKey.CO_OPTIMISED, "override")
    assert snapshot.strategy is not None
    assert (snapshot.strategy.mode, snapshot.strategy.manual) == ("auto", None)
    stored = demo.store.selections("site-1", *EVER)
    assert [(s.active.value, s.mode) for s in stored] == [
        ("co_optimised", "auto"),
        ("peak_shaving", "manual"),
        ("co_optimised", "auto"),
    ]
    codes = [e.code for e in demo.store.events("site-1", *EVER)]
    assert codes.count("strategy_manual") == 1
    assert codes.count("strategy_switched") == 2


def test_a_pure_strategys_profit_is_what_it_brings_at_the_tariff_the_site_pays(
    build: Build,
) -> None:
    demo = build()
    snapshot = demo.run(2)
    until = demo.clock.now() + timedelta(hours=1)
    demo.engine.choose_strategy(StrategyKey.SELF_CONSUMPTION, until)
    made = demo.engine._parts.planner.make(snapshot.image, "test")
    plan, problem = made.plan, made.problem
    assert plan.strategy == StrategyKey.SELF_CONSUMPTION
    assert plan.buy_eur_per_kwh == pytest.approx(problem.buy_eur_per_kwh)
    assert len(set(plan.buy_eur_per_kwh)) > 10, "the tariff's prices, not the strategy's flat one"
    day = slice(0, 96)
    bought, sold = np.maximum(plan.grid_kw[day], 0.0), np.maximum(-plan.grid_kw[day], 0.0)
    charged = np.maximum(-plan.battery_kw[day], 0.0)
    discharged = np.maximum(plan.battery_kw[day], 0.0)
    cost_eur = 0.25 * (
        bought @ plan.buy_eur_per_kwh[day]
        - sold @ plan.sell_eur_per_kwh[day]
        + problem.wear_charge_eur_per_kwh * charged.sum()
        + problem.wear_discharge_eur_per_kwh * discharged.sum()
    )
    net = plan.load_kw[day] - plan.pv_kw[day]
    without_eur = 0.25 * (
        np.maximum(net, 0.0) @ plan.buy_eur_per_kwh[day]
        - np.maximum(-net, 0.0) @ plan.sell_eur_per_kwh[day]
    )
    worth = Optimizer().solve(problem).stored_value_eur_per_kwh[95]
    stored_kwh = plan.soc_kwh[95] - plan.soc_start_kwh
    expected = without_eur - cost_eur + worth * stored_kwh
    assert plan.profit_24h_eur == pytest.approx(expected, abs=0.02)


def test_a_choice_by_hand_survives_a_restart_and_a_damaged_one_is_said(
    build: Build, tmp_path: Path
) -> None:
    demo = build()
    until = START + timedelta(hours=4)
    demo.engine.choose_strategy(StrategyKey.ARBITRAGE, until)
    demo.stop()
    demo = build(start=START + timedelta(minutes=5))
    snapshot = demo.run(2)
    assert demo.plan.strategy == StrategyKey.ARBITRAGE
    assert snapshot.strategy is not None
    assert snapshot.strategy.manual_until == until
    demo.stop()
    (tmp_path / "data" / OVERRIDE_NAME).write_text("{broken", encoding="utf-8")
    demo = build(start=START + timedelta(minutes=10))
    demo.run(2)
    assert demo.notices()["strategy_forgotten"] == "warning"
    assert demo.engine.strategy_state().mode == "auto"


def test_a_strategy_that_fails_is_named_and_without_any_the_plan_before_stays(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = build()
    demo.run(2)
    configure = candidates.configure
    broken: set[StrategyKey] = {StrategyKey.CO_OPTIMISED}

    def refuse(key: StrategyKey, *arguments: Any) -> Any:
        if key in broken:
            raise OptimizationError("the sum of all parts is missing.")
        return configure(key, *arguments)

    monkeypatch.setattr(candidates, "configure", refuse)
    demo.engine.request_plan()
    snapshot = demo.run(2)
    assert snapshot.strategy is not None
    chosen = snapshot.strategy.selection
    assert chosen is not None
    assert chosen.reason == "active_failed"
    by_key = {c.strategy: c for c in chosen.candidates}
    assert "sum of all parts" in str(by_key[StrategyKey.CO_OPTIMISED].reason)
    assert sum(c.cost_eur is not None for c in chosen.candidates) == 4
    plan = demo.plan
    assert plan.strategy == chosen.active != StrategyKey.CO_OPTIMISED
    assert plan.check.passed
    broken.update(StrategyKey)
    demo.engine.request_plan()
    snapshot = demo.run(2)
    assert snapshot.plan is plan
    assert snapshot.state is EngineState.AUTOMATIC, "control goes on with it"
    assert "no strategy has a plan" in str(demo.health("plan").last_error)
    broken.clear()
    demo.run(2)
    assert demo.health("plan").ok, "the request that failed is served without being repeated"
    assert demo.plan is not plan


# -- forecasts -----------------------------------------------------------------------------


def test_a_forecaster_that_fails_is_replaced_and_the_plan_says_so(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = build()
    demo.run(2)
    load = demo.engine._parts.forecasts._load
    assert isinstance(load, StandIn)

    def fail(*arguments: object) -> None:
        raise ForecastError("The crystal ball is cracked.")

    monkeypatch.setattr(load.chosen, "predict", fail)
    # The default would fit for seconds; the chosen model of the tests is its cold start.
    monkeypatch.setattr(load, "plain", load_model(demo))
    demo.engine.request_plan()
    demo.run(2)
    assert demo.health("plan").ok
    told = demo.plan.forecast_sources["load"]
    assert "day_type failed: The crystal ball is cracked." in told
    assert demo.engine.forecasts()["load_kw"].method == told


def load_model(demo: Running) -> Any:
    from engine.forecasting.factory import build_forecaster

    past = demo.engine._parts.planner._inputs.past
    return build_forecaster("load_kw", "seasonal_naive", past, VIENNA, "AT")


def test_a_new_site_has_no_plan_until_an_hour_was_measured_and_control_goes_on(
    build_real: Build,
) -> None:
    site = build_real()
    snapshot = site.run(2)
    assert "not enough history" in str(site.health("plan").last_error)
    assert "load_kw" in str(site.health("plan").last_error)
    assert site.health("control").ok
    assert snapshot.plan is None
    now = site.clock.now()
    assert len(site.engine.prices(now, now + timedelta(hours=6))) >= 24, "pages show them already"
    assert snapshot.setpoint is not None
    assert (snapshot.setpoint.power_kw, snapshot.setpoint.reason) == (0.0, "no_plan")
    assert (snapshot.state, snapshot.state_reason) == (EngineState.WAITING, "too_little_measured")
    assert site.health("plan").waits
    for _ in range(62):
        site.clock.advance(60.0)
        site.engine._parts.devices.poll_once()
        site.engine.step()
    # Nothing was wrong in that hour, so nobody was called.
    assert [view.name for view in site.engine.snapshot().alarms] == []
    assert site.engine.counters.plans_failed == 0
    assert site.engine._parts.history.flush(10.0)
    site.run(2)
    assert site.health("plan").ok
    assert "flat mean" in site.plan.forecast_sources["load"]
    assert "no PV counted on" in site.plan.forecast_sources["pv"]


def test_forecasts_that_cannot_be_scored_do_not_stop_planning(
    build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: object) -> None:
        raise HistoryError("The database is on strike.")

    monkeypatch.setattr(DuckDbHistory, "forecasts", fail)
    demo = build()
    demo.run(2)
    assert demo.plan.check.passed
    assert demo.health("plan").ok
    assert "forecasts could not be scored" in caplog.text
    with pytest.raises(HistoryError):
        demo.engine.forecast_accuracy(7)


# -- tariffs -------------------------------------------------------------------------------

FIXED = (
    f"prices: {{demo_mode: false, urls: {{awattar: '{NOWHERE}', energy_charts: '{NOWHERE}'}}}}\n"
    "tariff: {energy_price_windows: [{from: 06:00, to: 22:00, eur_per_kwh: 0.25}, "
    "{from: 22:00, to: 06:00, eur_per_kwh: 0.12}], feed_in_eur_per_kwh: 0.08}\n"
)


def test_a_fixed_tariff_is_planned_shown_and_stored_without_any_day_ahead_price(
    build: Build,
) -> None:
    demo = build(FIXED)
    snapshot = demo.run(3)
    assert snapshot.state is EngineState.AUTOMATIC
    assert demo.health("plan").ok
    plan = demo.plan
    assert np.isnan(plan.spot_eur_per_kwh).all()
    assert set(plan.buy_eur_per_kwh.round(6)) == {0.205, 0.335}
    stored = demo.store.plan(plan.plan_id)
    assert stored is not None
    assert np.isnan(stored.spot_eur_per_kwh).all()
    assert stored.battery_kw == pytest.approx(plan.battery_kw)
    server = open_flask()
    register_api(server, demo.engine)
    client = server.test_client()
    answer = client.get("/api/plan").get_json()
    assert {step["spot_eur_per_kwh"] for step in answer["steps"]} == {None}
    price = client.get("/api/state").get_json()["price"]
    assert (price["spot_eur_per_kwh"], price["source"]) == (None, "tariff")
    assert price["buy_eur_per_kwh"] == pytest.approx(0.335)
    texts = overview_model.fields(Moment(snapshot, demo.clock.now(), 0.1, "de"))
    assert NO_VALUE in str(texts["price-v"])
    figure = price_soc_figure(
        chart_window(demo.clock.now(), VIENNA, None),
        [],
        plan,
        price_bars(plan, []),
        snapshot.site,
        theme="light",
        lang="de",
    )
    notes = [note["text"] for note in figure["layout"]["annotations"]]
    assert "Noch keine Preise bekannt" in notes
    page = create_app(demo.engine, access=OPEN).server.test_client()
    assert page.get("/_dash-layout").status_code == 200


def test_a_demand_charge_plans_with_the_peak_already_stored_with_scenarios_and_a_reserve(
    build: Build, tmp_path: Path
) -> None:
    row: LedgerRow = booked(START - timedelta(days=6), 190.0)
    store = DuckDbHistory(tmp_path / "data" / DATABASE_NAME)
    store.write(Batch(ledger=(row,)))
    store.close()
    demo = build("tariff: {demand_charge: {eur_per_kw: 8}}")
    demo.run(2)
    plan = demo.plan
    assert plan.strategy == StrategyKey.CO_OPTIMISED, "being safe is no reason to be left"
    assert plan.check.passed
    assert plan.billed_peak_kw == pytest.approx(190.0)
    assert plan.reserve_kwh is not None
    assert "3 scenarios" in plan.solver, "no forecast has met what came yet"
    stored = demo.store.plan(plan.plan_id)
    assert stored is not None
    assert stored.reserve_kwh == pytest.approx(plan.reserve_kwh)


def test_scenarios_that_cannot_be_solved_leave_the_plan_on_the_medians(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OptimizationError("the scenarios have no common first decision.")

    monkeypatch.setattr(uncertainty, "solve_scenarios", refuse)
    demo = build("tariff: {demand_charge: {eur_per_kw: 8}}")
    demo.run(2)
    assert demo.plan.strategy == StrategyKey.CO_OPTIMISED
    assert demo.plan.check.passed
    assert "scenarios" not in demo.plan.solver, "and the plan does not claim them"


# -- live prices ---------------------------------------------------------------------------


class Exchange:
    """A web server that plays both publishers; each can be switched off."""

    def __init__(self, server: WebServer, clocks: Sequence[Clock]) -> None:
        self.url = server.url
        self.clocks = clocks
        self.quarters_down = self.hours_down = False
        server.answers["/price"] = self._quarters
        server.answers["/v1/marketdata"] = self._hours

    def _published_until(self) -> datetime:
        local = self.clocks[0].now().astimezone(VIENNA)
        days = 2 if local.hour >= 13 else 1
        return datetime.combine(local.date() + timedelta(days=days), time(0), VIENNA)

    def _quarters(self, query: Query) -> Answer:
        if self.quarters_down:
            return Answer(b"on strike", 503)
        first = datetime.combine(date.fromisoformat(query["start"]), time(0), VIENNA)
        last = date.fromisoformat(query["end"]) + timedelta(days=1)
        end = min(datetime.combine(last, time(0), VIENNA), self._published_until())
        times = _steps(first, end, timedelta(minutes=15))
        return as_json(
            {
                "unix_seconds": [int(ts.timestamp()) for ts in times],
                "price": [_price_eur_per_mwh(ts) for ts in times],
                "unit": "EUR / MWh",
            }
        )

    def _hours(self, query: Query) -> Answer:
        if self.hours_down:
            return Answer(b"on strike", 503)
        first = datetime.fromtimestamp(int(query["start"]) / 1000, UTC)
        end = min(datetime.fromtimestamp(int(query["end"]) / 1000, UTC), self._published_until())
        rows = [
            {
                "start_timestamp": int(ts.timestamp() * 1000),
                "end_timestamp": int(ts.timestamp() * 1000) + 3_600_000,
                "marketprice": _price_eur_per_mwh(ts),
                "unit": "Eur/MWh",
            }
            for ts in _steps(first, end, timedelta(hours=1))
        ]
        return as_json({"object": "list", "data": rows})


def _steps(start: datetime, end: datetime, step: timedelta) -> list[datetime]:
    first = start.astimezone(UTC)
    return [first + i * step for i in range(max(0, (end.astimezone(UTC) - first) // step))]


def _price_eur_per_mwh(ts: datetime) -> float:
    """Cheap nights, dear evenings."""
    hour = ts.astimezone(VIENNA).hour
    return 240.0 if 16 <= hour < 20 else 30.0 if hour < 6 else 100.0


def test_live_prices_steer_a_real_site_and_their_outage_over_midnight_stills_it(
    build_real: Build, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks: list[ManualClock] = []

    def past(config: Any, site: Any, store: Any, recording: Any, clock: ManualClock) -> Any:
        clocks.append(clock)
        columns = {"load_kw": ("load_kw", 1.0), "pv_kw": ("pv_kw", 1.0)}
        return RecordedHistory(recording, columns, clock)

    monkeypatch.setattr(planning_setup, "past_of", past)
    with WebServer() as server:
        exchange = Exchange(server, clocks)
        urls = f"{{awattar: '{exchange.url}', energy_charts: '{exchange.url}'}}"
        site = build_real(f"prices: {{demo_mode: false, urls: {urls}}}\n")

        snapshot = site.run(2)
        assert snapshot.price is None, "nothing was fetched yet"
        assert snapshot.plan is None
        assert site.setpoint_kw == 0.0
        assert "No day-ahead prices are known yet" in str(site.health("plan").last_error)

        site.fetch()
        snapshot = site.run(12)
        assert snapshot.price is not None
        assert snapshot.price.source == "energy_charts_at"
        assert snapshot.price.fetched_at is not None
        assert snapshot.price.spot_eur_per_kwh == pytest.approx(0.24)
        assert snapshot.state is EngineState.AUTOMATIC
        assert site.setpoint_kw > 1.0, "a dear evening: the real battery serves the load"
        assert "recorded_prices" not in site.notices()
        assert demo_codes(site) == set()

        exchange.quarters_down = exchange.hours_down = True
        site.clock.advance(2 * 3600.0)
        site.fetch()
        snapshot = site.run(2)
        assert snapshot.state is EngineState.AUTOMATIC, "what is known until midnight goes on"
        assert site.notices()["prices_cached"] == "info"
        assert not site.health("prices").ok

        midnight = datetime(2026, 11, 26, tzinfo=VIENNA).astimezone(UTC)
        site.clock.advance((midnight - site.clock.now()).total_seconds() + 60.0)
        site.fetch()
        snapshot = site.run(3)
        assert snapshot.price is None
        assert (snapshot.state, snapshot.state_reason) == (EngineState.DEGRADED, "no_price")
        assert snapshot.setpoint is not None
        assert snapshot.setpoint.power_kw == 0.0
        assert site.setpoint_kw == 0.0
        assert site.notices()["prices_outage"] == "warning"
        assert site.health("plan").ok, "planned on forecast prices meanwhile"
        assert site.plan.price_is_forecast.all()

        exchange.hours_down = False
        site.clock.advance(3600.0)
        site.fetch()
        snapshot = site.run(3)
        assert snapshot.state is EngineState.AUTOMATIC, "the second source brings them back"
        assert snapshot.price is not None
        assert "awattar_at" in snapshot.price.source
        assert "awattar_at + intra-hour profile" in site.plan.forecast_sources["price"]
        assert {p.plan_id for p in site.store.plans("site-1", *EVER)}


def demo_codes(site: Running) -> set[str]:
    return {"demo_plant", "recorded_prices"} & set(site.notices())


def test_the_command_line_asks_the_exchange_for_a_plan_of_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config").mkdir()
    with WebServer() as server:
        exchange = Exchange(server, [SystemClock()])
        urls = f"{{awattar: '{exchange.url}', energy_charts: '{exchange.url}'}}"
        text = f"{SIMPLE_MODELS}prices: {{demo_mode: false, urls: {urls}}}\n"
        (tmp_path / "config" / "ems.yaml").write_text(text, encoding="utf-8")
        folders = ["--config", str(tmp_path / "config"), "--data", str(tmp_path / "data")]
        assert main(["plan", *folders, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["plan"]["forecast_sources"]["price"].startswith("published (energy_charts_at)")
    first = document["plan"]["steps"][0]
    assert first["price_is_forecast"] is False
    start = datetime.fromisoformat(first["ts"])
    assert first["spot_eur_per_kwh"] == pytest.approx(_price_eur_per_mwh(start) / 1000.0)
