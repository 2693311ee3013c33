"""Polling by profile features: one answer for value and factor, a walk per connection."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sunspec_images import chain, model

from engine.devices.group import DeviceGroup
from engine.devices.profile import MODBUS_PROFILES, parse_profile
from engine.devices.simulator.image_server import ImageServer
from engine.devices.spec import DeviceSpec
from engine.domain.clock import ManualClock
from engine.domain.sample import Quality, Sample

METER_W, METER_W_SF = 18, 22


class Device:
    """An image that tests change while it is served."""

    def __init__(self) -> None:
        self.tables: dict[int, dict[int, int]] = {}
        self.clock = ManualClock(datetime(2026, 11, 3, 12, tzinfo=UTC))
        self.server = ImageServer(lambda: self.tables)
        self.group: DeviceGroup | None = None

    def serve(self, words: list[int], base: int = 40000, key: str = "sunspec_meter") -> None:
        self.tables = {3: dict(enumerate(words, start=base))}
        port = self.server.start()
        if self.group is None:
            spec = DeviceSpec("d", MODBUS_PROFILES[key], "127.0.0.1", port, 1, timeout_s=30.0)
            self.group = DeviceGroup([spec], self.clock)

    def poll(self) -> dict[str, Sample]:
        assert self.group is not None
        # Longer than any pause a link makes after a failure.
        self.clock.advance(60.0)
        self.group.poll_once()
        return dict(self.group.device_samples("d"))

    def state(self) -> tuple[str, str | None]:
        assert self.group is not None
        link = self.group.links()[0]
        return link.state, link.reason


@pytest.fixture
def device() -> Iterator[Device]:
    made = Device()
    yield made
    if made.group is not None:
        made.group.stop(None)
    made.server.stop()


def meter(watts: int, factor: int) -> list[int]:
    return model(203, 105, {METER_W: watts, METER_W_SF: factor})


def test_a_scale_factor_may_change_at_run_time(device: Device) -> None:
    device.serve(chain(model(1, 66), meter(1234, 0)))
    assert device.poll()["grid_kw"].value == pytest.approx(1.234)
    start = 40002 + 68
    device.tables[3] |= {start + METER_W: 4321, start + METER_W_SF: 1}
    assert device.poll()["grid_kw"].value == pytest.approx(43.21)
    device.tables[3][start + METER_W_SF] = 0x8000
    sample = device.poll()["grid_kw"]
    assert sample.quality is Quality.BAD
    assert "scale factor" in (sample.reason or "")


def test_a_renewed_connection_walks_the_models_again(device: Device) -> None:
    device.serve(chain(model(1, 66), meter(1000, 0)))
    assert device.poll()["grid_kw"].value == pytest.approx(1.0)
    device.server.stop()
    lost = device.poll()["grid_kw"]
    assert lost.value is None
    # Other firmware: one model more in front, so every address has moved.
    moved = chain(model(1, 66), model(64000, 30), meter(2000, 0))
    device.serve(moved)
    values = [device.poll()["grid_kw"].value for _ in range(3)]
    assert values[-1] == pytest.approx(2.0)
    # 30 registers further back lies another value; it never appears under this name.
    assert {round(value, 3) for value in values if value is not None} == {2.0}


def test_a_device_without_sunspec_says_what_to_do(device: Device) -> None:
    device.serve([1, 2, 3, 4])
    samples = device.poll()
    assert all(sample.quality is Quality.BAD for sample in samples.values())
    state, reason = device.state()
    assert state == "degraded"
    assert "Enable SunSpec" in (reason or "")
    device.tables = {3: dict(enumerate(chain(meter(500, 0)), start=40000))}


def test_a_missing_model_leaves_the_rest_of_the_device_usable(device: Device) -> None:
    device.serve(chain(model(1, 66), meter(700, 0)), key="sunspec")
    samples = device.poll()
    assert samples["grid_kw"].value == pytest.approx(0.7)
    assert "no SunSpec model" in (samples["soc_percent"].reason or "")
    assert device.state()[0] == "online"


def test_an_alarm_register_of_the_device_sets_the_canonical_bits(device: Device) -> None:
    words = [0] * 62
    words[26 - 2], words[27 - 2] = 0x0010, 0x0200
    device.serve(chain([802, 62, *words]), key="sunspec")
    # Bit 9 forbids charging (bit 2 of ours), bit 20 is a fault (bit 4 of ours).
    assert device.poll()["alarm_bits"].value == 0b10100
    start = 40002
    device.tables[3] |= {start + 26: 0xFFFF, start + 27: 0xFFFF}
    assert device.poll()["alarm_bits"].quality is Quality.BAD


def test_bits_of_one_register_are_one_point() -> None:
    from engine.devices.layout import lay_out

    profile = parse_profile(
        {
            "key": "p",
            "label": "p",
            "manufacturer": "m",
            "kinds": ["meter"],
            "source": "test",
            "registers": {
                "a": {"address": 5, "function": 3, "bit": 0},
                "b": {"address": 5, "function": 3, "bit": 1},
                "word": {"address": 5, "function": 3},
                "slow": {"address": 9, "function": 3, "priority": "low"},
            },
        }
    )
    layout = lay_out(profile)
    assert len(layout.points) == 2
    assert {point.address for point in layout.low_priority} == {9}
