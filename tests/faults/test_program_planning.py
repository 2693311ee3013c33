"""Planning by the whole program: what was chosen over HTTP outlasts a power cut."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.build import SIMPLE_MODELS
from tests.support.login import bearer
from tests.support.process import PATIENCE_S, ROOT, Program, running, wait_for


def post(program: Program, path: str, body: dict[str, Any] | None = None) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{program.port}{path}",
        data=json.dumps(body or {}).encode(),
        headers={"Content-Type": "application/json", **bearer()},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def planned_with(program: Program, strategy: str) -> Any:
    """Return the first published plan of a strategy."""

    def found() -> Any:
        plan = program.get("/api/plan")
        return plan if plan and plan["strategy"] == strategy else None

    return wait_for(found, f"a plan with {strategy} (log:\n{program.log_text()})")


def test_a_strategy_chosen_over_http_is_still_chosen_with_its_end_after_kill_9(
    tmp_path: Path,
) -> None:
    with running(tmp_path, SIMPLE_MODELS) as program:
        first = program.wait_for_plan()
        answer = post(program, "/api/strategy", {"strategy": "peak_shaving", "hours": 6})
        assert (answer["mode"], answer["manual"]) == ("manual", "peak_shaving")
        until = answer["manual_until"]
        plan = planned_with(program, "peak_shaving")
        assert (plan["trigger"], plan["check"]["passed"]) == ("override", True)
        assert plan["plan_id"] > first["plan_id"]
        ahead = datetime.fromisoformat(until) - datetime.fromisoformat(plan["created_at"])
        assert timedelta(hours=5.5) < ahead <= timedelta(hours=6)
        asked = subprocess.run(
            [
                *(sys.executable, "-m", "ems_dash", "plan"),
                *("--config", str(tmp_path / "config"), "--data", str(tmp_path / "data")),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert asked.returncode == 2
        assert "GET /api/plan" in asked.stderr
        assert "Traceback" not in asked.stderr
        program.kill()
    with running(tmp_path) as program:
        planned_with(program, "peak_shaving")
        state = program.get("/api/strategies")
        assert (state["mode"], state["manual"]) == ("manual", "peak_shaving")
        assert state["manual_until"] == until
        assert state["selection"]["reason"] == "manual"
        back = post(program, "/api/strategy/auto")
        assert (back["mode"], back["manual"]) == ("auto", None)
        wait_for(
            lambda: program.get("/api/strategies")["selection"]["mode"] == "auto",
            "an automatic choice",
        )
        assert program.stop() == 0
        assert "Traceback" not in program.log_text()
