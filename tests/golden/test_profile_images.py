"""Every shipped profile: raw registers over real Modbus TCP give the expected values and signs."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from engine.devices.group import DeviceGroup
from engine.devices.profile import MODBUS_PROFILES
from engine.devices.simulator.image_server import ImageServer
from engine.devices.spec import DeviceSpec
from engine.domain.clock import SystemClock
from engine.domain.sample import Quality, Sample

FOLDER = Path(__file__).parent / "profiles"
IMAGES = {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}
REAL = sorted(key for key in MODBUS_PROFILES if not key.startswith("demo_"))


def read_golden(key: str) -> dict[str, Any]:
    data: dict[str, Any] = YAML(typ="safe", pure=True).load(IMAGES[key].read_text("utf-8"))
    return data


def image_of(golden: Mapping[str, Any]) -> dict[int, dict[int, int]]:
    tables: dict[int, dict[int, int]] = {}
    for part in ("registers", "bits"):
        for function, rows in golden.get(part, {}).items():
            for address, words in rows.items():
                tables.setdefault(function, {}).update(enumerate(words, start=address))
    return tables


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[tuple[dict[str, Any], Mapping[str, Sample]]]:
    golden = read_golden(request.param)
    image = image_of(golden)
    server = ImageServer(lambda: image, unit_id=golden["unit_id"])
    port = server.start()
    spec = DeviceSpec(
        name="device",
        profile=MODBUS_PROFILES[golden["profile"]],
        host="127.0.0.1",
        port=port,
        unit_id=golden["unit_id"],
        timeout_s=30.0,
    )
    group = DeviceGroup([spec], SystemClock())
    try:
        group.poll_once()
        yield golden, group.device_samples("device")
    finally:
        group.stop(None)
        server.stop()


def test_every_real_profile_has_an_image() -> None:
    assert sorted(IMAGES) == REAL


@pytest.mark.parametrize("served", REAL, indirect=True)
def test_an_image_gives_the_expected_values_and_signs(
    served: tuple[dict[str, Any], Mapping[str, Sample]],
) -> None:
    golden, samples = served
    expected = golden["expect"]
    got = {name: sample.value for name, sample in samples.items() if sample.value is not None}
    assert got == {name: pytest.approx(value, rel=1e-6) for name, value in expected.items()}, {
        name: sample.reason for name, sample in samples.items() if sample.value is None
    }


@pytest.mark.parametrize("served", REAL, indirect=True)
def test_what_an_image_cannot_tell_is_never_good(
    served: tuple[dict[str, Any], Mapping[str, Sample]],
) -> None:
    golden, samples = served
    not_good = {n: s.quality for n, s in samples.items() if s.quality is not Quality.GOOD}
    assert not_good == {
        **dict.fromkeys(golden.get("bad", []), Quality.BAD),
        **dict.fromkeys(golden.get("uncertain", []), Quality.UNCERTAIN),
    }
    assert all(samples[name].reason for name in not_good)


@pytest.mark.parametrize("key", REAL)
def test_an_image_leaves_no_signal_of_the_profile_out(key: str) -> None:
    golden = read_golden(key)
    assert MODBUS_PROFILES[key].signals == {*golden["expect"], *golden.get("bad", [])}
