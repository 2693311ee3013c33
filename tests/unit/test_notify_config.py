"""The section ``notifications``: what it accepts, and how it names mistakes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from engine.config.notify import ALARM_CODES, NotificationsConfig

HOOK = {"type": "webhook", "name": "ops", "url_env": "EMS_HOOK"}
MAIL = {
    "type": "email",
    "name": "mail",
    "host": "mail.example",
    "username": "ems",
    "password_env": "EMS_MAIL",
    "sender": "ems@site.example",
    "recipients": ["anna@site.example"],
}
MQTT = {"type": "mqtt", "name": "bus"}


def parse(*channels: dict[str, Any], **more: Any) -> NotificationsConfig:
    return NotificationsConfig.model_validate({"channels": list(channels), **more})


def test_nothing_stated_tells_nobody() -> None:
    config = NotificationsConfig()
    assert (config.language, config.base_url, config.channels) == ("de", None, [])
    assert not config.needs_mqtt


def test_one_of_each_kind_with_its_defaults() -> None:
    config = parse(HOOK, MAIL, MQTT, base_url="https://ems.site.example", language="en")
    hook, mail, bus = config.channels
    assert (hook.enabled, hook.min_severity, hook.all_clear) == (True, "warning", True)
    assert (mail.security, mail.smtp_port) == ("starttls", 587)
    assert bus.topic is None
    assert config.needs_mqtt
    assert parse({**MAIL, "security": "smtps"}).channels[0].smtp_port == 465
    assert parse({**MAIL, "port": 2525}).channels[0].smtp_port == 2525


def test_every_code_may_be_chosen() -> None:
    assert parse({**HOOK, "only": list(ALARM_CODES)}).channels[0].only == list(ALARM_CODES)
    assert "system_fault" in ALARM_CODES


@pytest.mark.parametrize(
    ("channel", "field", "fragments"),
    [
        ({**HOOK, "url": "https://x.example"}, "ops.url_env", ("say the same", "Keep one")),
        ({"type": "webhook", "name": "ops"}, "ops.url", ("missing", "url_env")),
        ({**HOOK, "host": "x"}, "ops.host", ("A webhook has no host", "type: email")),
        ({**HOOK, "ca_file": "/x", "topic": "a"}, "ops.topic", ("type: mqtt",)),
        ({**MQTT, "ca_file": "/x"}, "bus.ca_file", ("mqtt.ca_file",)),
        ({**MQTT, "topic": "a/#"}, "bus.topic", ("a/#", "without +")),
        ({**HOOK, "only": ["link_ofline"]}, "ops.only", ("link_ofline", "'link_offline'")),
        ({**HOOK, "only": ["fault"], "never": ["fault"]}, "ops.never", ("fault", "Remove")),
        ({**MAIL, "host": None}, "mail.host", ("needs a host",)),
        ({**MAIL, "host": "a/b"}, "mail.host", ("a/b",)),
        ({**MAIL, "recipients": []}, "mail.recipients", ("needs recipients",)),
        ({**MAIL, "recipients": ["a@b\r\nBcc: c@d"]}, "mail.recipients", ("no e-mail",)),
        ({**MAIL, "sender": "nobody"}, "mail.sender", ("'nobody'", "ems@site")),
        ({**MAIL, "password_env": None}, "mail.password_env", ("missing",)),
        ({**MAIL, "username": None}, "mail.username", ("without a user name",)),
        ({**MAIL, "security": "plain"}, "mail.security", ("without encryption",)),
        (
            {**MAIL, "security": "plain", "username": None, "password_env": None},
            "mail.security",
            ("mail.example", "local network"),
        ),
        (
            {**HOOK, "quiet_hours": {"start": "22:00", "end": "22:00"}},
            "ops.quiet_hours",
            ("no length",),
        ),
        (
            {**HOOK, "quiet_hours": {"start": "25:00", "end": "06:00"}},
            "quiet_hours.start",
            ("'25:00'", "22:00"),
        ),
    ],
)
def test_mistakes_name_field_value_and_remedy(
    channel: dict[str, Any], field: str, fragments: tuple[str, ...]
) -> None:
    given = {key: value for key, value in channel.items() if value is not None}
    with pytest.raises(ValidationError) as caught:
        parse(given)
    text = str(caught.value.errors()[0]["ctx"]["error"])
    # The form that engine.config.load turns into field, message and remedy.
    where, message, hint = text.split("|")
    assert where == f"notifications.channels.{field}"
    assert hint
    for fragment in fragments:
        assert fragment in message + hint


@pytest.mark.parametrize("key", ["password", "pasword", "secret", "api_key", "pwd"])
def test_a_stated_secret_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse({**MAIL, key: "hunter2-hunter2"})
    text = str(caught.value.errors()[0]["ctx"]["error"])
    assert "secrets do not stand" in text
    assert "hunter2" not in text


def test_names_are_distinct() -> None:
    with pytest.raises(ValidationError, match=r"name ops is used twice"):
        parse(HOOK, HOOK)


def test_an_address_may_hold_no_login_and_is_not_shown() -> None:
    with pytest.raises(ValidationError):
        parse({"type": "webhook", "name": "ops", "url": "https://user:pw@host.example/x"})
    config = parse({"type": "webhook", "name": "ops", "url": "https://host.example/T0/secret"})
    assert "secret" not in repr(config.channels[0]).replace("secret_env", "").replace(
        "secret_file", ""
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "192.168.1.5", "relay", "mail.lan", "[::1]"])
def test_a_relay_nearby_may_be_plain(host: str) -> None:
    mail = {**MAIL, "host": host, "security": "plain"}
    del mail["username"], mail["password_env"]
    assert parse(mail).channels[0].smtp_port == 25
