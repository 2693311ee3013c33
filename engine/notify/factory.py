"""Channels and notifier as the configuration asks for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from random import Random

from engine.config.notify import ChannelConfig, NotificationsConfig
from engine.domain.clock import Clock
from engine.domain.site import Site
from engine.notify.channel import Channel
from engine.notify.email import EmailChannel, MailServer
from engine.notify.errors import NotifyError
from engine.notify.kept import KeptMessages
from engine.notify.mqtt import MqttChannel, PublishMqtt
from engine.notify.notifier import ChannelSetup, Notifier
from engine.notify.rules import ChannelRules
from engine.notify.secrets import SecretSource
from engine.notify.webhook import WebhookChannel


def build_notifier(
    config: NotificationsConfig,
    site: Site,
    clock: Clock,
    random: Random,
    *,
    publish: PublishMqtt,
    default_topic: str,
    page: str = "/",
    environment: Mapping[str, str] = os.environ,
    kept: KeptMessages | None = None,
) -> Notifier:
    """Return the notifier of a site; nothing is sent before its `start`.

    A secret that is missing does not keep the engine from starting: its channel reports it.

    Args:
        config: The section ``notifications``.
        site: The site.
        clock: Time of queues, limits and signatures; the machine's own where real people wait.
        random: For ids and jitter.
        publish: Publishes over MQTT; returns False while there is no broker.
        default_topic: Topic of a channel over MQTT that states none.
        page: Path of the page that a message links to.
        environment: Environment variables.
        kept: Keeps over a restart what was not delivered; None: it is lost with the program.
    """
    setups = [
        ChannelSetup(
            _channel(channel, clock, publish, default_topic, environment),
            rules_of(channel),
            channel.enabled,
        )
        for channel in config.channels
    ]
    link = None if config.base_url is None else config.base_url.rstrip("/") + page
    return Notifier(setups, site, clock, random, language=config.language, link=link, kept=kept)


def rules_of(config: ChannelConfig) -> ChannelRules:
    """Return what a channel tells."""
    quiet = config.quiet_hours
    return ChannelRules(
        min_severity=config.min_severity,
        only=frozenset(config.only),
        never=frozenset(config.never),
        all_clear=config.all_clear,
        max_per_hour=config.max_per_hour,
        quiet=None if quiet is None else (quiet.start_time, quiet.end_time),
    )


def _channel(
    config: ChannelConfig,
    clock: Clock,
    publish: PublishMqtt,
    default_topic: str,
    environment: Mapping[str, str],
) -> Channel:
    where = f"notifications.channels.{config.name}"
    if config.type == "mqtt":
        return MqttChannel(config.name, config.topic or default_topic, publish)
    if config.type == "webhook":
        secret = SecretSource(config.secret_env, config.secret_file, f"{where}.secret", environment)
        address = _address(config, where, environment)
        return WebhookChannel(config.name, address, secret, clock, ca_file=config.ca_file)
    password = SecretSource(
        config.password_env, config.password_file, f"{where}.password", environment
    )
    server = MailServer(
        (config.host or "").strip("[]"),
        config.smtp_port,
        config.security,
        config.username,
        config.ca_file,
    )
    recipients = tuple(config.recipients)
    return EmailChannel(config.name, server, password, config.sender or "", recipients)


def _address(
    config: ChannelConfig, where: str, environment: Mapping[str, str]
) -> Callable[[], str]:
    source = SecretSource(config.url_env, config.url_file, f"{where}.url", environment)
    stated = config.url

    def address() -> str:
        url = stated if stated is not None else source.read()
        if url is None:
            raise NotifyError("No address is stated.", kind="config", field=f"{where}.url")
        return url.strip()

    return address
