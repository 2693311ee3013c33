"""The whole program beside a real Mosquitto: it speaks, survives the broker, says goodbye."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from mqtt_broker import Broker, Outside

from tests.support.login import bearer
from tests.support.process import Program, running, wait_for

TOPIC = "ems/site-1"


def mqtt_link(program: Program) -> dict[str, Any]:
    state = program.get("/api/state")
    return next((d for d in (state or {}).get("devices", []) if d["name"] == "mqtt"), {})


def post(program: Program, path: str, body: Any = None) -> Any:
    data = b"" if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{program.port}{path}",
        data=data,
        headers={**bearer(), "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_telemetry_and_plan_arrive_the_broker_may_die_and_the_end_is_announced(
    tmp_path: Path,
) -> None:
    broker = Broker(tmp_path)
    config = f"mqtt: {{enabled: true, broker_host: 127.0.0.1, broker_port: {broker.port}}}\n"
    config += "limits: {external: [{source: api}]}\n"
    try:
        # The broker is missing at first: the program runs all the same and says so.
        with running(tmp_path, config) as program:
            program.wait_for_plan()
            wait_for(lambda: mqtt_link(program).get("state") == "offline", "an honest link state")
            assert program.get("/api/state")["state"] == "automatic"
            broker.start()
            wait_for(lambda: mqtt_link(program).get("state") == "online", "a connection")
            outside = Outside(broker.port)
            telemetry = outside.wait(f"{TOPIC}/telemetry")
            assert telemetry
            outside.wait(f"{TOPIC}/plan")
            # However slow the machine is: the demo battery never has a fault of its own.
            outside.send(f"{TOPIC}/set/ack", {"value": "system_fault", "id": "1"})
            result = outside.wait(f"{TOPIC}/set/ack/result")
            assert (result["id"], result["accepted"]) == ("1", False)
            assert "no such alarm" in result["reason"]
            outside.send(f"{TOPIC}/set/power_kw", {"value": -20, "id": "2"})
            result = outside.wait(f"{TOPIC}/set/power_kw/result")
            assert (result["id"], result["accepted"], result["applied"]) == ("2", True, -20)
            wait_for(lambda: program.get("/api/state")["state"] == "manual", "control by hand")
            order = program.get("/api/control/manual")["manual"]
            assert (order["power_kw"], order["source"]) == (-20, "mqtt")
            outside.send(f"{TOPIC}/set/import_limit_kw", {"value": 50, "id": "3"})
            result = outside.wait(f"{TOPIC}/set/import_limit_kw/result")
            assert (result["id"], result["accepted"]) == ("3", False)
            assert "not configured" in result["reason"], "a source must be listed to limit anything"
            limit = {"source": "api", "charge_kw": 0, "discharge_kw": 0}
            post(program, "/api/control/limits", limit)
            limited = "external_limit:api"
            outside.wait(f"{TOPIC}/alarms", lambda d: limited in d["active"])
            outside.send(f"{TOPIC}/set/ack", {"value": limited, "id": "4"})
            seen = outside.wait(
                f"{TOPIC}/alarms", lambda d: any(a["acknowledged"] for a in d["alarms"])
            )
            shown = next(a for a in seen["alarms"] if a["id"] == limited)
            assert (shown["severity"], shown["acknowledged_by"]) == ("info", "mqtt")
            check = post(program, "/api/mqtt/test")
            assert check["ok"], check
            assert program.get("/api/mqtt/config")["status"]["state"] == "online"
            broker.kill()
            wait_for(lambda: mqtt_link(program).get("state") != "online", "the loss to be seen")
            before = program.get("/api/state")["seq"]
            wait_for(lambda: program.get("/api/state")["seq"] > before + 1, "control going on")
            broker.start()
            wait_for(lambda: mqtt_link(program).get("state") == "online", "the return")
            late = Outside(broker.port)
            late.wait(f"{TOPIC}/status", lambda m: m == "online")
            assert program.stop() == 0
            late.wait(f"{TOPIC}/status", lambda m: m == "offline")
            late.close()
            outside.close()
            assert "Traceback" not in program.log_text()
    finally:
        broker.kill()
