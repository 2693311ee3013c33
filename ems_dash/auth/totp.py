"""One-time codes as a second factor: TOTP (RFC 6238, 6 digits, 30 s) and recovery codes."""

from __future__ import annotations

import io
import secrets
from datetime import datetime
from typing import Final

import pyotp
import segno

from ems_dash.auth.tokens import sha256
from ems_dash.auth.users import Totp

STEP_S: Final = 30
RECOVERY_CODES: Final = 10
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"


def new_secret() -> str:
    """Return a shared secret of 160 bits, base32."""
    return pyotp.random_base32()


def address(secret: str, user: str, product: str) -> str:
    """Return the address that an authenticator reads from the QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=user, issuer_name=product)


def qr_svg(text: str) -> str:
    """Return `text` as a QR code: an SVG document, dark on white in every theme."""
    out = io.BytesIO()
    segno.make(text, error="m").save(
        out, kind="svg", scale=4, border=3, dark="#000", light="#fff", xmldecl=False, omitsize=True
    )
    return out.getvalue().decode()


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """Return the time step `code` belongs to: now, one before or one after; None for none.

    One step either way allows for clocks that differ and for typing (RFC 6238, section 5.2).
    """
    digits = code.replace(" ", "")
    if len(digits) != 6 or not (digits.isascii() and digits.isdigit()):
        return None
    totp = pyotp.TOTP(secret)
    here = int(now.timestamp()) // STEP_S
    found = None
    for step in (here - 1, here, here + 1):
        if secrets.compare_digest(totp.at(step * STEP_S), digits):
            found = step
    return found


def new_recovery_codes() -> tuple[str, ...]:
    """Return codes of which each replaces one one-time code, once."""

    def code() -> str:
        text = "".join(secrets.choice(_LETTERS) for _ in range(10))
        return f"{text[:5]}-{text[5:]}"

    return tuple(code() for _ in range(RECOVERY_CODES))


def hashed(codes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the hashes that are kept of recovery codes."""
    return tuple(sha256(_plain(code)) for code in codes)


def without_code(totp: Totp, code: str) -> Totp | None:
    """Return the factor without the recovery code `code`; None when that is none of its codes."""
    used = sha256(_plain(code))
    if used not in totp.recovery_sha256:
        return None
    left = tuple(kept for kept in totp.recovery_sha256 if kept != used)
    return totp.model_copy(update={"recovery_sha256": left})


def _plain(code: str) -> str:
    return code.strip().lower().replace("-", "").replace(" ", "")
