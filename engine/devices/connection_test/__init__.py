"""Read-only test of one device: reachable, right unit, right addresses, plausible values."""

from engine.devices.connection_test.report import (
    Candidate,
    ConnectionReport,
    Finding,
    RegisterReading,
    Step,
    StepState,
)
from engine.devices.connection_test.runner import run_connection_test

__all__ = [
    "Candidate",
    "ConnectionReport",
    "Finding",
    "RegisterReading",
    "Step",
    "StepState",
    "run_connection_test",
]
