"""The contact of a grid operator's receiver, read over real Modbus TCP.

Closed, it reduces the battery within a cycle; whatever keeps it from being read counts as closed
and is named; opened again, the power comes back slowly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine.devices.simulator.image_server import Image
from engine.domain.control import EngineState
from engine.domain.errors import ConfigError, EmsError
from engine.domain.signals import EXTERNAL_CONTACT
from engine.runtime.history_setup import DATABASE_NAME
from tests.support.contact_device import NAME, ContactDevice
from tests.support.fault_site import CYCLE_S, Fault, FaultSite, assert_stored_as_seen

AUTOMATIC = (EngineState.AUTOMATIC, None)
NOT_READ = (EngineState.DEGRADED, "contact_missing")
REDUCED_KW = 10.0
READ = (
    "limits: {external: [{source: digital_input, contact_from: device, "
    f"reduced: {{charge_kw: 4.2, discharge_kw: {REDUCED_KW:g}}}}}]}}\n"
)
SLOW_RISE_KW = 0.05 * 100.0 * CYCLE_S
"""5 % of nameplate per second."""

Build = Callable[..., FaultSite]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    made: list[FaultSite] = []

    def make(contact: ContactDevice | None = None, text: str = READ, **named: Any) -> FaultSite:
        contact = contact or ContactDevice()
        made.append(
            FaultSite(tmp_path / f"data{len(made)}", monkeypatch, text, contact=contact, **named)
        )
        return made[-1]

    yield make
    for site in made:
        site.close()
        assert site.violations == []


def set_contact(site: FaultSite, closed: bool) -> None:
    """Close or open the contact, and hold the watcher to it."""
    assert site.contact is not None
    site.contact.closed = closed
    site.truth.charge_kw, site.truth.discharge_kw = (4.2, REDUCED_KW) if closed else (100.0, 100.0)


def told(site: FaultSite) -> list[str]:
    return [e.message for e in site.events() if e.code == "external_limit"]


def active_inverted_bit(closed: bool) -> Image:
    """Bit 5 of holding register 30, 0 while the contact is closed; the bits beside it are set."""
    return {3: {30: 0xFFDF if closed else 0xFFFF}}


@pytest.mark.parametrize(
    "contact",
    [
        ContactDevice,
        lambda: ContactDevice(
            active_inverted_bit, {"address": 30, "function": 3, "bit": 5, "inverted": True}
        ),
    ],
    ids=["discrete input", "inverted bit of a register"],
)
def test_a_closed_contact_reduces_within_a_cycle_and_an_open_one_releases_slowly(
    build: Build, contact: Callable[[], ContactDevice]
) -> None:
    site = build(contact()).settle(cycles=12)
    assert site.battery_kw == pytest.approx(60.0, abs=1.0)
    set_contact(site, True)
    site.run()
    assert site.told_kw == REDUCED_KW
    limits = site.limits
    assert (limits.charge_kw, limits.discharge_kw) == (4.2, REDUCED_KW)
    assert limits.discharge_binding == limits.charge_binding == "external_digital_input"
    assert site.state == AUTOMATIC, "nothing is missing"
    with pytest.raises(EmsError, match="read from a device") as refused:
        site.engine.operator.contact(False)
    assert refused.value.field == "closed"
    (limit,) = site.engine.operator.limits_in_force()
    assert (limit.source, limit.cause) == ("digital_input", "contact")
    set_contact(site, False)
    risen = [REDUCED_KW]
    while risen[-1] < 59.0:
        site.run()
        risen.append(site.limits.discharge_kw)
        assert risen[-1] <= risen[-2] + SLOW_RISE_KW + 1e-6
    assert len(risen) == 6
    site.run_until(lambda: site.battery_kw > 55.0, 10)
    assert told(site) == ["digital_input: closed", "digital_input: open"]
    assert "external_limit:digital_input" in {a.id for a in site.snapshot.alarms}
    assert_stored_as_seen(site)


@pytest.mark.parametrize("fault", [Fault.DEAD, Fault.SILENT])
def test_a_contact_that_cannot_be_read_counts_as_closed(build: Build, fault: Fault) -> None:
    site = build().settle(cycles=12)
    site.wires[NAME].fault = fault
    site.truth.charge_kw, site.truth.discharge_kw = 4.2, REDUCED_KW
    site.run()
    assert site.told_kw == REDUCED_KW
    assert site.limits.discharge_binding == "external_contact_missing"
    assert site.state == NOT_READ, "what is missing is said"
    site.run(3)
    assert site.state == NOT_READ
    alarms = {alarm.name: alarm for alarm in site.snapshot.alarms}
    assert alarms["contact_missing"].severity == "alarm"
    assert alarms["contact_missing"].message, "and why"
    assert "degraded_state" not in alarms
    (limit,) = site.engine.operator.limits_in_force()
    assert limit.cause == "contact_missing"
    site.wires[NAME].fault = Fault.NONE
    site.truth.charge_kw = site.truth.discharge_kw = 100.0
    site.run_until(lambda: site.state == AUTOMATIC and site.battery_kw > 55.0, 25)
    lost, back = told(site)
    assert lost.startswith("digital_input: not read, counts as closed (")
    assert back == "digital_input: open"
    assert_stored_as_seen(site)


def test_the_history_shows_the_contact_and_the_limit_it_set(build: Build) -> None:
    site = build().settle(cycles=12)
    set_contact(site, True)
    site.run(2)
    site.wires[NAME].fault = Fault.DEAD
    site.run(2)
    site.engine.stop()
    connection = duckdb.connect(str(site.folder / DATABASE_NAME), read_only=True)
    rows = connection.execute(
        f"SELECT {EXTERNAL_CONTACT}, binding, unusable FROM samples ORDER BY ts DESC LIMIT 5"
    ).fetchall()
    connection.close()
    assert rows == [
        (None, "external_contact_missing", 1),
        (None, "external_contact_missing", 1),
        (1, "external_digital_input", 0),
        (1, "external_digital_input", 0),
        (0, None, 0),
    ]


def test_before_it_was_ever_read_the_contact_counts_as_closed(build: Build) -> None:
    site = build()
    (limit,) = site.engine.operator.limits_in_force()
    assert (limit.cause, limit.discharge_kw) == ("contact_missing", REDUCED_KW)
    site.wires[NAME].fault = Fault.DEAD
    site.truth.charge_kw, site.truth.discharge_kw = 4.2, REDUCED_KW
    site.run(14)
    assert site.state == NOT_READ
    assert site.told_kw == REDUCED_KW
    assert told(site) == [], "the alarm says it"


def test_a_contact_told_by_a_client_before_is_forgotten_once_a_device_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = FaultSite(tmp_path, monkeypatch, "limits: {external: [{source: digital_input}]}")
    site.engine.operator.contact(True)
    site.contact = ContactDevice()
    site.restart(READ)
    try:
        site.run_until(lambda: site.battery_kw > 55.0, 25)
    finally:
        site.close()


@pytest.mark.parametrize(
    ("text", "with_module", "words"),
    [
        (READ, False, ["none supplies external_limit_contact", "digital_input_module"]),
        ("", True, ["no limit follows", "contact_from: device"]),
        ("limits: {external: [{source: digital_input}]}", True, ["no limit follows"]),
    ],
)
def test_devices_and_limits_that_do_not_agree_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    with_module: bool,
    words: list[str],
) -> None:
    contact = ContactDevice() if with_module else None
    try:
        with pytest.raises(ConfigError) as refused:
            FaultSite(tmp_path, monkeypatch, text, contact=contact)
    finally:
        if contact is not None:
            contact.close()
    assert refused.value.field == "limits.external"
    assert all(word in str(refused.value) for word in words)
