"""The background thread keeps going, the cache survives, keys stay secret."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from engine.domain.clock import ManualClock, SystemClock
from engine.domain.errors import FetchError, MarketError
from engine.fetching.cache import CacheEntry, DiskCache
from engine.fetching.http import retry_after_s
from engine.fetching.redaction import is_secret_parameter, redact
from engine.fetching.refresher import BackgroundRefresher, Backoff, Job

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)


class Work:
    """A job that fails while `error` is set."""

    def __init__(self, name: str, every_s: float = 60.0) -> None:
        self.error: Exception | None = None
        self.runs = 0
        self.job = Job(name, self._run, lambda now: every_s)

    def _run(self) -> None:
        self.runs += 1
        if self.error is not None:
            raise self.error


def test_jobs_run_when_due_and_a_failure_stops_no_other() -> None:
    clock = ManualClock(NOW)
    good, bad = Work("good"), Work("bad")
    bad.error = RuntimeError("securityToken=abc123 broke")
    refresher = BackgroundRefresher([bad.job, good.job], clock, Random(1))
    wait_s = refresher.run_due()
    assert (good.runs, bad.runs) == (1, 1)
    assert 0 < wait_s < 20
    health = {h.name: h for h in refresher.health()}
    assert health["good"].ok
    assert health["good"].last_success == NOW
    assert health["good"].next_try == NOW + timedelta(seconds=60)
    assert not health["bad"].ok
    assert health["bad"].failures == 1
    assert health["bad"].last_error == "RuntimeError: securityToken=*** broke"
    assert health["bad"].as_step().name == "bad"
    assert refresher.run_due() > 0
    assert (good.runs, bad.runs) == (1, 1)

    bad.error = None
    clock.advance(30)
    refresher.run_due()
    assert (good.runs, bad.runs) == (1, 2)
    assert {h.name: h for h in refresher.health()}["bad"].failures == 0


def test_waits_double_up_to_a_cap_with_jitter() -> None:
    clock, work = ManualClock(NOW), Work("bad")
    work.error = MarketError("no prices")
    backoff = Backoff(first_s=10.0, cap_s=80.0)
    refresher = BackgroundRefresher([work.job], clock, Random(3), backoff=backoff)
    waits = []
    for _ in range(7):
        waits.append(refresher.run_due())
        clock.advance(waits[-1] + 0.001)
    for wait_s, middle in zip(waits, [10, 20, 40, 80, 80, 80, 80], strict=True):
        assert 0.75 * middle <= wait_s <= 1.25 * middle
    assert len({round(w / 80.0, 6) for w in waits[3:]}) == 4


def test_a_host_that_asks_to_wait_is_left_alone() -> None:
    clock, work = ManualClock(NOW), Work("busy")
    work.error = FetchError("slow down", kind="status", retryable=True, retry_after_s=5000.0)
    refresher = BackgroundRefresher([work.job], clock, Random(1))
    assert refresher.run_due() == pytest.approx(5000.0)


def test_an_error_that_repeats_itself_is_not_retried_at_once() -> None:
    clock, work = ManualClock(NOW), Work("wrong key")
    work.error = FetchError("bad key", kind="status", retryable=False)
    assert BackgroundRefresher([work.job], clock, Random(1)).run_due() >= 900.0


def test_a_job_can_be_asked_for_at_once_even_while_it_runs() -> None:
    clock, work = ManualClock(NOW), Work("prices")
    refresher = BackgroundRefresher([work.job], clock, Random(1))
    refresher.run_due()
    refresher.trigger("prices")
    assert refresher.health()[0].next_try is None
    refresher.run_due()
    assert work.runs == 2

    inner = BackgroundRefresher(
        [Job("again", lambda: inner.trigger("again"), lambda now: 60.0)], clock, Random(1)
    )
    assert inner.run_due() == 0.0
    with pytest.raises(KeyError):
        refresher.trigger("unknown")


def test_the_thread_runs_stops_at_once_and_ends_what_is_under_way() -> None:
    started, release = threading.Event(), threading.Event()

    def hang() -> None:
        started.set()
        release.wait(30)

    refresher = BackgroundRefresher(
        [Job("slow", hang, lambda now: 3600.0)], SystemClock(), Random(1), cancel=release.set
    )
    before = set(threading.enumerate())
    refresher.start()
    assert started.wait(10)
    assert refresher.health()[0].next_try is None
    assert refresher.stop()
    assert not set(threading.enumerate()) - before


def test_a_sleeping_thread_stops_promptly() -> None:
    ran = threading.Event()
    refresher = BackgroundRefresher(
        [Job("quick", ran.set, lambda now: 3600.0)], SystemClock(), Random(1)
    )
    refresher.start()
    assert ran.wait(10)
    assert refresher.stop()
    assert refresher.stop(), "stopping twice is no error"
    with pytest.raises(RuntimeError):
        refresher.start()


# -- cache ---------------------------------------------------------------------------------


def test_an_entry_comes_back_as_it_was(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "deep" / "folder")
    assert cache.stored_keys() == ()
    assert cache.get("prices") is None
    entry = CacheEntry(NOW, "here", "GET /", {"a": [1, None, "x"]})
    assert cache.put("prices", entry)
    assert cache.get("prices") == entry
    assert cache.stored_keys() == ("prices",)
    assert [p.name for p in (tmp_path / "deep" / "folder").iterdir()] == ["prices.json"]
    cache.remove("prices")
    assert cache.get("prices") is None
    assert cache.problems == ()


def test_a_failed_write_leaves_the_old_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    cache = DiskCache(tmp_path, told.append)
    cache.put("prices", CacheEntry(NOW, "old", "", 1))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert not cache.put("prices", CacheEntry(NOW, "new", "", 2))
    found = cache.get("prices")
    assert found is not None
    assert found.source == "old"
    assert told == list(cache.problems)
    assert "No space left" in told[0]
    assert [p.name for p in tmp_path.iterdir()] == ["prices.json"]


@pytest.mark.parametrize("key", ["", "../evil", "a/b", "UPPER", "."])
def test_keys_cannot_leave_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="not a cache key"):
        DiskCache(tmp_path).get(key)


# -- secrets and headers -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["appid", "securityToken", "apikey", "api_key", "token", "key"])
def test_secret_parameters_are_masked(name: str) -> None:
    assert is_secret_parameter(name)
    text = redact(f"GET http://host/x?lat=48&{name}=S3cr3t&lon=16 failed")
    assert "S3cr3t" not in text
    assert "lat=48" in text
    assert "lon=16" in text


def test_other_parameters_and_known_secrets() -> None:
    assert not is_secret_parameter("start")
    assert redact("start=1&monkey=2") == "start=1&monkey=2"
    assert redact("the key S3cr3t is wrong", ["S3cr3t"]) == "the key *** is wrong"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Wed, 25 Nov 2026 08:05:00 GMT", 300.0),
        ("Wed, 25 Nov 2026 07:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
    ],
)
def test_retry_after_as_number_and_as_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, NOW) == seconds
