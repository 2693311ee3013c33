"""The connection test knows the image of every shipped profile, and knows it shifted or swapped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from engine.devices.connection_test import ConnectionReport, run_connection_test
from engine.devices.connection_test.plausibility import with_address_base, with_swapped_words
from engine.devices.profile import MODBUS_PROFILES
from engine.devices.profile_def import DeviceProfile
from engine.devices.simulator.image_server import ImageServer
from engine.devices.spec import DeviceSpec
from engine.domain.clock import SystemClock

IMAGES = sorted((Path(__file__).parent / "profiles").glob("*.yaml"), key=lambda path: path.stem)

Tables = dict[int, dict[int, int]]


def load(path: Path) -> tuple[DeviceProfile, int, Tables]:
    golden: dict[str, Any] = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    tables: Tables = {}
    for part in ("registers", "bits"):
        for function, rows in golden.get(part, {}).items():
            for address, words in rows.items():
                tables.setdefault(function, {}).update(enumerate(words, start=address))
    return MODBUS_PROFILES[golden["profile"]], golden["unit_id"], tables


def run(profile: DeviceProfile, unit_id: int, tables: Tables) -> ConnectionReport:
    server = ImageServer(lambda: tables, unit_id=unit_id)
    spec = DeviceSpec("device", profile, "127.0.0.1", server.start(), unit_id, timeout_s=30.0)
    try:
        return run_connection_test(spec, None, SystemClock(), observe_s=0.0)
    finally:
        server.stop()


def accusations(report: ConnectionReport) -> set[str]:
    codes = {finding.code for finding in report.findings if finding.severity == "error"}
    return codes & {"address_base", "word_order", "profile"}


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_a_device_as_its_profile_says_is_believed(path: Path) -> None:
    profile, unit_id, tables = load(path)
    report = run(profile, unit_id, tables)
    assert accusations(report) == set(), report.candidates
    assert report.candidates[0].configured
    assert report.step("physics") is not None


SHIFTABLE = [
    path
    for path in IMAGES
    if (profile := load(path)[0]).sunspec is None
    and with_address_base(profile, 1 - profile.address_base) is not None
]


@pytest.mark.parametrize("path", SHIFTABLE, ids=lambda path: path.stem)
@pytest.mark.parametrize("around", ["refused", "zeros"])
def test_a_device_that_counts_from_the_other_base_is_recognised(path: Path, around: str) -> None:
    profile, unit_id, tables = load(path)
    shift = -1 if profile.address_base == 0 else 1
    shifted: Tables = {}
    for function, table in tables.items():
        room = dict.fromkeys(table, 0) if around == "zeros" else {}
        shifted[function] = room | {address + shift: word for address, word in table.items()}
    report = run(profile, unit_id, shifted)
    assert accusations(report) == {"address_base"}, report.candidates
    assert report.address_base == 1 - profile.address_base


def _wide(path: Path) -> bool:
    profile = load(path)[0]
    # All longer numbers of the image of the Sinexcel PCS are 0: nothing tells their order.
    return with_swapped_words(profile) is not None and path.stem != "sinexcel_pcs"


@pytest.mark.parametrize("path", [p for p in IMAGES if _wide(p)], ids=lambda path: path.stem)
def test_a_device_that_swaps_words_is_recognised(path: Path) -> None:
    profile, unit_id, tables = load(path)
    swapped: Tables = {function: dict(table) for function, table in tables.items()}
    for register in profile.registers.values():
        table, first = tables.get(register.function, {}), profile.wire_address(register.address)
        span = range(first, first + register.type.width)
        if register.function in (3, 4) and all(address in table for address in span):
            words = [table[address] for address in reversed(span)]
            swapped[register.function].update(zip(span, words, strict=True))
    report = run(profile, unit_id, swapped)
    assert accusations(report) == {"word_order"}, report.candidates
