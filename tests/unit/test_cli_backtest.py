from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ems_dash.cli.main import main
from engine.analytics.backtest import tournament
from engine.analytics.backtest.policy import Policy
from engine.audit.reading import AuditQuery, read_page
from tests.support.backtest_cases import VIENNA, series

SITE_YAML = """
site: {timezone: Europe/Vienna}
bess: {energy_capacity_kwh: 100, power_charge_max_kw: 50, power_discharge_max_kw: 50}
grid: {import_limit_kw: 150, export_limit_kw: 150}
"""
TARIFF = "tariff: {demand_charge: {eur_per_kw: 8}}\n"
KEYS = {
    "saving_eur", "capture", "energy_eur", "demand_eur", "wear_eur", "full_cycles",
    "self_consumption", "self_sufficiency", "monthly_peaks_kw", "solves", "seconds",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with hourly prices and half-hourly load over the spring clock change."""
    folder = tmp_path_factory.mktemp("backtest")
    data = series(datetime(2025, 3, 20), 14)  # noqa: DTZ001 (a local day)
    times = [data.start + k * timedelta(minutes=15) for k in range(data.n)]
    (folder / "site.yaml").write_text(SITE_YAML)
    (folder / "charged.yaml").write_text(SITE_YAML + TARIFF)
    prices = ["ts_utc;price_eur_per_mwh"]
    prices += [
        f"{times[k].astimezone(VIENNA).isoformat()};{1000 * data.spot_eur_per_kwh[k]:.2f}"
        for k in range(0, data.n, 4)
    ]
    (folder / "prices.csv").write_text("\n".join(prices))
    load = ["ts_utc,load_kw"]
    load += [
        f"{times[k]:%Y-%m-%d %H:%M:%S}+00:00,{data.load_kw[k]:.3f}" for k in range(0, data.n, 2)
    ]
    (folder / "load.csv").write_text("\n".join(load))
    pq.write_table(
        pa.table(
            {
                "ts_utc": pa.array(times, pa.timestamp("s", tz="UTC")),
                "price_eur_per_mwh": 1000.0 * data.spot_eur_per_kwh,
                "load_kw": data.load_kw,
                "pv_kw": data.pv_kw,
            }
        ),
        folder / "all.parquet",
    )
    return folder


def run(folder: Path, *arguments: str, site: str = "site.yaml") -> int:
    return main(["backtest", "--site", str(folder / site), *arguments])


def test_odd_files_are_answered_with_every_figure_and_assumption(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(
        folder, "--prices", str(folder / "prices.csv"), "--load", str(folder / "load.csv"),
        "--from", "2025-03-28", "--to", "2025-04-01", "--strategy", "co_optimised",
        "--strategy", "none", "--forecaster", "day_type", "--plan-minutes", "60", "--json",
    )  # fmt: skip
    out, err = capsys.readouterr()
    assert code == 0
    answer = json.loads(out)
    # Four local days, one of which has 23 hours.
    assert answer["quarter_hours"] == 4 * 96 - 4
    found = answer["strategies"]["co_optimised"]
    assert set(found) >= KEYS
    assert 0.0 < found["capture"] <= 1.0
    assert found["saving_eur"] <= answer["perfect_saving_eur"]
    assert found["self_consumption"] is None
    assert len(found["monthly_peaks_kw"]) == 1
    assert answer["strategies"]["none"]["saving_eur"] == 0.0
    said = " ".join(answer["assumptions"])
    assert "states no tariff" in said
    assert "no column pv_kw" in said
    assert "60 min" in said
    assert "co_optimised" in err
    assert "Traceback" not in err


def test_perfect_foresight_captures_all_and_the_files_are_written(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code = run(
        folder, "--data", str(folder / "all.parquet"), "--strategy", "co_optimised",
        "--strategy", "self_consumption_rule", "--forecaster", "perfect", "--out", str(out),
        site="charged.yaml",
    )  # fmt: skip
    text = capsys.readouterr().out
    assert code == 0
    assert "1.000" in text
    assert "monthly peaks" in text
    report = json.loads((out / "report.json").read_text())
    assert report["strategies"]["co_optimised"]["capture"] == 1.0
    table = pq.read_table(out / "co_optimised.parquet")
    assert table.num_rows == report["quarter_hours"]
    assert {"ts_utc", "battery_kw", "grid_kw", "stored_kwh"} <= set(table.column_names)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--strategy", "gambling"], "Use one of"),
        (["--forecaster", "oracle"], "Use one of"),
        (["--from", "2025-03-28", "--to", "2025-03-27"], "before it begins"),
        (["--from", "2031-01-01", "--to", "2031-01-02"], "inside the data"),
        (["--from", "tomorrow"], "is no time"),
    ],
)
def test_mistakes_end_with_one_clear_line_and_no_answer(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    code = run(folder, "--data", str(folder / "all.parquet"), "--json", *arguments)
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert said in err


def test_a_site_file_that_is_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.yaml").write_text("bess: {energy_capacity: 3}\n")
    code = run(folder, "--data", str(folder / "all.parquet"), site="broken.yaml")
    assert code == 2
    assert "energy_capacity" in capsys.readouterr().err
    assert run(folder, "--data", str(folder / "all.parquet"), site="missing.yaml") == 2


def test_a_tournament_proposes_and_writes_only_when_asked(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = (
        Policy("co_optimised", "naive", plan_minutes=1440, sub_steps=1),
        Policy("co_optimised", "naive", plan_minutes=1440, reserve=0.5, sub_steps=1),
    )
    monkeypatch.setattr(tournament, "candidates", lambda *_args, **_options: few)
    data = series(datetime(2025, 3, 1), 28)  # noqa: DTZ001 (a local day)
    times = [data.start + k * timedelta(minutes=15) for k in range(data.n)]
    columns = {
        "ts_utc": pa.array(times, pa.timestamp("s", tz="UTC")),
        "price_eur_per_mwh": 1000.0 * data.spot_eur_per_kwh,
        "load_kw": data.load_kw,
    }
    pq.write_table(pa.table(columns), tmp_path / "month.parquet")
    asked = ["--data", str(tmp_path / "month.parquet"), "--tournament", "--forecaster", "naive",
             "--plan-minutes", "1440", "--json"]  # fmt: skip
    assert run(folder, *asked, "--accept", site="charged.yaml") == 2
    assert "ems.yaml" in capsys.readouterr().err
    (tmp_path / "ems.yaml").write_text(SITE_YAML + TARIFF)
    before = (tmp_path / "ems.yaml").read_text()
    assert main(["backtest", "--site", str(tmp_path), *asked]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["standings"]) == len(few)
    assert not answer["accepted"]
    assert (tmp_path / "ems.yaml").read_text() == before
    assert not (tmp_path / "data").exists()
    asked += ["--accept", "--audit", str(tmp_path / "data")]
    assert main(["backtest", "--site", str(tmp_path), *asked]) == 0
    accepted = json.loads(capsys.readouterr().out)["proposal"]
    assert f"uncertainty: {accepted['uncertainty']}" in (tmp_path / "ems.yaml").read_text()
    (entry,) = read_page(tmp_path / "data" / "audit", AuditQuery()).entries
    assert (entry.action, entry.via, entry.target) == ("policy.accept", "cli", "ems.yaml")
    assert entry.after["uncertainty"] == accepted["uncertainty"]


def test_studies_are_answered_as_tables_as_json_and_as_files(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "other.yaml").write_text("tariff: {grid_fee_eur_per_kwh: 0.01}\n")
    asked = [
        "--data", str(folder / "all.parquet"), "--from", "2025-03-28", "--to", "2025-03-30",
        "--strategy", "self_consumption_rule", "--study", "tariffs", "--study", "limits",
        "--study", "sizing", "--tariff", f"cheap={tmp_path / 'other.yaml'}", "--import-kw", "5,90",
        "--export-kw", "0", "--cycles", "50", "--energies-kwh", "50,100", "--powers-kw", "50",
        "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    assert run(folder, *asked, "--json", site="charged.yaml") == 0
    out, err = capsys.readouterr()
    found = json.loads(out)["studies"]
    assert list(found) == ["tariffs", "limits", "sizing"]
    assert "limits ..." in err
    rows = {(row["tariff"], row["strategy"]): row for row in found["tariffs"]["rows"]}
    assert rows["cheap", "none"]["total_eur"] < rows["in force", "none"]["total_eur"]
    assert rows["cheap", "co_optimised"]["capture"] == 1.0
    limits = {(row["limit"], row["at"]): row for row in found["limits"]["rows"]}
    assert "cannot be kept" in limits["grid_import", 5.0]["failure"]
    assert limits["grid_export", 0.0]["gain_eur"] <= 1e-6
    assert limits["cycles", 50.0]["gain_eur"] <= 1e-6
    assert len(found["sizing"]["points"]) == 2
    csv = (tmp_path / "out" / "studies.csv").read_text().splitlines()
    assert len(csv) == 1 + sum(len(d.get("rows", d.get("points"))) for d in found.values())
    # What was computed is kept: asked again, in words this time, the answer is the same.
    assert run(folder, *asked, site="charged.yaml") == 0
    text = capsys.readouterr().out
    assert "It cannot be kept" in text
    assert f"{rows['cheap', 'none']['total_eur']:,.2f}" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--study", "everything"], "no study 'everything'"),
        (["--study", "tariffs"], "--tariff NAME=FILE"),
        (["--study", "limits", "--cycles", "many"], "no list of numbers"),
        (["--study", "montecarlo", "--years", "1"], "greater than or equal to 2"),
        (["--study", "montecarlo", "--own-prices"], "No week of"),
    ],
)
def test_a_study_that_cannot_be_done_says_why(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(folder, "--data", str(folder / "all.parquet"), *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
