"""What a connection test found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class StepState(StrEnum):
    """How a step ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the test.

    Attributes:
        name: ``"resolve"``, ``"connect"``, ``"unit"``, ``"addresses"``, ``"registers"`` or
            ``"physics"``.
        state: How it ended.
        detail: What was found, one sentence.
        hint: What to try, or None.
        duration_ms: Time it took.
    """

    name: str
    state: StepState
    detail: str
    hint: str | None = None
    duration_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """How plausible the values are under one address base and word order.

    Attributes:
        address_base: Number of the first register, 0 or 1.
        word_order_swapped: True when the order of the registers of a number is the opposite of
            the profile's.
        configured: True for the setting under test.
        score: 0 (nonsense) to 1 (every value plausible); None without evidence.
        by_function: Function code to score of its registers alone.
        values: Signal to value under this setting, for the eye.
    """

    address_base: int
    word_order_swapped: bool
    configured: bool
    score: float | None
    by_function: Mapping[int, float] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RegisterReading:
    """One register (or alarm) as it was read.

    Attributes:
        signal: Name of the signal or alarm.
        address: Address as the manufacturer writes it; None for a derived signal.
        function: Function code it is read with; None for a derived signal.
        data_type: Layout in registers; ``"bit"`` for coils and discrete inputs.
        words: Registers as read, each 0..65535; None when there was no answer.
        value: Canonical value; None when BAD.
        unit: Unit of the value.
        quality: Quality code.
        reason: Why it is not GOOD, in words.
        latency_ms: Round trip of the request it was part of; None when there was no answer.
        description: Meaning.
    """

    signal: str
    address: int | None
    function: int | None
    data_type: str | None
    words: tuple[int, ...] | None
    value: float | None
    unit: str
    quality: str
    reason: str | None
    latency_ms: float | None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that looks wrong, and what to try.

    Attributes:
        severity: ``"error"``, ``"warning"`` or ``"info"``.
        code: Machine-readable kind, for example ``"sign"``, ``"scale"``, ``"address_base"``.
        signals: Signals concerned.
        message: What looks wrong, one sentence.
        hint: What to try.
    """

    severity: str
    code: str
    signals: tuple[str, ...]
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """Everything one test found; nothing was written to the device.

    Attributes:
        device: Name of the device.
        profile: Key of the profile it was read with.
        endpoint: Host and port, or serial device.
        unit_id: Modbus unit id.
        through_live_link: True when the connection already open was used.
        simulated: True when a simulated device answers.
        started: When the test began, UTC.
        duration_ms: How long it took.
        steps: Steps in order.
        candidates: Settings that were compared, best first.
        registers: Every register, alarm and derived signal.
        findings: What looks wrong.
        address_base: Base the evidence settles, or None when it does not.
        out_of_time: True when the time limit cut it short.
    """

    device: str
    profile: str
    endpoint: str
    unit_id: int
    through_live_link: bool
    simulated: bool
    started: datetime
    duration_ms: float
    steps: tuple[Step, ...]
    candidates: tuple[Candidate, ...] = ()
    registers: tuple[RegisterReading, ...] = ()
    findings: tuple[Finding, ...] = ()
    address_base: int | None = None
    out_of_time: bool = False

    @property
    def ok(self) -> bool:
        """True when the test was completed, no step failed and no finding is an error."""
        failed = any(step.state is StepState.FAILED for step in self.steps)
        wrong = any(finding.severity == "error" for finding in self.findings)
        return not (failed or wrong or self.out_of_time)

    def step(self, name: str) -> Step | None:
        """Return the step of that name, or None when it was not reached."""
        return next((step for step in self.steps if step.name == name), None)
