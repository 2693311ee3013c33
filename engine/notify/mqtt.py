"""Messages as JSON on the broker, through whoever holds the connection."""

from __future__ import annotations

from collections.abc import Callable

from engine.notify.errors import NotifyError
from engine.notify.message import Message

PublishMqtt = Callable[[str, bytes], bool]
"""Hands a payload over for a topic; False when it was not taken. It may wait a few seconds: it
is called from the thread of its channel."""


class MqttChannel:
    """Publishes every message on one topic, not retained: an old alarm is no news.

    Args:
        name: Name of the channel.
        topic: Topic to publish on.
        publish: Hands over to the broker's connection.
    """

    type = "mqtt"

    def __init__(self, name: str, topic: str, publish: PublishMqtt) -> None:
        self.name = name
        self._topic = topic
        self._publish = publish
        self._closed = False

    def __repr__(self) -> str:
        return f"MqttChannel({self.name})"

    @property
    def target(self) -> str:
        """The topic."""
        return self._topic

    def close(self) -> None:
        """Refuse further messages."""
        self._closed = True

    def send(self, message: Message) -> None:
        """Hand a message over; see `engine.notify.channel.Channel`."""
        if self._closed:
            raise NotifyError("The program stops.", kind="stopped")
        try:
            taken = self._publish(self._topic, message.as_json())
        except (OSError, ValueError, RuntimeError) as error:
            raise NotifyError(
                f"The broker's connection failed ({type(error).__name__}).", kind="unreachable"
            ) from None
        if not taken:
            raise NotifyError(
                "The broker is not connected or its queue is full.", kind="unreachable"
            )
