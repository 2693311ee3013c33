"""The simulate command as people run it: endpoint printed, readable, clean on Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pymodbus.client import ModbusTcpClient

from ems_dash.cli.main import main

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGTERM])
def test_a_simulated_device_is_served_until_it_is_interrupted(stop_signal: int) -> None:
    command = "simulate --profile hithium_ess_5016 --port 0 --json"
    process = subprocess.Popen(
        [sys.executable, "-m", "ems_dash", *command.split()],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        endpoint = json.loads(process.stdout.readline())
        assert endpoint["host"] == "127.0.0.1"
        assert endpoint["simulated"] is True
        client = ModbusTcpClient("127.0.0.1", port=endpoint["port"], retries=0)
        assert client.connect()
        answer = client.read_input_registers(4, count=1, device_id=endpoint["unit_id"])
        client.close()
        assert 0 <= answer.registers[0] <= 100
        process.send_signal(stop_signal)
        _, errors = process.communicate(timeout=20)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--profile", "nope"], "unknown device profile"),
        (["--profile", "sma_storage", "--port", "70000"], "port: it is out of range"),
        (["--profile", "sma_storage", "--unit-id", "300"], "unit_id: it is out of range"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
