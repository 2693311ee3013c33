"""The history of a running program: over HTTP, and over the command line before and after."""

from __future__ import annotations

import hashlib
import json
import urllib.parse
from pathlib import Path

import pandas as pd
import pytest

from ems_dash.cli.main import main
from tests.support.process import running, wait_for

CONFIG = "demo_plant: {speed: 60}\nforecasts: {price: seasonal_naive, load: day_type}\n"
EVER = ["--from", "2020-01-01", "--to", "2100-01-01"]


def test_series_and_exports_of_a_program_that_runs_and_of_one_that_has_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ["--config", str(tmp_path / "config"), "--data", str(tmp_path / "data")]

    def export(name: str, *options: str) -> dict[str, object]:
        capsys.readouterr()
        assert main(["export", *options, "--out", str(tmp_path / name), *places, "--json"]) == 0
        about: dict[str, object] = json.loads(capsys.readouterr().out)
        assert about["sha256"] == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        beside = json.loads((tmp_path / f"{name}.meta.json").read_text(encoding="utf-8"))
        assert beside["rows"] == about["rows"]
        return about

    with running(tmp_path, CONFIG) as program:
        url = ["--url", f"http://127.0.0.1:{program.port}"]
        wait_for(
            lambda: (
                (found := program.get("/api/series?signals=load_kw")) and found["series"][0]["n"]
            ),
            "a stored sample",
        )
        shown = program.get("/api/series?signals=load_kw,plan:grid_kw")["series"]
        assert shown[0]["simulated"] is True
        first = export("samples.parquet", "--dataset", "samples", *EVER, *url)
        assert len(pd.read_parquet(tmp_path / "samples.parquet")) == first["rows"]
        assert main(["export", "--dataset", "x", *EVER, "--out", "x.csv", *places, *url]) == 2
        assert "There is no data set 'x'" in capsys.readouterr().err
        sql = urllib.parse.quote("SELECT count(*) AS n FROM events")
        assert program.get(f"/api/export/sql.csv/about?sql={sql}")["dataset"] == "sql"
        # nobody listens there, and the file cannot be opened: both are said
        nowhere = ["--url", "http://127.0.0.1:9"]
        options = ["--dataset", "events", *EVER, "--out", str(tmp_path / "e.csv")]
        assert main(["export", *options, *places, *nowhere]) == 2
        assert "give its address with --url" in capsys.readouterr().err
        program.stop()
    second = export("samples.csv", "--dataset", "samples", *EVER)
    assert isinstance(first["rows"], int)
    assert isinstance(second["rows"], int)
    assert second["rows"] >= first["rows"] > 0
    events = export("events.csv", "--dataset", "sql", "--sql", "SELECT code FROM events")
    codes = pd.read_csv(tmp_path / "events.csv")["code"]
    assert len(codes) == events["rows"]
    assert codes.iloc[-1] == "engine_stopped"
