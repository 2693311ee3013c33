"""The walk: where the marker is looked for, what ends it, and what cannot be walked."""

import pytest
from sunspec_images import MARKER, Reader, chain, model

from engine.devices.answer_error import DeviceAnswerError
from engine.devices.sunspec.discovery import discover
from engine.domain.errors import DeviceError

BASES = (40000, 50000, 0)


@pytest.mark.parametrize("base", BASES)
def test_the_marker_is_found_at_every_usual_address(base: int) -> None:
    found = discover(Reader(chain(model(1, 66), model(103, 50)), base), BASES)
    assert found.base == base
    assert [(m.number, m.address, m.length) for m in found.models] == [
        (1, base + 2, 66),
        (103, base + 70, 50),
    ]
    assert found.numbers == {1, 103}
    assert found.first(203) is None


def test_other_content_at_one_address_does_not_end_the_search() -> None:
    reader = Reader(chain(model(1, 66)), 50000)
    reader.table |= {40000: 1, 40001: 2}
    assert discover(reader, BASES).base == 50000


def test_a_device_without_a_length_behind_the_end_mark_is_walked() -> None:
    found = discover(Reader(chain(model(1, 66), end=(0xFFFF,))), BASES)
    assert [m.number for m in found.models] == [1]


def test_models_that_are_not_known_here_are_walked_over() -> None:
    found = discover(Reader(chain(model(64201, 12), model(802, 62))), BASES)
    assert found.first(802) is not None


def test_no_marker_says_where_it_was_looked_for_and_what_to_do() -> None:
    reader = Reader([1, 2], 40000)
    with pytest.raises(DeviceError, match="40000: other content") as caught:
        discover(reader, BASES)
    assert "50000" in str(caught.value)
    assert "Enable SunSpec" in (caught.value.hint or "")


@pytest.mark.parametrize("length", [0, 0xFFFF])
def test_a_model_without_a_length_is_refused(length: int) -> None:
    with pytest.raises(DeviceError, match="no valid length"):
        discover(Reader([*MARKER, 103, length, 0, 0]), BASES)


def test_a_list_that_never_ends_is_refused() -> None:
    endless = chain(*(model(1, 1) for _ in range(150)))
    with pytest.raises(DeviceError, match="no end"):
        discover(Reader(endless), BASES)


def test_a_busy_device_is_not_taken_for_one_without_sunspec() -> None:
    def busy(function: int, address: int, count: int) -> list[int]:
        raise DeviceAnswerError("busy", 6)

    with pytest.raises(DeviceAnswerError):
        discover(busy, BASES)
