"""The connection to the broker: paho's network thread, turned into events.

paho calls back in its own thread, which an exception would end while the client still claims to
be connected. So the callbacks only translate: everything that may fail or take time happens in
the thread that reads the events.
"""

from __future__ import annotations

import logging
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from engine.devices.mqtt.topics import OFFLINE, ONLINE
from engine.domain.site_context import current_site, work_for

log = logging.getLogger(__name__)

MAX_UNANSWERED = 1000
"""QoS 1 messages paho keeps until the broker has answered them; it has no bound of its own."""

CONNECT_TIMEOUT_S = 3.0
FIRST_RETRY_S = 1
LONGEST_RETRY_S = 30

TAKEN_OVER_RETRY_S = 30
"""Two programs with one client id throw each other out; this keeps them from doing it each s."""

CLOSED_TIMES = 3
CLOSED_WINDOW_S = 120.0
"""Not every broker says that a session was taken over (Mosquitto 2.0.11 just closes it, measured):
so many closed connections within this time are taken for it."""

_BAD_USER_OR_PASSWORD = 134
_NOT_AUTHORIZED = 135
_SESSION_TAKEN_OVER = 142
_UNSPECIFIED = 128

_HOPELESS = {
    132: "the broker does not speak MQTT 5",
    133: "the broker does not accept the client id",
    _BAD_USER_OR_PASSWORD: "the broker refuses the user name or password",
    _NOT_AUTHORIZED: "the broker refuses the user name or password",
    138: "the broker has banned this client",
    140: "the broker wants another way to log in",
}
"""CONNACK reason codes (MQTT 5.0, 3.2.2.2) that no repetition can change."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker accepted the connection; `birth_mid` is the message id of ``online``."""

    birth_mid: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker answered and refused; `hopeless` when repeating is of no use."""

    reason: str
    hopeless: bool


@dataclass(frozen=True, slots=True)
class ConnectFailed:
    """No connection came about."""

    reason: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection ended.

    Attributes:
        reason: Why, as far as it is known.
        answered: False when the other side never answered as a broker.
        taken_over: True when another client with our id is the cause, or probably.
    """

    reason: str
    answered: bool
    taken_over: bool


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The broker answered a QoS 1 message; `refusal` is None when it took it."""

    mid: int
    refusal: str | None


@dataclass(frozen=True, slots=True)
class SubscriptionRefused:
    """The broker did not accept a subscription."""

    topic: str
    reason: str


@dataclass(frozen=True, slots=True)
class CallbackFailed:
    """A handler in the network thread failed; the thread lives on."""

    reason: str


@dataclass(frozen=True, slots=True)
class ThreadEnded:
    """The network thread ended without being told to."""

    reason: str


Event = (
    Connected
    | Refused
    | ConnectFailed
    | Disconnected
    | Acknowledged
    | SubscriptionRefused
    | CallbackFailed
    | ThreadEnded
)


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic filter and what to do about retained messages.

    Attributes:
        topic: Topic filter.
        stored: True when messages the broker has stored are wanted.
        as_published: True when the retain flag of live messages is to be kept as sent.
    """

    topic: str
    stored: bool = False
    as_published: bool = False


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is and how long it may be silent."""

    host: str
    port: int
    keepalive_s: int
    tls: bool

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class _GuardedClient(mqtt.Client):
    """A paho client that says why its network thread ends.

    paho catches OSError only; a host name that cannot be encoded, for example, raises
    ValueError and would end the thread in silence.
    """

    on_thread_end: Callable[[str], None]
    site: str | None = None

    def loop_forever(
        self, timeout: float = 1.0, retry_first_connection: bool = False
    ) -> MQTTErrorCode:
        work_for(self.site)
        try:
            return super().loop_forever(timeout, retry_first_connection)
        except Exception as exc:
            log.exception("the MQTT network thread ended")
            self.on_thread_end(f"{type(exc).__name__}: {exc}")
            return MQTTErrorCode.MQTT_ERR_UNKNOWN


class BrokerConnection:
    """One MQTT 5 client that connects by itself until told not to.

    The session is clean each time: a command that was sent while we were away must not be
    carried out late. Our own QoS 1 messages that were sent and not answered go out again.

    Args:
        address: Where the broker is.
        client_id: Must be unique at the broker.
        will_topic: Topic of ``online`` (birth) and ``offline`` (Last Will).
        subscriptions: What to subscribe to on every connection, with QoS 1.
        emit: Takes events; called in the network thread, must not block.
        receive: Takes topic, payload and the retain flag; called in the network thread.
        retry_s: First and longest wait between attempts, in seconds.
        taken_over_retry_s: Wait after another client took our id.
        retain_will: False to leave nothing at the broker (connection test).
    """

    def __init__(
        self,
        address: BrokerAddress,
        client_id: str,
        will_topic: str,
        subscriptions: Sequence[Subscription],
        *,
        emit: Callable[[Event], None],
        receive: Callable[[str, bytes, bool], None],
        retry_s: tuple[int, int] = (FIRST_RETRY_S, LONGEST_RETRY_S),
        taken_over_retry_s: int = TAKEN_OVER_RETRY_S,
        retain_will: bool = True,
    ) -> None:
        self._retain_will = retain_will
        self._address = address
        self._will_topic = will_topic
        self._subscriptions = tuple(subscriptions)
        self._emit = emit
        self._receive = receive
        self._retry_s = retry_s
        self._taken_over_retry_s = taken_over_retry_s
        self._answered = False
        self._closed_at_s: deque[float] = deque(maxlen=CLOSED_TIMES)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        client = _GuardedClient(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        client.suppress_exceptions = True
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_queued_messages_set(MAX_UNANSWERED)
        client.reconnect_delay_set(*retry_s)
        client.will_set(will_topic, OFFLINE, qos=1, retain=retain_will)
        client.on_pre_connect = self._on_pre_connect
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_thread_end = lambda reason: emit(ThreadEnded(reason))
        self._client = client

    def log_in_with(self, username: str | None, password: str | None) -> None:
        """Set user name and password of the following attempts."""
        self._client.username_pw_set(username, password)

    def encrypt_with(self, context: ssl.SSLContext) -> None:
        """Use TLS; to be called once, before `open`."""
        self._client.tls_set_context(context)

    def open(self) -> None:
        """Start connecting in the background; returns at once.

        Raises:
            RuntimeError: The network thread of an earlier `open` still runs.
        """
        client = self._client
        client.site = current_site()
        client.reconnect_delay_set(*self._retry_s)
        # Clean each time; also after the first connection.
        client.connect_async(
            self._address.host, self._address.port, self._address.keepalive_s, clean_start=True
        )
        if client.loop_start() is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise RuntimeError("the network thread still runs")

    def publish(self, topic: str, payload: bytes | str, *, qos: int, retain: bool) -> int | None:
        """Hand over a message; returns its message id, or None when it was not taken.

        To be called only after the broker has answered the birth: during the handshake paho
        could send it before its own CONNECT, and older unanswered messages after it.
        """
        info = self._client.publish(topic, payload, qos=qos, retain=retain)
        taken = info.rc is MQTTErrorCode.MQTT_ERR_SUCCESS or (
            qos > 0 and info.rc is MQTTErrorCode.MQTT_ERR_NO_CONN
        )
        return info.mid if taken else None

    def close(self) -> None:
        """Begin to disconnect without a Last Will; returns at once."""
        self._closing.set()
        self._client.disconnect()

    def join(self, timeout_s: float) -> bool:
        """Wait for the network thread to end; True when it has (or never ran)."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    # Callbacks of paho, in its network thread.

    def _on_pre_connect(self, client: mqtt.Client, userdata: Any) -> None:
        self._thread = threading.current_thread()
        self._answered = False

    def _on_connect(
        self,
        client: mqtt.Client,
        userdata: Any,
        flags: mqtt.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._answered = True
        if self._closing.is_set():
            client.disconnect()
            return
        if reason_code.is_failure:
            hopeless = reason_code.value in _HOPELESS
            if hopeless:
                # Otherwise paho would ask again each second, for ever.
                client.disconnect()
            self._emit(Refused(_HOPELESS.get(reason_code.value, str(reason_code)), hopeless))
            return
        client.reconnect_delay_set(*self._retry_s)
        if self._subscriptions:
            client.subscribe([(s.topic, _options(s)) for s in self._subscriptions])
        birth = client.publish(self._will_topic, ONLINE, qos=1, retain=self._retain_will)
        self._emit(Connected(birth.mid))

    def _on_connect_fail(self, client: mqtt.Client, userdata: Any) -> None:
        # paho calls this while it handles the exception, and does not pass it on.
        self._emit(ConnectFailed(self._explain(sys.exc_info()[1])))

    def _on_disconnect(
        self,
        client: mqtt.Client,
        userdata: Any,
        flags: mqtt.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        # Without a word of the broker paho calls it an unspecified error.
        told = flags.is_disconnect_packet_from_server or reason_code.value != _UNSPECIFIED
        taken_over = reason_code.value == _SESSION_TAKEN_OVER
        if self._answered and not told and not self._closing.is_set():
            taken_over = self._closed_too_often()
        if taken_over:
            client.reconnect_delay_set(
                self._taken_over_retry_s, max(self._taken_over_retry_s, self._retry_s[1])
            )
        reason = str(reason_code) if told else "the other side closed it"
        if not self._answered:
            reason = f"{self._address} closed the connection without an answer; " + (
                "is it an MQTT broker with TLS?"
                if self._address.tls
                else "is it an MQTT broker without TLS?"
            )
        self._emit(Disconnected(reason, self._answered, taken_over))

    def _on_subscribe(
        self,
        client: mqtt.Client,
        userdata: Any,
        mid: int,
        reason_codes: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        for subscription, code in zip(self._subscriptions, reason_codes, strict=False):
            if code.is_failure:
                self._emit(SubscriptionRefused(subscription.topic, str(code)))

    def _on_publish(
        self,
        client: mqtt.Client,
        userdata: Any,
        mid: int,
        reason_code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._emit(Acknowledged(mid, str(reason_code) if reason_code.is_failure else None))

    def _on_message(self, client: mqtt.Client, userdata: Any, message: mqtt.MQTTMessage) -> None:
        try:
            self._receive(message.topic, bytes(message.payload), message.retain)
        except Exception as exc:
            # Also a topic that is not UTF-8 text ends here.
            log.exception("an MQTT message could not be handled")
            self._emit(CallbackFailed(f"{type(exc).__name__}: {exc}"))

    def _closed_too_often(self) -> bool:
        now_s = time.monotonic()
        self._closed_at_s.append(now_s)
        return (
            len(self._closed_at_s) == CLOSED_TIMES
            and now_s - self._closed_at_s[0] <= CLOSED_WINDOW_S
        )

    def _explain(self, exc: BaseException | None) -> str:
        address = self._address
        if isinstance(exc, ssl.SSLCertVerificationError):
            return f"the certificate of {address} is not trusted: {exc.verify_message}"
        if isinstance(exc, ssl.SSLError):
            return f"TLS with {address} failed: {exc.reason or exc}"
        if isinstance(exc, ConnectionRefusedError):
            return f"no broker listens on {address}"
        if isinstance(exc, TimeoutError):
            return f"{address} does not answer within {CONNECT_TIMEOUT_S:g} s"
        if isinstance(exc, OSError):
            return f"{address} cannot be reached: {exc.strerror or exc}"
        return f"{address} cannot be reached"


def _options(subscription: Subscription) -> SubscribeOptions:
    return SubscribeOptions(
        qos=1,
        retainAsPublished=subscription.as_published,
        retainHandling=SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE
        if subscription.stored
        else SubscribeOptions.RETAIN_DO_NOT_SEND,
    )
