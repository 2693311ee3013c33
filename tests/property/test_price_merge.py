"""Whatever comes in whatever order, prices are what someone published, as fine as it was seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.quarter_hour import STEP
from engine.market.intervals import FetchedPrices, PriceInterval
from engine.market.price_book import PriceBook, day_of

START = datetime(2026, 3, 28, 20, tzinfo=UTC)
HOURS = 12

Answer = tuple[int, int, int, float]
"""First hour, hours, minutes of an interval, level of the prices."""

answers = st.lists(
    st.tuples(
        st.integers(0, HOURS - 1),
        st.integers(1, HOURS),
        st.sampled_from([15, 60]),
        st.floats(-0.5, 0.9, allow_nan=False),
    ),
    min_size=1,
    max_size=8,
)


def fetched(number: int, answer: Answer) -> FetchedPrices:
    first, hours, minutes, level = answer
    count = min(hours, HOURS - first) * 60 // minutes
    begin = START + timedelta(hours=first)
    items = tuple(
        PriceInterval(begin + k * timedelta(minutes=minutes), minutes, level + k / 1000)
        for k in range(count)
    )
    return FetchedPrices(items, f"source {number}", START + timedelta(seconds=number), "test")


@given(answers)
def test_merging_keeps_the_finest_and_newest_of_what_was_published(
    given_answers: list[Answer],
) -> None:
    book = PriceBook()
    expected: dict[datetime, tuple[int, float, str]] = {}
    for number, answer in enumerate(given_answers):
        reply = fetched(number, answer)
        book.merge(reply)
        for item in reply.intervals:
            for k in range(item.minutes // 15):
                ts = item.start + k * STEP
                if ts not in expected or item.minutes <= expected[ts][0]:
                    expected[ts] = (item.minutes, item.eur_per_kwh, reply.source)
    prices = book.prices(START)
    assert prices is not None
    assert len(book) == len(expected)
    assert (prices.start, prices.end) == (min(expected), max(expected) + STEP)
    for i in range(HOURS * 4):
        ts = START + i * STEP
        origin = prices.origin_at(ts)
        if ts not in expected:
            assert prices.at(ts) is None
            assert origin is None
            continue
        minutes, value, source = expected[ts]
        assert origin is not None
        assert (origin.minutes, prices.at(ts), origin.source) == (minutes, value, source)


@given(answers)
def test_what_is_stored_by_day_comes_back_the_same(given_answers: list[Answer]) -> None:
    book, again = PriceBook(), PriceBook()
    days: set[int] = set()
    for number, answer in enumerate(given_answers):
        days |= book.merge(fetched(number, answer)).days
    assert days <= {day_of(START), day_of(START) + 1}
    for day in days:
        again.load_day(book.day_payload(day))
    before, after = book.prices(START), again.prices(START)
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(before.spot_eur_per_kwh, after.spot_eur_per_kwh)
    assert (before.start, before.source, before.origins) == (
        after.start,
        after.source,
        after.origins,
    )
    np.testing.assert_array_equal(before.origin_index, after.origin_index)
