"""Section ``mqtt`` of ``ems.yaml``: the broker, and values taken from it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.config.section import Port, Section, TopicLevel


class MqttInputConfig(Section):
    """One value taken from an MQTT topic; checked against the signals when it is compiled.

    Attributes:
        topic: Topic, without wildcards.
        signal: Signal of EMS Dash that it supplies.
        source: Name of the source, shown with the value.
        path: Where in a JSON payload the value stands, with dots; empty for the whole payload.
        scale: Factor on the number.
        offset: Added after the factor.
        unit: Unit after scale and offset; None: that of the signal.
        positive_means: Direction of a positive number, for powers with a sign.
        min: Smaller values are refused.
        max: Larger values are refused.
        max_age_s: Older values are stale.
        priority: Smaller is preferred; devices on Modbus have 20.
    """

    topic: Annotated[str, Field(min_length=1, max_length=300)]
    signal: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1, max_length=40)] = "mqtt"
    path: str = ""
    scale: float = 1.0
    offset: float = 0.0
    unit: str | None = None
    positive_means: (
        Literal["discharge", "charge", "import", "export", "generation", "consumption"] | None
    ) = None
    min: float | None = None
    max: float | None = None
    max_age_s: Annotated[float, Field(gt=0, le=86400)] = 10.0
    priority: Annotated[int, Field(ge=1, le=99)] = 50


class MqttConfig(Section):
    """The MQTT broker: how to reach it, what to publish, and values taken from it.

    Attributes:
        enabled: Connect to the broker.
        broker_host: Host name or address of the broker.
        broker_port: Port of the broker; usually 8883 with `tls`.
        username: Name to log in with; None: without.
        password_env: Environment variable that holds the password.
        password_file: File that holds the password, mode 0600.
        tls: Encrypt the connection and check the broker's certificate.
        ca_file: Private certificate authority; None: the system's.
        keepalive_s: Longest silence after which the broker counts EMS Dash as gone.
        base_topic: First level of all topics: `<base_topic>/<site id>/...`.
        home_assistant: Announce the site to Home Assistant.
        home_assistant_prefix: First level of the topics of that announcement.
        inputs: Values taken from topics.
    """

    enabled: bool = False
    broker_host: Annotated[str, Field(min_length=1)] = "localhost"
    broker_port: Port = 1883
    username: Annotated[str, Field(min_length=1)] | None = None
    password_env: Annotated[str, Field(min_length=1)] | None = None
    password_file: Annotated[str, Field(min_length=1)] | None = None
    tls: bool = False
    ca_file: Annotated[str, Field(min_length=1)] | None = None
    keepalive_s: Annotated[int, Field(ge=2, le=600)] = 20
    base_topic: TopicLevel = "ems"
    home_assistant: bool = False
    home_assistant_prefix: TopicLevel = "homeassistant"
    inputs: list[MqttInputConfig] = Field(default_factory=list)
