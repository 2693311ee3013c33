"""Live prices: merged from several sources, never waited for, never invented."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.domain.clock import ManualClock
from engine.domain.errors import FetchError, MarketError
from engine.domain.local_days import day_period
from engine.fetching.cache import DiskCache
from engine.fetching.refresher import BackgroundRefresher
from engine.market.intervals import FetchedPrices, PriceInterval
from engine.market.live_prices import LivePrices, PriceSchedule
from engine.market.price_file import PriceFile
from engine.market.prices import DayAheadPrices, differ_from

VIENNA = ZoneInfo("Europe/Vienna")


def local(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=VIENNA).astimezone(UTC)


class Exchange:
    """A source whose market publishes tomorrow at `published_at` local time."""

    attribution = "nobody"

    def __init__(self, name: str, minutes: int, clock: ManualClock, level: float = 0.1) -> None:
        self.name = name
        self.minutes = minutes
        self.level = level
        self.error: Exception | None = None
        self.published_at = (13, 0)
        self.knows_past = True
        self.asked: list[tuple[datetime, datetime]] = []
        self._clock = clock

    def price(self, ts: datetime) -> float:
        """A price with a shape inside the hour; its hourly mean is what hourly sources give."""
        quarter = ts.minute // 15
        shape = (0.03, 0.01, -0.01, -0.03)[quarter] if self.minutes == 15 else 0.0
        return self.level + 0.001 * ts.hour + shape

    def fetch(self, start: datetime, end: datetime) -> FetchedPrices:
        self.asked.append((start, end))
        if self.error is not None:
            raise self.error
        now = self._clock.now().astimezone(VIENNA)
        days = 2 if (now.hour, now.minute) >= self.published_at else 1
        last = day_period(now.date() + timedelta(days=days - 1), VIENNA)[1]
        first = start if self.knows_past else max(start, day_period(now.date(), VIENNA)[0])
        items, ts = [], first
        while ts < min(end, last):
            items.append(PriceInterval(ts, self.minutes, self.price(ts)))
            ts += timedelta(minutes=self.minutes)
        return FetchedPrices(tuple(items), self.name, self._clock.now(), "test")


def down(**more: float) -> FetchError:
    return FetchError("the host is down.", kind="unreachable", retryable=True, **more)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(local(25, 9))


@pytest.fixture
def quarters(clock: ManualClock) -> Exchange:
    return Exchange("quarters", 15, clock)


@pytest.fixture
def hours(clock: ManualClock) -> Exchange:
    return Exchange("hours", 60, clock)


Make = Callable[..., LivePrices]


@pytest.fixture
def make(clock: ManualClock) -> Make:
    def build(*sources: Exchange, **options: object) -> LivePrices:
        given = {"market": "at", **options}
        return LivePrices(sources, clock, VIENNA, Random(1), **given)  # type: ignore[arg-type]

    return build


def test_nothing_known_is_said_with_the_reason(make: Make, quarters: Exchange) -> None:
    live = make(quarters)
    with pytest.raises(MarketError, match="No day-ahead prices are known yet"):
        live.published(local(25, 9))
    assert (live.status().state, live.status().warn) == ("waiting", False)
    quarters.error = down()
    with pytest.raises(FetchError, match="the host is down"):
        live.refresh()
    with pytest.raises(MarketError, match="the host is down"):
        live.published(local(25, 9))
    assert live.status().state == "none"
    assert live.status().warn


def test_the_same_remedy_of_two_sources_is_said_once(
    make: Make, quarters: Exchange, hours: Exchange
) -> None:
    live = make(quarters, hours)
    for source in (quarters, hours):
        source.error = FetchError(
            f"{source.name} is away.", kind="unreachable", retryable=True, hint="Look at the cable."
        )
    with pytest.raises(FetchError):
        live.refresh()
    with pytest.raises(MarketError) as told:
        live.published(local(25, 9))
    for text in (str(told.value), live.status().message):
        assert text.count("Look at the cable.") == 1
        assert all(f"{source.name} is away." in text for source in (quarters, hours))


def test_what_is_not_published_stays_unknown(
    make: Make, clock: ManualClock, quarters: Exchange
) -> None:
    live = make(quarters)
    live.refresh()
    prices = live.published(clock.now())
    assert prices.end == local(26, 0)
    assert np.isnan(prices.steps(local(26, 0), 96)).all()
    clock.advance(4.1 * 3600)
    live.refresh()
    assert live.published(clock.now()).end == local(27, 0)
    assert live.status().state == "ok"
    assert live.status().known_until == local(27, 0)


def test_quarter_hours_replace_hours_and_never_the_other_way_round(
    make: Make, clock: ManualClock, quarters: Exchange, hours: Exchange
) -> None:
    quarters.error = down()
    live = make(quarters, hours)
    live.refresh()
    now = clock.now()
    before = live.published(now)
    assert before.source == "hours"
    assert before.at(now) == before.at(now + timedelta(minutes=45))
    origin = before.origin_at(now)
    assert origin is not None
    assert (origin.minutes, origin.source) == (60, "hours")

    quarters.error = None
    clock.advance(3600)
    live.refresh()
    after = live.published(now)
    assert after.source == "quarters"
    assert set(after.resolution_minutes) == {15}
    assert after.at(now) == pytest.approx(quarters.price(now))

    quarters.error = down()
    clock.advance(3600)
    live.refresh()
    again = live.published(now)
    assert set(again.resolution_minutes) == {15}
    assert again.at(now) == pytest.approx(quarters.price(now))


def test_an_hourly_tariff_does_not_bother_a_second_source(
    make: Make, quarters: Exchange, hours: Exchange
) -> None:
    make(hours, quarters, wanted_minutes=60).refresh()
    assert quarters.asked == []
    make(hours, quarters, wanted_minutes=15).refresh()
    assert len(quarters.asked) == 1


def test_hours_that_disagree_with_quarter_hours_are_noticed(
    make: Make, clock: ManualClock, quarters: Exchange, hours: Exchange
) -> None:
    live = make(quarters, hours)
    live.refresh()
    quarters.error, hours.level = down(), 0.12
    clock.advance(3600)
    live.refresh()
    assert live.status().disagreement_eur_per_kwh == pytest.approx(0.02)
    assert live.published(clock.now()).at(clock.now()) == pytest.approx(quarters.price(clock.now()))


def test_a_second_source_steps_in_and_the_first_comes_back(
    make: Make, clock: ManualClock, quarters: Exchange, hours: Exchange
) -> None:
    live = make(quarters, hours)
    quarters.error = down(retry_after_s=1800.0)
    live.refresh()
    first, second = live.status().sources
    assert first.last_error == "the host is down."
    assert first.next_try == clock.now() + timedelta(seconds=1800)
    assert second.last_error is None
    assert second.last_success == clock.now()
    assert second.age_s(clock.now() + timedelta(seconds=60)) == 60.0

    quarters.error = None
    clock.advance(600)
    live.refresh()
    assert len(quarters.asked) == 1, "the first source is left alone while it asked for that"
    clock.advance(1201)
    live.refresh()
    assert live.status().sources[0].last_error is None
    assert live.published(clock.now()).source == "quarters"


def test_a_source_that_breaks_unexpectedly_does_not_stop_the_next(
    make: Make, clock: ManualClock, quarters: Exchange, hours: Exchange
) -> None:
    quarters.error = KeyError("never thought of")
    live = make(quarters, hours)
    live.refresh()
    assert live.published(clock.now()).source == "hours"
    assert "could not be read (KeyError)" in str(live.status().sources[0].last_error)


def test_a_source_without_tomorrow_is_helped_out_after_publication(
    make: Make, clock: ManualClock, quarters: Exchange, hours: Exchange
) -> None:
    quarters.published_at = (23, 59)
    live = make(quarters, hours)
    clock.advance(4.1 * 3600)
    live.refresh()
    assert hours.asked == []
    assert live.status().state == "waiting"
    clock.advance(1800)
    live.refresh()
    prices = live.published(clock.now())
    assert prices.end == local(27, 0)
    assert prices.source == "hours + quarters"
    assert prices.resolution_minutes[-1] == 60


def test_tomorrow_missing_is_normal_until_three_and_a_warning_then(
    make: Make, clock: ManualClock, quarters: Exchange
) -> None:
    quarters.published_at = (17, 0)
    live = make(quarters)
    live.refresh()
    seen = {}
    for hour in (9, 12, 13, 14, 15, 16, 17):
        clock.advance((local(25, hour) - clock.now()).total_seconds())
        live.refresh()
        status = live.status()
        seen[hour] = (status.state, status.warn)
    assert seen == {
        9: ("ok", False),
        12: ("ok", False),
        13: ("waiting", False),
        14: ("waiting", False),
        15: ("late", True),
        16: ("late", True),
        17: ("ok", False),
    }


def test_sources_are_asked_hourly_and_more_often_around_publication(
    make: Make, clock: ManualClock, quarters: Exchange
) -> None:
    quarters.published_at = (14, 0)
    live = make(quarters, schedule=PriceSchedule(history_days=1))
    refresher = BackgroundRefresher(live.jobs()[:1], clock, Random(2))
    asked: list[datetime] = []
    while clock.now() < local(25, 20):
        before = len(quarters.asked)
        wait_s = refresher.run_due()
        if len(quarters.asked) > before:
            asked.append(clock.now())
        clock.advance(wait_s)
    morning = [t for t in asked if t < local(25, 12, 45)]
    around = [t for t in asked if local(25, 12, 45) <= t < local(25, 14, 6)]
    evening = [t for t in asked if t >= local(25, 14, 6)]
    assert 3 <= len(morning) <= 6
    assert around[0] < local(25, 12, 51)
    assert 12 <= len(around) <= 22
    assert 4 <= len(evening) <= 9
    known = [t for t in asked if t >= local(25, 14)]
    assert known[0] < local(25, 14, 7)


def test_cached_prices_are_shown_with_age_and_source_after_a_restart(
    make: Make, clock: ManualClock, tmp_path: Path, quarters: Exchange
) -> None:
    make(quarters, cache=DiskCache(tmp_path)).refresh()
    fetched_at = clock.now()
    clock.advance(7200)
    quarters.error = down()
    live = make(quarters, cache=DiskCache(tmp_path))
    prices = live.published(clock.now())
    assert prices.at(clock.now()) == pytest.approx(quarters.price(clock.now()))
    assert (prices.source, prices.fetched_at) == ("quarters", fetched_at)
    with pytest.raises(FetchError):
        live.refresh()
    status = live.status()
    assert status.state == "cached"
    assert not status.warn
    assert status.age_s(clock.now()) == 7200
    assert "known until 2026-11-26 00:00" in status.message
    assert "the host is down" in status.message

    clock.advance(86_400)
    assert live.published(clock.now()).end == local(26, 0)
    assert live.published(clock.now()).at(clock.now()) is None
    assert live.status().state == "outage"
    assert live.status().warn


def test_prices_of_another_market_are_not_taken_from_the_cache(
    make: Make, clock: ManualClock, tmp_path: Path, quarters: Exchange
) -> None:
    make(quarters, cache=DiskCache(tmp_path)).refresh()
    other = make(quarters, cache=DiskCache(tmp_path), market="de")
    with pytest.raises(MarketError):
        other.published(clock.now())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"format": "ems-dash-cache"',
        b"\x00\xff\xfe",
        b'{"format": "something else", "version": 1}',
        b'{"format": "ems-dash-cache", "version": 1}',
        b"[1, 2]",
        b'{"format":"ems-dash-cache","version":1,"fetched_at":"2026-11-25T08:00:00+00:00",'
        b'"source":"x","request":"","payload":[[1764028800,99.0,15,"x",1764000000]]}',
        b'{"format":"ems-dash-cache","version":1,"fetched_at":"2026-11-25T08:00:00+00:00",'
        b'"source":"x","request":"","payload":{"a":1}}',
    ],
)
def test_a_damaged_cache_file_is_reported_and_the_others_are_used(
    make: Make, clock: ManualClock, tmp_path: Path, quarters: Exchange, content: bytes
) -> None:
    make(quarters, cache=DiskCache(tmp_path)).refresh()
    (tmp_path / "prices_at_2026-11-24.json").write_bytes(content)
    (tmp_path / "notes.txt").write_text("not ours")
    live = make(quarters, cache=DiskCache(tmp_path))
    assert live.published(clock.now()).at(clock.now()) == pytest.approx(quarters.price(clock.now()))
    assert live.published(clock.now()).at(local(24, 12)) is None
    assert "2026-11-24" in live.status().cache_problems[0]
    live.refresh()
    assert live.published(clock.now()).at(local(24, 12)) is not None


def test_a_cache_that_cannot_be_written_does_not_stop_the_prices(
    make: Make, clock: ManualClock, tmp_path: Path, quarters: Exchange
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    live = make(quarters, cache=DiskCache(blocked))
    live.refresh()
    assert live.published(clock.now()).at(clock.now()) is not None
    assert "cannot be" in live.status().cache_problems[-1]


def test_history_is_filled_once_in_chunks_the_newest_first(
    make: Make, clock: ManualClock, tmp_path: Path, quarters: Exchange
) -> None:
    live = make(quarters, cache=DiskCache(tmp_path))
    live.refresh()
    quarters.asked.clear()
    rounds = 0
    while live.next_backfill_s(clock.now()) < 60:
        live.backfill()
        rounds += 1
    assert rounds == len(quarters.asked) == 6
    assert quarters.asked[0][1] == local(24, 0)
    assert all(end - start <= timedelta(days=10, hours=1) for start, end in quarters.asked)
    prices = live.published(clock.now())
    assert prices.start == datetime(2026, 9, 25, 22, tzinfo=UTC)
    assert np.isfinite(prices.spot_eur_per_kwh).all()

    quarters.asked.clear()
    again = make(quarters, cache=DiskCache(tmp_path))
    assert len(again.published(clock.now()).spot_eur_per_kwh) == len(prices.spot_eur_per_kwh)
    again.backfill()
    assert quarters.asked == []
    assert again.next_backfill_s(clock.now()) > 3600


def test_a_past_no_source_knows_is_not_asked_for_all_day(
    make: Make, clock: ManualClock, quarters: Exchange
) -> None:
    quarters.knows_past = False
    live = make(quarters)
    live.refresh()
    rounds = 0
    while live.next_backfill_s(clock.now()) < 60:
        live.backfill()
        rounds += 1
        assert rounds < 20
    assert live.published(clock.now()).start == local(25, 0)


def test_a_source_that_refuses_the_past_is_still_asked_for_tomorrow(
    make: Make, clock: ManualClock, quarters: Exchange, hours: Exchange
) -> None:
    live = make(quarters, hours)
    live.refresh()
    quarters.error = FetchError("no such days.", kind="status", retryable=False, value=404)
    live.backfill()
    assert live.published(clock.now()).origin_at(local(22, 12)).source == "hours"  # type: ignore[union-attr]
    quarters.error = None
    live.refresh()
    assert len(quarters.asked) == 3
    assert live.status().sources[0].last_error is None

    clock.advance(7200)
    quarters.error = FetchError("slow.", kind="status", retryable=True, retry_after_s=600.0)
    live.backfill()
    assert live.status().sources[0].next_try == clock.now() + timedelta(seconds=600)
    live.refresh()
    assert len(quarters.asked) == 4, "who asks to wait is left alone by every job"


def test_old_prices_are_forgotten_in_memory_and_on_disk(
    make: Make, clock: ManualClock, tmp_path: Path, quarters: Exchange
) -> None:
    schedule = PriceSchedule(history_days=3)
    live = make(quarters, cache=DiskCache(tmp_path), schedule=schedule)
    for _ in range(12):
        live.refresh()
        clock.advance(86_400)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert len(names) <= 6
    assert live.published(clock.now()).start >= local(25, 0) + timedelta(days=8)


@pytest.mark.parametrize("day", [date(2026, 10, 25), date(2026, 3, 29)])
def test_days_with_a_clock_change_are_whole(
    make: Make, clock: ManualClock, quarters: Exchange, day: date
) -> None:
    start, end = day_period(day, VIENNA)
    noon = ManualClock(start + timedelta(hours=12))
    source = Exchange("quarters", 15, noon)
    live = LivePrices([source], noon, VIENNA, Random(1), market="at")
    live.refresh()
    steps = live.published(noon.now()).steps(start, (end - start) // timedelta(minutes=15))
    assert steps.size in (92, 100)
    assert np.isfinite(steps).all()
    assert live.status().state in ("ok", "waiting")


def test_only_other_prices_from_now_on_are_news(
    make: Make, clock: ManualClock, quarters: Exchange
) -> None:
    live = make(quarters)
    live.refresh()
    first = live.published(clock.now())
    assert differ_from(first, None, clock.now())
    live.refresh()
    live.backfill()
    assert live.published(clock.now()) is not first
    assert not differ_from(live.published(clock.now()), first, clock.now())
    clock.advance(4.1 * 3600)
    live.refresh()
    assert differ_from(live.published(clock.now()), first, clock.now())


@pytest.mark.parametrize(("hours", "news"), [(-1.0, False), (0.0, True), (5.0, True)])
def test_a_corrected_price_is_news_unless_it_is_over(hours: float, news: bool) -> None:
    now = local(25, 12)
    known = DayAheadPrices(local(25, 0), np.full(96, 0.1), "test", now)
    spot = known.spot_eur_per_kwh.copy()
    spot[int((12 + hours) * 4)] = 0.2
    assert differ_from(replace(known, spot_eur_per_kwh=spot), known, now) is news
    assert not differ_from(replace(known, fetched_at=now + timedelta(hours=1)), known, now)


def test_a_price_file_is_a_source_like_any_other(clock: ManualClock, tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    source = PriceFile(path, clock, zone=VIENNA)
    live = LivePrices([source], clock, VIENNA, Random(1), market="file", wanted_minutes=60)
    with pytest.raises(FetchError, match=r"prices\.csv cannot be read"):
        live.refresh()

    def write(price: float) -> None:
        hours = [local(25, 0) + timedelta(hours=h) for h in range(24)]
        lines = [f"{ts.isoformat()},{price}" for ts in hours]
        path.write_text("ts_utc,price_eur_per_kwh\n" + "\n".join(lines))

    write(0.123)
    clock.advance(3600)
    live.refresh()
    assert live.published(clock.now()).at(clock.now()) == pytest.approx(0.123)
    write(-0.04567)
    clock.advance(60)
    live.refresh()
    assert live.published(clock.now()).at(clock.now()) == pytest.approx(-0.04567)
    path.write_text("ts_utc,price_eur_per_kwh\nnonsense,1\n")
    with pytest.raises(FetchError, match="row 2: 'nonsense' is not an ISO time"):
        live.refresh()
    assert live.published(clock.now()).at(clock.now()) == pytest.approx(-0.04567)
    assert live.status().state == "cached"
