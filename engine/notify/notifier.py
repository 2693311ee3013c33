"""Tells people of alarms over every configured channel, without ever keeping the engine."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from zoneinfo import ZoneInfo

from engine.domain.alarms import AlarmChange
from engine.domain.clock import Clock
from engine.domain.site import Site
from engine.domain.site_context import SiteThread
from engine.notify.channel import Channel
from engine.notify.errors import NotifyError
from engine.notify.kept import KeptMessages
from engine.notify.message import Message
from engine.notify.outbox import ChannelStatus, Outbox, unexpected
from engine.notify.rules import ChannelRules
from engine.notify.titles import Language

log = logging.getLogger(__name__)

TEST_INTERVAL_S = 10.0
TEST_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class NotifyTest:
    """Result of the test of a channel.

    Attributes:
        channel: Its name.
        ok: True when the message was taken.
        detail: Why not, or where it went; holds no secret.
        seconds: How long it took.
        retry_after_s: Seconds to wait when it was too soon, else None.
    """

    channel: str
    ok: bool
    detail: str
    seconds: float = 0.0
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class ChannelSetup:
    """One configured channel.

    Attributes:
        channel: How it delivers.
        rules: What it tells.
        enabled: False for one that only answers to a test.
    """

    channel: Channel
    rules: ChannelRules
    enabled: bool = True


class Notifier:
    """Hands what happened to every channel; each delivers in a thread of its own.

    Args:
        setups: The channels.
        site: The site, for name and time zone.
        clock: Time of queues and limits; for real receivers the machine's own clock.
        random: For ids and jitter.
        language: Language of the texts.
        link: Address of the page, or None.
        test_limit_s: Longest time a test may take, in real seconds.
        kept: Keeps over a restart what was not delivered; None: it is lost with the program.
    """

    def __init__(
        self,
        setups: Sequence[ChannelSetup],
        site: Site,
        clock: Clock,
        random: Random,
        *,
        language: Language = "de",
        link: str | None = None,
        test_limit_s: float = TEST_LIMIT_S,
        kept: KeptMessages | None = None,
    ) -> None:
        self._site = site
        self._clock = clock
        self._random = random
        self._language: Language = language
        self._link = link
        self._test_limit_s = test_limit_s
        self._setups = {setup.channel.name: setup for setup in setups}
        zone = ZoneInfo(site.timezone)
        self._outboxes = {
            name: Outbox(
                setup.channel,
                setup.rules,
                compose=self._compose,
                zone=zone,
                clock=clock,
                random=Random(random.random()),
                kept=kept,
            )
            for name, setup in self._setups.items()
            if setup.enabled
        }
        self._kept = kept
        if kept is not None:
            kept.drop_all_but(self._outboxes)
        self._lock = threading.Lock()
        self._tested_s: dict[str, float] = {}
        self._testing: set[str] = set()

    def start(self) -> None:
        """Start delivering."""
        for outbox in self._outboxes.values():
            outbox.start()

    def stop(self, timeout_s: float = 1.0) -> bool:
        """End deliveries under way and every thread; False when one did not end in time."""
        for outbox in self._outboxes.values():
            outbox.begin_stop()
        for setup in self._setups.values():
            setup.channel.close()
        deadline = time.monotonic() + timeout_s
        ended = [outbox.join(deadline - time.monotonic()) for outbox in self._outboxes.values()]
        if not all(ended):
            log.warning("a notification did not end within %.1f s", timeout_s)
        for outbox in self._outboxes.values():
            # Also of a thread that still hangs in its delivery.
            outbox.save()
        left = sum(outbox.queued for outbox in self._outboxes.values())
        if left:
            after = "are lost" if self._kept is None else "are sent after the next start"
            log.warning(
                "%d things to tell were not delivered before the stop; they %s", left, after
            )
        return all(ended)

    @property
    def problem(self) -> str | None:
        """Why something an earlier run left to tell was lost; None when nothing was."""
        return None if self._kept is None else self._kept.problem

    def tell(self, changes: Iterable[AlarmChange]) -> None:
        """Take in what happened; returns at once."""
        for change in changes:
            for outbox in self._outboxes.values():
                outbox.offer(change)

    def step(self) -> float:
        """Deliver what is due in the calling thread, for a clock that is moved by hand.

        Not to be mixed with `start`. Returns seconds until something may be due.
        """
        return min((outbox.step() for outbox in self._outboxes.values()), default=60.0)

    def status(self) -> tuple[ChannelStatus, ...]:
        """Return how every channel is doing, in the order of the configuration."""
        found = []
        for name, setup in self._setups.items():
            outbox = self._outboxes.get(name)
            if outbox is not None:
                found.append(outbox.status())
            else:
                channel = setup.channel
                found.append(
                    ChannelStatus(channel.name, channel.type, channel.target, False, "off")
                )
        return tuple(found)

    def test(self, name: str) -> NotifyTest:
        """Send a test message over a channel, enabled or not; takes up to `test_limit_s`.

        It passes by quiet hours, rules and rate limit, but each channel may be tested only
        every `TEST_INTERVAL_S` and once at a time.

        Raises:
            NotifyError: There is no such channel.
        """
        setup = self._setups.get(name)
        if setup is None:
            raise NotifyError(
                "There is no such channel.",
                kind="config",
                field="channel",
                value=name,
                hint=f"Use one of {', '.join(self._setups)}."
                if self._setups
                else "Add one under notifications.channels.",
            )
        refused = self._admit(name)
        if refused is not None:
            return refused
        try:
            return self._run_test(name, setup.channel)
        finally:
            with self._lock:
                self._tested_s[name] = self._clock.monotonic()

    def _admit(self, name: str) -> NotifyTest | None:
        now_s = self._clock.monotonic()
        with self._lock:
            if name in self._testing:
                return NotifyTest(name, False, "A test of this channel is running.", 0.0, 1.0)
            last_s = self._tested_s.get(name)
            if last_s is not None and now_s - last_s < TEST_INTERVAL_S:
                wait_s = TEST_INTERVAL_S - (now_s - last_s)
                text = f"This channel was tested just now; wait {wait_s:.0f} s."
                return NotifyTest(name, False, text, 0.0, wait_s)
            self._testing.add(name)
        return None

    def _run_test(self, name: str, channel: Channel) -> NotifyTest:
        """Send in a thread: not even a name service that hangs keeps the caller."""
        failures: list[NotifyError] = []
        done = threading.Event()

        def send() -> None:
            try:
                channel.send(self._compose((), 0))
            except NotifyError as error:
                failures.append(error)
            except Exception as error:  # noqa: BLE001 (logged without its text)
                failures.append(unexpected(error, "refused"))
            finally:
                with self._lock:
                    self._testing.discard(name)
                done.set()

        began = time.monotonic()
        SiteThread(target=send, name=f"notify-test-{name}", daemon=True).start()
        if not done.wait(self._test_limit_s):
            text = f"Not done within {self._test_limit_s:g} s."
            return NotifyTest(name, False, text, time.monotonic() - began)
        error = failures[0] if failures else None
        outbox = self._outboxes.get(name)
        if outbox is not None:
            outbox.note(error)
        detail = channel.target if error is None else str(error)
        return NotifyTest(name, error is None, detail, time.monotonic() - began)

    def _compose(self, changes: tuple[AlarmChange, ...], suppressed: int) -> Message:
        with self._lock:
            number = self._random.getrandbits(96)
        return Message(
            id=f"{number:024x}",
            site_id=self._site.site_id,
            site_name=self._site.name,
            timezone=self._site.timezone,
            language=self._language,
            created_at=self._clock.now(),
            changes=changes,
            suppressed=suppressed,
            link=self._link,
        )
