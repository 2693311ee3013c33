"""API tokens: ``ems_<id>_<secret>``, of which only a SHA-256 is kept.

A fast hash is enough: the secret has 256 random bits and cannot be guessed from it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

PREFIX: Final = "ems"
LONGEST_DAYS: Final = 366
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"


def new_token(key: str | None = None) -> tuple[str, str, str]:
    """Return a new token: its id, the whole text to hand over once, and its SHA-256.

    Args:
        key: The id; None for a random one.
    """
    key = key or "".join(secrets.choice(_LETTERS) for _ in range(8))
    secret = secrets.token_urlsafe(32)
    return key, f"{PREFIX}_{key}_{secret}", sha256(secret)


def parts(text: str) -> tuple[str, str] | None:
    """Return id and secret of a token; None for what is none."""
    prefix, _, rest = text.partition("_")
    key, _, secret = rest.partition("_")
    return (key, secret) if prefix == PREFIX and key and secret else None


def sha256(secret: str) -> str:
    """Return the SHA-256 of `secret` in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_secret(secret: str, stored: str) -> bool:
    """Return True when `stored` is the hash of `secret`; takes as long for every answer."""
    return hmac.compare_digest(sha256(secret), stored)
