"""The bridge between the engine and an MQTT broker."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from engine.config.mqtt import MqttConfig
from engine.devices.mqtt.commands import (
    Command,
    CommandHandler,
    CommandOutcome,
    CommandRejectedError,
    parse_command,
)
from engine.devices.mqtt.connection import (
    FIRST_RETRY_S,
    LONGEST_RETRY_S,
    TAKEN_OVER_RETRY_S,
    Acknowledged,
    BrokerAddress,
    BrokerConnection,
    CallbackFailed,
    Connected,
    ConnectFailed,
    Disconnected,
    Event,
    Refused,
    Subscription,
    SubscriptionRefused,
    ThreadEnded,
)
from engine.devices.mqtt.credentials import read_password, tls_context
from engine.devices.mqtt.home_assistant import discovery_payload, discovery_topic, status_topic
from engine.devices.mqtt.inputs import InputSamples, compile_inputs
from engine.devices.mqtt.outgoing import (
    StateMessage,
    alarms_message,
    result_payload,
    state_messages,
    telemetry_payload,
)
from engine.devices.mqtt.status import MqttStatus
from engine.devices.mqtt.topics import OFFLINE, Topics
from engine.domain.clock import Clock
from engine.domain.errors import ConfigError
from engine.domain.sample import Sample
from engine.domain.site_context import SiteThread
from engine.domain.snapshot import EngineSnapshot
from engine.telemetry.alarms import AlarmTracker
from engine.telemetry.debounce import AnalogDebounce
from engine.telemetry.merge import SignalSource

log = logging.getLogger(__name__)

OUTBOX_SIZE = 1000
"""Alarm messages and command results kept while the broker is away; the oldest go first."""

MAX_WAITING_COMMANDS = 100
TICK_S = 1.0
REPEAT_TELEMETRY_S = 2.0
"""Home Assistant subscribes only after it has read the discovery message."""

SHOW_FAULT_S = 600.0
STATE_MIN_INTERVAL_S = 2.0
STATE_DEADBANDS = {"setpoint_kw": 0.1, "charge_limit_kw": 0.1, "discharge_limit_kw": 0.1}
MAX_COMMAND_NAME = 64


class _Signal(Enum):
    SNAPSHOT = auto()
    HOME_ASSISTANT_ONLINE = auto()
    RETRY = auto()
    STOP = auto()


@dataclass(frozen=True, slots=True)
class _IncomingCommand:
    name: str
    payload: bytes
    retained: bool
    received_at: datetime


@dataclass(frozen=True, slots=True)
class _OutgoingMessage:
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class _AlarmsOnly:
    snapshot: EngineSnapshot


_Item = Event | _Signal | _IncomingCommand | _OutgoingMessage | _AlarmsOnly


class MqttBridge:
    """Carries telemetry, states, plan and commands between the engine and a broker.

    One thread of its own does all the work; paho's network thread only hands over. `publish`,
    `samples` and `status` never block and never raise, whatever the broker does. Network waits
    are real time, because the broker lives in it whatever the engine's clock does.

    Args:
        config: The MQTT section.
        site_id: Site, part of every topic.
        snapshot: Returns the engine's newest state; gives the range of commands.
        on_command: Carries out a command that is well-formed, in range and not expired; should
            return soon. None when nothing can be commanded.
        clock: Stamps samples and answers, and paces delays of alarms and debounce.
        install_id: Distinguishes installations (`engine.devices.mqtt.install_id`), so that two
            never use one client id.
        commands: Names of the commands `on_command` carries out; others are refused with a
            reason and are not offered to Home Assistant.
        alarms: Alarms as shown elsewhere, kept up to date there; None for a tracker of its own.
        environment: Environment variables.
        retry_s: First and longest wait between attempts to connect, in seconds.
        taken_over_retry_s: Wait after another client took our id, in seconds.

    Raises:
        ConfigError: The mapping table is wrong, or maps the bridge's own topics.
    """

    def __init__(
        self,
        config: MqttConfig,
        site_id: str,
        snapshot: Callable[[], EngineSnapshot],
        on_command: CommandHandler | None,
        clock: Clock,
        *,
        install_id: str,
        commands: frozenset[str] = frozenset(),
        alarms: AlarmTracker | None = None,
        environment: Mapping[str, str] = os.environ,
        retry_s: tuple[int, int] = (FIRST_RETRY_S, LONGEST_RETRY_S),
        taken_over_retry_s: int = TAKEN_OVER_RETRY_S,
    ) -> None:
        self._config = config
        self._snapshot = snapshot
        self._on_command = on_command
        self._commands = commands if on_command is not None else frozenset()
        self._clock = clock
        self._environment = environment
        self._retry_s = retry_s
        self._taken_over_retry_s = taken_over_retry_s
        self._topics = Topics(config.base_topic, site_id)
        self._client_id = f"ems-{site_id}-{install_id}"
        self._address = BrokerAddress(
            config.broker_host, config.broker_port, config.keepalive_s, config.tls
        )
        inputs = compile_inputs(config)
        for i, entry in enumerate(inputs):
            if f"{entry.topic}/".startswith(f"{self._topics.root}/"):
                raise ConfigError(
                    "This is one of the topics EMS Dash itself publishes on.",
                    field=f"mqtt.inputs.{i}.topic",
                    value=entry.topic,
                    hint="Give the topic of the device.",
                )
        self._inputs = InputSamples(inputs)
        self._alarms = alarms if alarms is not None else AlarmTracker()
        self._tracks_alarms = alarms is None
        self._debounce = AnalogDebounce(STATE_MIN_INTERVAL_S, STATE_DEADBANDS)

        self._inbox: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._worker: threading.Thread | None = None
        self._stopping = threading.Event()
        self._latest: EngineSnapshot | None = None
        self._snapshot_waiting = False
        self._waiting_commands = 0
        self._slot = threading.Lock()

        # Everything below is changed by the worker thread only.
        self._connection: BrokerConnection | None = None
        self._ready = False
        self._connected_at: datetime | None = None
        self._birth_mid: int | None = None
        self._retrying = True
        self._stopped = False
        self._down_reason: str | None = None
        self._faults: dict[str, tuple[str, float | None]] = {}
        self._in_flight: dict[int, str] = {}
        self._outbox: deque[tuple[str, bytes, bool]] = deque()
        self._sent: dict[str, Hashable] = {}
        self._fresh: EngineSnapshot | None = None
        self._announced: Hashable = None
        self._confirm_telemetry = False
        self._repeat_at_s: float | None = None
        self._reopen_at_s: float | None = None
        self._reopen_delay_s = float(retry_s[0])
        self._counts = dict.fromkeys(
            (
                "connects",
                "failures",
                "published",
                "dropped",
                "commands_accepted",
                "commands_refused",
                "restarts",
            ),
            0,
        )
        self._received = 0

    # What the engine calls.

    def start(self) -> None:
        """Start connecting in the background; returns at once. A second call does nothing."""
        if self._worker is not None:
            return
        self._worker = SiteThread(target=self._run, name="ems-mqtt", daemon=True)
        self._worker.start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """Say ``offline``, disconnect and end; returns within about `timeout_s`.

        Safe to call twice, and before `start`.
        """
        self._stopping.set()
        worker = self._worker
        if worker is None:
            self._stopped = True
            return
        self._inbox.put(_Signal.STOP)
        worker.join(timeout_s)
        if worker.is_alive():
            log.error("the MQTT bridge did not stop within %g s", timeout_s)

    def publish(self, snapshot: EngineSnapshot) -> None:
        """Hand over the state after a control cycle; never blocks, the newest one wins."""
        with self._slot:
            self._latest = snapshot
            waiting, self._snapshot_waiting = self._snapshot_waiting, True
        if not waiting:
            self._inbox.put(_Signal.SNAPSHOT)

    def publish_alarms(self, snapshot: EngineSnapshot) -> None:
        """Hand over the alarms alone, without a cycle that completed; never blocks."""
        self._inbox.put(_AlarmsOnly(snapshot))

    def publish_message(self, topic: str, payload: bytes) -> bool:
        """Hand over one message that is not kept by the broker; never blocks, any thread.

        Returns:
            False when there is no connection; the message is not taken then.
        """
        if not self._ready:
            return False
        self._inbox.put(_OutgoingMessage(topic, payload))
        return True

    def retry(self) -> None:
        """Connect again after the credentials were changed; does nothing while connected."""
        self._inbox.put(_Signal.RETRY)

    def samples(self) -> Mapping[str, Sample]:
        """Return canonical signal to the best sample of the mapped topics.

        A usable and fresh sample wins, then priority. A signal nothing came for is BAD. Use
        `samples_by_source` where several sources are merged.
        """
        now = self._clock.now()
        by_source = self._inputs.by_source(now)
        best: dict[str, tuple[tuple[bool, int], Sample]] = {}
        for spec in self._inputs.sources():
            sample = by_source[spec.source][spec.signal]
            fresh = sample.usable and (now - sample.ts).total_seconds() <= spec.max_age_s
            rank = (not fresh, spec.priority)
            if spec.signal not in best or rank < best[spec.signal][0]:
                best[spec.signal] = (rank, sample)
        return {signal: sample for signal, (_, sample) in best.items()}

    def samples_by_source(self) -> Mapping[str, Mapping[str, Sample]]:
        """Return source name to signal to newest sample, for `TelemetryMerge.merge`."""
        return self._inputs.by_source(self._clock.now())

    def sources(self) -> tuple[SignalSource, ...]:
        """Return what the mapped topics are meant to supply, for `TelemetryMerge`."""
        return self._inputs.sources()

    def status(self) -> MqttStatus:
        """Return the state of the connection."""
        state, reason = self._state()
        return MqttStatus(
            state=state,
            reason=reason,
            endpoint=str(self._address),
            client_id=self._client_id,
            tls=self._config.tls,
            retrying=self._retrying and not self._stopped,
            connected_at=self._connected_at,
            queued=len(self._outbox) + len(self._in_flight),
            received=self._received,
            bad_messages=self._inputs.bad_messages,
            silent_topics=self._inputs.silent_topics(),
            **self._counts,
        )

    def _state(self) -> tuple[str, str | None]:
        if self._stopped:
            return "stopped", "stopped"
        if not self._ready:
            reason = self._down_reason
            return ("connecting", "not connected yet") if reason is None else ("offline", reason)
        now_s = time.monotonic()
        faults = [
            text for text, until_s in tuple(self._faults.values()) if not until_s or now_s < until_s
        ]
        return ("degraded", "; ".join(faults)) if faults else ("online", None)

    # The network thread.

    def _receive(self, topic: str, payload: bytes, retained: bool) -> None:
        now = self._clock.now()
        if self._inputs.receive(topic, payload, now, retained=retained):
            self._received += 1
            return
        name = self._topics.command_in(topic)
        if name is not None:
            with self._slot:
                full = self._waiting_commands >= MAX_WAITING_COMMANDS
                self._waiting_commands += not full
            if full or len(name) > MAX_COMMAND_NAME:
                self._inbox.put(CallbackFailed(f"a command on {topic[:80]} was not taken"))
                return
            self._inbox.put(_IncomingCommand(name, payload, retained, now))
        elif topic == status_topic(self._config.home_assistant_prefix) and payload == b"online":
            self._inbox.put(_Signal.HOME_ASSISTANT_ONLINE)

    # The worker thread.

    def _run(self) -> None:
        self._supervised(self._connect)
        while not self._stopping.is_set():
            try:
                item: _Item | None = self._inbox.get(timeout=self._wait_s())
            except queue.Empty:
                item = None
            # Everything known about the connection comes before anything is sent over it.
            while item is not None:
                if item is not _Signal.STOP:
                    self._supervised(lambda item=item: self._handle(item))  # type: ignore[misc]
                try:
                    item = self._inbox.get_nowait()
                except queue.Empty:
                    item = None
            self._supervised(self._due)
            self._supervised(self._send)
        self._supervised(self._say_goodbye)
        self._ready, self._connected_at, self._stopped = False, None, True

    def _supervised(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as exc:
            log.exception("a step of the MQTT bridge failed")
            self._note("bridge", f"internal error: {type(exc).__name__}: {exc}", SHOW_FAULT_S)

    def _wait_s(self) -> float:
        due = [at for at in (self._repeat_at_s, self._reopen_at_s) if at is not None]
        return max(0.0, min([TICK_S, *(at - time.monotonic() for at in due)]))

    def _connect(self) -> None:
        """Make a connection with the credentials of now and open it."""
        try:
            password = read_password(self._config, self._environment)
            context = tls_context(self._config)
        except ConfigError as exc:
            self._retrying = False
            self._is_down(str(exc))
            return
        connection = BrokerConnection(
            self._address,
            self._client_id,
            self._topics.status,
            self._subscriptions(),
            emit=self._inbox.put,
            receive=self._receive,
            retry_s=self._retry_s,
            taken_over_retry_s=self._taken_over_retry_s,
        )
        connection.log_in_with(self._config.username, password)
        if context is not None:
            connection.encrypt_with(context)
        self._connection, self._retrying = connection, True
        connection.open()

    def _subscriptions(self) -> list[Subscription]:
        found = [Subscription(topic, stored=True) for topic in self._inputs.topics]
        # Stored commands are not even asked for, and live ones that were sent to be stored are
        # recognised: a command must never come back by itself.
        found.append(Subscription(self._topics.command("+"), as_published=True))
        if self._config.home_assistant:
            found.append(Subscription(status_topic(self._config.home_assistant_prefix)))
        return found

    def _handle(self, item: _Item) -> None:
        match item:
            case _Signal.SNAPSHOT:
                with self._slot:
                    self._fresh, self._snapshot_waiting = self._latest, False
            case _IncomingCommand():
                with self._slot:
                    self._waiting_commands -= 1
                self._answer(item)
            case _OutgoingMessage():
                self._queue(item.topic, item.payload, retain=False)
            case _AlarmsOnly():
                # Nothing is measured while control hangs: the battery's list stays as it is.
                self._send_alarms(alarms_message(item.snapshot, self._alarms.views()))
            case Acknowledged():
                self._acknowledged(item)
            case Connected():
                self._counts["connects"] += 1
                self._birth_mid = item.birth_mid
            case Refused() | ConnectFailed() | Disconnected() | ThreadEnded():
                self._lost(item)
            case SubscriptionRefused():
                text = f"the broker refuses the subscription to {item.topic}: {item.reason}"
                self._note(f"subscribe {item.topic}", text)
            case CallbackFailed():
                self._note("callback", item.reason, SHOW_FAULT_S)
            case _Signal.HOME_ASSISTANT_ONLINE:
                self._announced = None
            case _Signal.RETRY:
                self._try_again()

    def _acknowledged(self, event: Acknowledged) -> None:
        if event.mid == self._birth_mid:
            self._birth_mid = None
            self._is_up()
            topic = self._topics.status
        else:
            found = self._in_flight.pop(event.mid, None)
            if found is None:
                return
            topic = found
        if event.refusal is None:
            self._faults.pop(f"publish {topic}", None)
        else:
            text = f"the broker refuses messages on {topic}: {event.refusal}"
            self._note(f"publish {topic}", text)

    def _is_up(self) -> None:
        # Only now has paho sent what an earlier connection left unanswered: newer states sent
        # before that would be overwritten by older ones.
        self._ready = True
        self._connected_at = self._clock.now()
        self._down_reason = None
        self._retrying = True
        self._reopen_delay_s = float(self._retry_s[0])
        # A broker that was restarted may have forgotten all retained messages.
        self._sent.clear()
        self._announced = None
        self._confirm_telemetry = True
        self._fresh = self._latest
        log.info("MQTT broker %s: connected as %s", self._address, self._client_id)

    def _lost(self, event: Refused | ConnectFailed | Disconnected | ThreadEnded) -> None:
        was_connected = self._ready
        self._ready, self._connected_at, self._birth_mid = False, None, None
        for key in [key for key in self._faults if key.startswith("subscribe ")]:
            del self._faults[key]
        if isinstance(event, Disconnected):
            if event.taken_over:
                text = (
                    "the broker throws us out again and again, probably because another program "
                    f"connects with our client id {self._client_id}; is EMS Dash running twice?"
                )
                self._note("taken over", text, SHOW_FAULT_S)
                self._is_down(text)
            elif not event.answered:
                self._counts["failures"] += 1
                self._is_down(event.reason)
            elif was_connected or self._down_reason is None:
                self._is_down(f"the connection to {self._address} was lost: {event.reason}")
            return
        self._counts["failures"] += 1
        if isinstance(event, ThreadEnded):
            self._counts["restarts"] += 1
            self._reopen_at_s = time.monotonic() + self._reopen_delay_s
            self._reopen_delay_s = min(2 * self._reopen_delay_s, float(self._retry_s[1]))
        if isinstance(event, Refused) and event.hopeless:
            self._retrying = False
            self._is_down(f"{event.reason} ({self._address}); not tried again")
        else:
            self._is_down(event.reason)

    def _is_down(self, reason: str) -> None:
        if reason != self._down_reason:
            log.warning("MQTT broker: %s", reason)
        self._down_reason = reason

    def _try_again(self) -> None:
        if self._ready or self._retrying:
            return
        if self._connection is not None and not self._connection.join(1.0):
            self._note("retry", "the earlier connection is still ending; try again", 10.0)
            return
        self._counts["dropped"] += len(self._in_flight)
        self._in_flight.clear()
        self._connect()

    def _due(self) -> None:
        now_s = time.monotonic()
        if self._reopen_at_s is not None and now_s >= self._reopen_at_s:
            if self._connection is not None and self._connection.join(0.0):
                self._reopen_at_s = None
                self._connection.open()
            else:
                self._reopen_at_s = now_s + TICK_S
        if self._repeat_at_s is not None and now_s >= self._repeat_at_s:
            self._repeat_at_s = None
            if self._fresh is None:
                self._fresh = self._latest

    def _send(self) -> None:
        snapshot, self._fresh = self._fresh, None
        if snapshot is not None:
            self._send_snapshot(snapshot)
        connection = self._connection
        while self._ready and connection is not None and self._outbox:
            topic, payload, retain = self._outbox[0]
            if not self._hand_over(topic, payload, qos=1, retain=retain):
                break
            self._outbox.popleft()

    def _send_snapshot(self, snapshot: EngineSnapshot) -> None:
        monotonic_s = self._clock.monotonic()
        # A tracker that is shared is fed by its owner, in its owner's time.
        views = (
            self._alarms.update(snapshot.image, monotonic_s)
            if self._tracks_alarms
            else self._alarms.views()
        )
        for message in state_messages(snapshot, views, self._debounce, monotonic_s):
            if message.name == "alarms":
                self._send_alarms(message)
                continue
            if self._sent.get(message.name, self) == message.key:
                continue
            topic = self._topics.state(message.name)
            if not self._ready or not self._hand_over(topic, message.payload(), qos=1, retain=True):
                continue
            self._sent[message.name] = message.key
        if not self._ready:
            return
        if self._config.home_assistant and snapshot.image.samples:
            self._announce(snapshot)
        # A refusal of QoS 0 is never told, so the first one of a connection asks for an answer.
        qos = 1 if self._confirm_telemetry else 0
        payload = telemetry_payload(snapshot)
        if self._hand_over(self._topics.telemetry, payload, qos=qos, retain=False):
            self._confirm_telemetry = False

    def _send_alarms(self, message: StateMessage) -> None:
        if self._sent.get(message.name, self) != message.key:
            # Every alarm is told, also one that came and went while the broker was away.
            self._queue(self._topics.state(message.name), message.payload(), retain=True)
            self._sent[message.name] = message.key

    def _announce(self, snapshot: EngineSnapshot) -> None:
        image = snapshot.image
        key = (frozenset(image.samples), snapshot.site, image.simulated)
        if key == self._announced:
            return
        payload = discovery_payload(snapshot, self._topics, self._commands)
        topic = discovery_topic(self._config.home_assistant_prefix, self._topics)
        if self._hand_over(topic, payload, qos=1, retain=True):
            self._announced = key
            self._repeat_at_s = time.monotonic() + REPEAT_TELEMETRY_S

    def _queue(self, topic: str, payload: bytes, *, retain: bool) -> None:
        if len(self._outbox) >= OUTBOX_SIZE:
            self._outbox.popleft()
            self._counts["dropped"] += 1
        self._outbox.append((topic, payload, retain))

    def _hand_over(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        if self._connection is None:
            return False
        mid = self._connection.publish(topic, payload, qos=qos, retain=retain)
        if mid is None:
            return False
        if qos:
            self._in_flight[mid] = topic
        self._counts["published"] += 1
        return True

    def _answer(self, incoming: _IncomingCommand) -> None:
        command_id: str | None = None
        try:
            command = parse_command(
                incoming.name, incoming.payload, incoming.received_at, self._snapshot().site
            )
            command_id = command.command_id
            outcome = self._carry_out(command, incoming)
        except CommandRejectedError as exc:
            command_id, outcome = exc.command_id, CommandOutcome(False, reason=exc.message)
        self._counts["commands_accepted" if outcome.accepted else "commands_refused"] += 1
        log.info(
            "MQTT command %s (id %s): %s",
            incoming.name,
            command_id,
            "accepted" if outcome.accepted else f"refused: {outcome.reason}",
        )
        payload = result_payload(incoming.name, command_id, outcome, self._clock.now())
        self._queue(self._topics.result(incoming.name), payload, retain=False)

    def _carry_out(self, command: Command, incoming: _IncomingCommand) -> CommandOutcome:
        if incoming.retained:
            reason = "retained commands are ignored; send it without the retain flag"
            return CommandOutcome(False, reason=reason)
        if self._on_command is None or command.name not in self._commands:
            reason = f"{command.name} cannot be commanded in this version yet; nothing was changed"
            return CommandOutcome(False, reason=reason)
        if self._clock.now() >= command.expires_at:
            return CommandOutcome(False, reason="expired before it could be carried out")
        try:
            outcome = self._on_command(command)
            if not isinstance(outcome, CommandOutcome):
                raise TypeError(f"the handler returned {type(outcome).__name__}")
        except Exception as exc:
            log.exception("the handler of MQTT command %s failed", command.name)
            self._note("command", f"command {command.name} failed: {exc}", SHOW_FAULT_S)
            return CommandOutcome(False, reason="internal error; see the log of EMS Dash")
        self._faults.pop("command", None)
        return outcome

    def _note(self, key: str, text: str, seconds: float | None = None) -> None:
        if self._faults.get(key, ("",))[0] != text:
            log.warning("MQTT: %s", text)
        self._faults[key] = (text, None if seconds is None else time.monotonic() + seconds)

    def _say_goodbye(self) -> None:
        connection = self._connection
        if connection is None:
            return
        if self._ready:
            # A Last Will is not sent after a proper disconnect.
            mid = connection.publish(self._topics.status, OFFLINE, qos=1, retain=True)
            self._wait_for(mid, time.monotonic() + 0.5)
        connection.close()
        connection.join(0.4)

    def _wait_for(self, mid: int | None, deadline_s: float) -> None:
        while mid is not None and (left_s := deadline_s - time.monotonic()) > 0:
            try:
                item = self._inbox.get(timeout=left_s)
            except queue.Empty:
                return
            if isinstance(item, Disconnected) or (
                isinstance(item, Acknowledged) and item.mid == mid
            ):
                return
