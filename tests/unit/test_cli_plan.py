"""The plan on the command line: what was known then, in a table or as JSON, or one clear error."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ems_dash.cli.main import main
from engine.config.load import parse_config
from engine.domain.errors import MarketError
from engine.domain.records import SampleRow
from engine.domain.strategy import StrategyKey
from engine.history.duckdb_store import DuckDbHistory
from engine.history.store import Batch
from engine.market.prices import DayAheadPrices
from engine.runtime.history_setup import DATABASE_NAME
from engine.runtime.known_then import known_at
from engine.runtime.market_service import MarketService
from engine.runtime.strategy_desk import OVERRIDE_NAME
from tests.support.build import SIMPLE_MODELS

VIENNA = ZoneInfo("Europe/Vienna")
AT = "2026-11-25T14:00"
REAL_SITE = (
    "devices: [{name: bms, profile: demo_bms, host: 127.0.0.1, port: 9, unit_id: 1}, "
    "{name: meter, profile: demo_meter, host: 127.0.0.1, port: 9, unit_id: 3}]\n"
)


@dataclass(frozen=True)
class Site:
    """Folders of one installation."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def arguments(self, *more: str) -> list[str]:
        return [
            *("plan", "--config", str(self.folder / "config"), "--data", str(self.data)),
            *more,
        ]

    def store(self) -> DuckDbHistory:
        return DuckDbHistory(self.data / DATABASE_NAME)


def made_site(folder: Path, text: str = "") -> Site:
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "ems.yaml").write_text(SIMPLE_MODELS + text, encoding="utf-8")
    return Site(folder)


def told(site: Site, *arguments: str) -> str:
    """Return what a successful command prints."""
    out = io.StringIO()
    with redirect_stdout(out):
        assert main(site.arguments(*arguments)) == 0
    return out.getvalue()


def strict_json(text: str) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return made_site(tmp_path_factory.mktemp("plan"))


@pytest.fixture(scope="module")
def document(demo: Site) -> Any:
    return strict_json(told(demo, "--at", AT, "--json"))


# -- what is printed -----------------------------------------------------------------------


def test_json_holds_the_plan_with_a_reason_for_every_step(document: Any) -> None:
    plan = document["plan"]
    assert plan["start"] == "2026-11-25T13:00:00.000Z", "14:00 in Vienna"
    assert (len(plan["steps"]), plan["step_minutes"]) == (144, 15)
    assert plan["check"]["passed"] is True
    assert plan["trigger"] == "command"
    for step in plan["steps"]:
        assert step["why"]["code"]
        flow_kw = step["load_kw"] - step["pv_kw"] + step["curtailed_kw"] - step["battery_kw"]
        assert step["grid_kw"] == pytest.approx(flow_kw, abs=1e-6)
    published = [not step["price_is_forecast"] for step in plan["steps"]]
    # From 13:00 on tomorrow is published: 34 hours from 14:00.
    assert published == [True] * 136 + [False] * 8


def test_json_holds_every_strategy_every_baseline_and_what_it_was_made_from(
    document: Any,
) -> None:
    assert {c["strategy"] for c in document["selection"]["candidates"]} == set(StrategyKey)
    baselines = document["baselines"]
    assert "no_battery" in baselines
    assert len(baselines) >= 4
    chosen = next(
        c
        for c in document["selection"]["candidates"]
        if c["strategy"] == document["selection"]["active"]
    )
    for row in baselines.values():
        assert row["plan_saves_eur"] == pytest.approx(row["cost_eur"] - chosen["cost_eur"])
    assert baselines["no_battery"]["plan_saves_eur"] == pytest.approx(chosen["saving_eur"])
    assert {f["signal"] for f in document["forecasts"]} == {
        "spot_eur_per_kwh",
        "load_kw",
        "pv_kw",
    }
    assert document["soc"] == {"percent": 50.0, "source": "demo_plant.soc_start_percent"}


def test_the_table_says_what_it_costs_against_whom_and_why(demo: Site) -> None:
    # The offset makes it the same time as 14:00 in Vienna.
    text = told(demo, "--at", "2026-11-25T13:00+00:00", "--soc", "30")
    lines = text.splitlines()
    assert "2026-11-25 14:00 to 2026-11-27 02:00 (Europe/Vienna)" in lines[0]
    assert any("30.0 % (given)" in line for line in lines)
    assert any("independent check passed" in line for line in lines)
    assert any("no_battery" in line and "the plan saves" in line for line in lines)
    assert sum(line.startswith(" *") for line in lines) == 1, "one strategy is chosen"
    steps = lines[lines.index(next(line for line in lines if line.startswith("time "))) + 1 : -1]
    assert len(steps) == 144
    assert steps[0].startswith("25. 14:00 ")
    assert steps[-1].startswith("27. 01:45~"), "not published"
    assert all(line.rstrip().endswith(".") for line in steps), "every step says why"
    assert "nan" not in text.lower().replace("finan", "")
    assert not demo.data.exists(), "nothing is stored"


def test_a_fixed_tariff_needs_no_exchange_and_marks_nothing_as_forecast(tmp_path: Path) -> None:
    site = made_site(
        tmp_path,
        "prices: {demo_mode: false, urls: {awattar: 'http://127.0.0.1:9', "
        "energy_charts: 'http://127.0.0.1:9'}}\n"
        "tariff: {energy_price_windows: [{name: day, from: 06:00, to: 22:00, eur_per_kwh: 0.25}, "
        "{name: night, from: 22:00, to: 06:00, eur_per_kwh: 0.12}], feed_in_eur_per_kwh: 0.08}\n",
    )
    found = strict_json(told(site, "--at", AT, "--json"))
    steps = found["plan"]["steps"]
    assert {step["spot_eur_per_kwh"] for step in steps} == {None}
    assert len({step["buy_eur_per_kwh"] for step in steps}) == 2
    assert found["plan"]["forecast_sources"]["price"] == "none"
    assert found["plan"]["profit_24h_eur"] > 0
    table = told(site, "--at", AT)
    assert table.count("~") == 1, "only the legend"


# -- what was known then -------------------------------------------------------------------


def test_the_state_of_charge_is_the_one_stored_then_and_not_a_later_one(tmp_path: Path) -> None:
    site = made_site(tmp_path)
    then = datetime(2026, 11, 25, 12, 58, tzinfo=UTC)
    store = site.store()
    store.write(
        Batch(
            samples=tuple(
                SampleRow(ts=ts, site_id="site-1", values={"soc_percent": soc}, simulated=True)
                for ts, soc in ((then, 61.0), (then + timedelta(minutes=6), 80.0))
            )
        )
    )
    store.close()
    found = strict_json(told(site, "--at", AT, "--json"))
    assert found["soc"] == {"percent": 61.0, "source": "stored at 2026-11-25 12:58 UTC"}


def test_a_choice_by_hand_is_heeded_while_it_lasts_and_never_touched(tmp_path: Path) -> None:
    site = made_site(tmp_path)
    site.data.mkdir()
    choice = {
        "version": 1,
        "strategy": "self_consumption",
        "until": "2026-11-25T15:00:00+00:00",
        "chosen_at": "2026-11-25T12:00:00+00:00",
        "chosen_by": None,
    }
    file = site.data / OVERRIDE_NAME
    file.write_text(json.dumps(choice), encoding="utf-8")
    assert "(manual, manual)" in told(site, "--at", AT)
    assert "(auto, first)" in told(site, "--at", "2026-11-25T18:00")
    assert json.loads(file.read_text(encoding="utf-8")) == choice


class AllPrices:
    """Knows the prices of three days."""

    start = datetime(2026, 11, 24, 23, tzinfo=UTC)

    def published(self, now: datetime) -> DayAheadPrices:
        return DayAheadPrices(self.start, np.arange(288.0) / 1000.0, "test", self.start)


@pytest.mark.parametrize(("hour", "days"), [(12, 1), (13, 2)])
def test_prices_reach_as_far_as_the_exchange_had_published(hour: int, days: int) -> None:
    at = datetime(2026, 11, 25, hour, 30, tzinfo=VIENNA)
    now = at + timedelta(days=5)
    then = known_at(parse_config(""), MarketService(AllPrices()), at, now).prices.published(at)
    assert then.end == AllPrices.start + timedelta(days=days)
    assert then.at(AllPrices.start) == 0.0
    assert then.origin_at(AllPrices.start) is not None
    present = known_at(parse_config(""), MarketService(AllPrices()), at, at)
    assert present.prices.published(at).end == AllPrices.start + timedelta(days=3)
    long_ago = at - timedelta(days=30)
    before = known_at(parse_config(""), MarketService(AllPrices()), long_ago, now)
    with pytest.raises(MarketError, match="No day-ahead prices are known for 2026-10-26"):
        before.prices.published(long_ago)


# -- what goes wrong -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--soc", "120"], "120 is no state of charge"),
        (["--soc", "nan"], "nan is no state of charge"),
        (["--at", "0001-01-01"], "no plan for the year 1"),
    ],
)
def test_what_cannot_be_is_one_clear_error(
    demo: Site, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(demo.arguments(*arguments)) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--at", "tomorrow"], "'tomorrow' is not a time; write it like"),
        (["--at", "2026-11-25T25:00"], "is not a time"),
        (["--soc", "half"], "invalid float value: 'half'"),
    ],
)
def test_what_cannot_be_read_is_named(
    demo: Site, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(demo.arguments(*arguments))
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_help_explains_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["plan", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(option in text for option in ("--at", "--soc", "--json", "--data", "--config"))
    assert "local time" in text


def test_a_data_folder_in_use_is_said_with_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = made_site(tmp_path)
    store = site.store()
    try:
        assert main(site.arguments("--at", AT)) == 2
    finally:
        store.close()
    error = capsys.readouterr().err
    assert "The program runs on this data folder" in error
    assert "GET /api/plan" in error


def test_a_real_site_needs_a_state_of_charge_and_a_past(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = made_site(tmp_path, REAL_SITE)
    assert main(site.arguments("--at", AT)) == 2
    assert "--soc PERCENT" in capsys.readouterr().err
    assert main(site.arguments("--at", AT, "--soc", "50")) == 2
    error = capsys.readouterr().err
    assert "not enough history" in error
    assert "Traceback" not in error
