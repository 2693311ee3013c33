"""Section of ``ems.yaml`` about telling people: channels, rules, quiet hours."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from datetime import time
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from engine.config.planning import EnvName, WebAddress
from engine.config.section import Port, Section, TopicLevel
from engine.domain.alarms import ENGINE_ALARMS, AlarmSeverity
from engine.domain.signals import ALARMS

ChannelType = Literal["webhook", "email", "mqtt"]

ALARM_CODES: tuple[str, ...] = (*ENGINE_ALARMS, *ALARMS)
"""Every code a rule may name: the engine's own alarms and the bits of the battery."""

_HOUR = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_MAIL_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,180}[A-Za-z0-9])?"
)
_TOPIC = re.compile(r"[^/+#\s\x00-\x1f\x7f][^+#\s\x00-\x1f\x7f]{0,198}")
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,200}")

Path = Annotated[str, Field(min_length=1)]

_KEYS_OF: Mapping[str, ChannelType] = {
    **dict.fromkeys(("url", "url_env", "url_file", "secret_env", "secret_file"), "webhook"),
    **dict.fromkeys(
        (
            *("host", "port", "security", "username", "password_env", "password_file"),
            *("sender", "recipients"),
        ),
        "email",
    ),
    "topic": "mqtt",
}
"""Keys that only one type of channel has."""

_LOOKS_SECRET = re.compile(r"(?i)pas|pwd|kennwort|secret|token|api_?key|^key$|credential|auth")
_ARTICLES = {"webhook": "A webhook", "email": "An e-mail channel", "mqtt": "A channel over MQTT"}


class QuietHoursConfig(Section):
    """Hours of local time in which only alarms are told; the rest waits until they end.

    Attributes:
        start: Local time at which they begin.
        end: Local time at which they end; before `start`: on the next day.
    """

    start: str
    end: str

    @field_validator("start", "end")
    @classmethod
    def _is_a_time_of_day(cls, value: str, info: ValidationInfo) -> str:
        if _HOUR.fullmatch(value) is None:
            shown = repr(value[:40]).replace("|", "/")
            raise ValueError(
                f"notifications.channels.quiet_hours.{info.field_name}|"
                f"{shown} is no time of day.|"
                'Give hours and minutes in quotes, such as "22:00".'
            )
        return value

    @property
    def start_time(self) -> time:
        """Local time at which they begin."""
        return time.fromisoformat(self.start)

    @property
    def end_time(self) -> time:
        """Local time at which they end; may lie before the start, on the next day."""
        return time.fromisoformat(self.end)


class ChannelConfig(Section):
    """One way to tell people. Passwords and secrets are only named here, never stated.

    Attributes:
        type: Way the message takes.
        name: Name of the channel, unique.
        enabled: Messages are sent.
        min_severity: Alarms below it are not told.
        only: Codes of alarms that are told; empty for all.
        never: Codes of alarms that are never told.
        all_clear: The end of an alarm is told too.
        max_per_hour: Most messages in any hour.
        quiet_hours: Hours of local time in which only alarms are told.
        url: Address of a webhook.
        url_env: Environment variable that holds the address of a webhook.
        url_file: File that holds the address of a webhook, mode 0600.
        secret_env: Environment variable with the secret by which a webhook's messages are signed.
        secret_file: File with that secret, mode 0600.
        ca_file: Certificate authority of a private server; None: the system's.
        host: Mail server.
        port: Port of the mail server; None: the usual one of `security`.
        security: How the connection to the mail server is encrypted.
        username: Name to log in to the mail server with.
        password_env: Environment variable that holds its password.
        password_file: File that holds its password, mode 0600.
        sender: Address messages come from.
        recipients: Addresses messages go to.
        topic: Topic of messages over MQTT; None: `notification` below the site's topic.
    """

    type: ChannelType
    name: TopicLevel
    enabled: bool = True
    min_severity: AlarmSeverity = "warning"
    only: list[str] = Field(default_factory=list)
    never: list[str] = Field(default_factory=list)
    all_clear: bool = True
    max_per_hour: Annotated[int, Field(ge=2, le=3600)] = 20
    quiet_hours: QuietHoursConfig | None = None

    url: WebAddress | None = Field(default=None, repr=False)
    url_env: EnvName | None = None
    url_file: Path | None = None
    secret_env: EnvName | None = None
    secret_file: Path | None = None
    ca_file: Path | None = None

    host: str | None = None
    port: Port | None = None
    security: Literal["starttls", "smtps", "plain"] = "starttls"
    username: Annotated[str, Field(min_length=1)] | None = None
    password_env: EnvName | None = None
    password_file: Path | None = None
    sender: str | None = None
    recipients: list[str] = Field(default_factory=list, max_length=50)

    topic: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_secret_is_stated(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        for key in data:
            if str(key) not in cls.model_fields and _LOOKS_SECRET.search(str(key)):
                name, shown = (str(t)[:40].replace("|", "/") for t in (data.get("name", "?"), key))
                near = difflib.get_close_matches(str(key), list(cls.model_fields), n=1)
                raise ValueError(
                    f"notifications.channels.{name}.{shown}|"
                    "There is no such key, and secrets do not stand in this file.|"
                    + (f"Did you mean '{near[0]}'? " if near else "")
                    + "Name the secret's place with password_env, secret_env or url_env, or the "
                    "same with _file."
                )
        return data

    @model_validator(mode="after")
    def _keys_fit_the_type(self) -> ChannelConfig:
        for key, kind in _KEYS_OF.items():
            if key in self.model_fields_set and kind != self.type:
                raise self._problem(
                    key,
                    f"{_ARTICLES[self.type]} has no {key}.",
                    f"Remove {key}, or set type: {kind}.",
                )
        if self.ca_file is not None and self.type == "mqtt":
            raise self._problem(
                "ca_file",
                f"{_ARTICLES[self.type]} has no ca_file.",
                "Remove ca_file here; the broker's is mqtt.ca_file.",
            )
        return self

    @model_validator(mode="after")
    def _forms_are_right(self) -> ChannelConfig:
        for key, form, remedy in (
            ("host", _HOST, "Give a host name or address, without port."),
            ("sender", _MAIL_ADDRESS, "Give an address such as ems@site.example."),
            ("topic", _TOPIC, "Give a topic without +, # and spaces, not beginning with /."),
        ):
            value = getattr(self, key)
            if value is not None and form.fullmatch(value) is None:
                raise self._problem(key, f"{value[:80]!r} is not possible here.", remedy)
        for address in self.recipients:
            if _MAIL_ADDRESS.fullmatch(address) is None:
                raise self._problem(
                    "recipients",
                    f"{address[:80]!r} is no e-mail address.",
                    "Give addresses such as anna@site.example.",
                )
        return self

    @model_validator(mode="after")
    def _is_complete(self) -> ChannelConfig:
        if self.type == "webhook":
            self._one_of("url", "url_env", "url_file", needed=True)
            self._one_of("secret_env", "secret_file", needed=False)
        elif self.type == "email":
            self._mail_is_complete()
        return self

    @model_validator(mode="after")
    def _codes_exist(self) -> ChannelConfig:
        for key in ("only", "never"):
            for code in getattr(self, key):
                if code not in ALARM_CODES:
                    near = difflib.get_close_matches(code, ALARM_CODES, n=1)
                    raise self._problem(
                        key,
                        f"There is no alarm {code!r}.",
                        f"Did you mean '{near[0]}'?"
                        if near
                        else f"Use some of {', '.join(ALARM_CODES)}.",
                    )
        both = set(self.only) & set(self.never)
        if both:
            raise self._problem(
                "never",
                f"The alarm {min(both)} stands under only and under never.",
                "Remove it from one of them.",
            )
        quiet = self.quiet_hours
        if quiet is not None and quiet.start == quiet.end:
            raise self._problem(
                "quiet_hours",
                f"Quiet hours from {quiet.start} to {quiet.end} have no length.",
                "Give different times, or set enabled: false for a channel that is always quiet.",
            )
        return self

    @property
    def smtp_port(self) -> int:
        """The stated port, else the usual one of the kind of encryption."""
        if self.port is not None:
            return self.port
        return {"starttls": 587, "smtps": 465, "plain": 25}[self.security]

    def _mail_is_complete(self) -> None:
        for key in ("host", "sender"):
            if getattr(self, key) is None:
                raise self._problem(key, f"An e-mail channel needs a {key}.", f"Add {key}.")
        if not self.recipients:
            raise self._problem(
                "recipients",
                "An e-mail channel needs recipients.",
                "Add recipients: [a@b.example].",
            )
        self._one_of("password_env", "password_file", needed=self.username is not None)
        if self.username is None and (self.password_env or self.password_file):
            raise self._problem(
                "username", "A password without a user name is of no use.", "Add username."
            )
        if self.security == "plain" and self.username is not None:
            raise self._problem(
                "security",
                "A password must not travel without encryption (security is plain).",
                "Set security: starttls or smtps.",
            )
        if self.security == "plain" and not _is_near(self.host or ""):
            raise self._problem(
                "security",
                f"{self.host} is not in the local network; without encryption (security is "
                "plain) everybody on the way reads and changes the messages.",
                "Set security: starttls or smtps, or name a local relay.",
            )

    def _one_of(self, *keys: str, needed: bool) -> None:
        given = [key for key in keys if getattr(self, key) is not None]
        words = " or ".join((", ".join(keys[:-1]), keys[-1]))
        if len(given) > 1:
            raise self._problem(
                given[1], f"{given[0]} and {given[1]} say the same thing.", "Keep one of them."
            )
        if needed and not given:
            raise self._problem(keys[0], f"One of {words} is missing.", f"Add {words}.")

    def _problem(self, key: str, message: str, hint: str) -> ValueError:
        text = f"notifications.channels.{self.name}.{key}|"
        return ValueError(f"{text}{message.replace('|', '/')}|{hint.replace('|', '/')}")


class NotificationsConfig(Section):
    """Who is told of alarms, how, and in which language.

    `base_url` is where people reach these pages; it becomes the link of a message.

    Attributes:
        language: Language of the messages.
        base_url: Where people reach these pages; the link of a message.
        channels: Ways to tell people.
    """

    language: Literal["de", "en"] = "de"
    base_url: WebAddress | None = None
    channels: list[ChannelConfig] = Field(default_factory=list, max_length=20)

    @model_validator(mode="after")
    def _names_are_distinct(self) -> NotificationsConfig:
        names: set[str] = set()
        for channel in self.channels:
            if channel.name in names:
                raise ValueError(
                    f"notifications.channels.{channel.name}.name|"
                    f"The name {channel.name} is used twice.|Give each channel a name of its own."
                )
            names.add(channel.name)
        return self

    @property
    def needs_mqtt(self) -> bool:
        """True when an enabled channel uses the broker of the section ``mqtt``."""
        return any(c.enabled and c.type == "mqtt" for c in self.channels)


def _is_near(host: str) -> bool:
    """True when a host can only be in the local network: a private address or a local name."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        # Names with a dot are public unless they end like a private zone.
        name = host.lower().rstrip(".")
        local = (".local", ".lan", ".internal", ".home.arpa", ".localhost")
        return "." not in name or name.endswith(local)
    return address.is_private or address.is_loopback or address.is_link_local
