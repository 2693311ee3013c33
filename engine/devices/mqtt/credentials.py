"""User name, password and certificates for the broker; the password never leaves this module's
answer for a log, a status or the configuration."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Mapping
from pathlib import Path

from engine.config.mqtt import MqttConfig
from engine.domain.errors import ConfigError

_GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_password(config: MqttConfig, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the password from the place the configuration names, or None when it names none.

    Args:
        config: The MQTT section.
        environment: Environment variables.

    Raises:
        ConfigError: Two places, an empty place, a password without a user name, or a file that
            others can read.
    """
    if config.password_env and config.password_file:
        raise ConfigError(
            "The password has two places.",
            field="mqtt.password_file",
            value=config.password_file,
            hint="Keep password_env or password_file, not both.",
        )
    if not config.password_env and not config.password_file:
        return None
    if config.username is None:
        raise ConfigError(
            "A password without a user name is of no use.",
            field="mqtt.username",
            value=None,
            hint="Give mqtt.username.",
        )
    if config.password_env:
        password = environment.get(config.password_env, "")
        if not password:
            raise ConfigError(
                f"The environment variable {config.password_env} is empty or not set.",
                field="mqtt.password_env",
                value=config.password_env,
                hint="Set it to the password before the program starts.",
            )
        return password
    return _from_file(Path(config.password_file or ""))


def tls_context(config: MqttConfig) -> ssl.SSLContext | None:
    """Return the TLS context, or None for a plain connection; certificates are always checked.

    Raises:
        ConfigError: The certificate authority's file cannot be used.
    """
    if not config.tls:
        if config.ca_file is not None:
            raise ConfigError(
                "A certificate authority is given, but the connection is not encrypted.",
                field="mqtt.tls",
                value=False,
                hint="Set mqtt.tls: true, or remove mqtt.ca_file.",
            )
        return None
    try:
        return ssl.create_default_context(cafile=config.ca_file)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(
            "The certificate authority's file cannot be used "
            f"({exc.strerror or type(exc).__name__}).",
            field="mqtt.ca_file",
            value=config.ca_file,
            hint="Give a readable PEM file.",
        ) from exc


def _from_file(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        if mode & _GROUP_AND_OTHERS:
            raise ConfigError(
                f"The password file can be read by others (mode {stat.S_IMODE(mode):04o}).",
                field="mqtt.password_file",
                value=str(path),
                hint="Set its mode to 0600.",
            )
        password = path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        text = exc.strerror if isinstance(exc, OSError) else "not UTF-8 text"
        raise ConfigError(
            f"The password file cannot be read ({text}).",
            field="mqtt.password_file",
            value=str(path),
            hint="Check the path and its owner.",
        ) from exc
    if not password:
        raise ConfigError(
            "The password file is empty.",
            field="mqtt.password_file",
            value=str(path),
            hint="Write the password into it.",
        )
    return password
