"""The accounts on the web: cookies, the gate before every request, and their pages."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from flask import Flask, Request, g, request, session
from flask.sessions import SecureCookieSessionInterface
from flask_wtf.csrf import CSRFProtect, generate_csrf
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response

from ems_dash.auth import tokens
from ems_dash.auth.access import CSRF_COOKIE, Principal
from ems_dash.auth.accounts import Accounts
from ems_dash.auth.actors import Login
from ems_dash.auth.audit import Audit
from ems_dash.auth.first_login import first_users
from ems_dash.auth.gate import bearer_of, install_gate
from ems_dash.auth.passwords import Passwords
from ems_dash.auth.roles import Role
from ems_dash.auth.sender import Sender, sender_of
from ems_dash.auth.sessions import FILE_NAME as SESSIONS_FILE
from ems_dash.auth.sessions import SessionStore
from ems_dash.auth.user_store import FILE_NAME as USERS_FILE
from ems_dash.auth.user_store import UserStore
from ems_dash.auth.views import account_pages
from engine.config.access import AccessConfig, ServerConfig
from engine.config.load import write_atomically
from engine.config.schema import Config
from engine.domain.clock import Clock
from engine.domain.errors import ConfigError

log = logging.getLogger(__name__)

SESSION_COOKIE: Final = "ems_session"
SID: Final = "sid"
KEY_FILE: Final = "cookie-key"
LOCAL_TOKEN_FILE: Final = "local-token"


class _HttpsOnlyWhenHttps(SecureCookieSessionInterface):
    """Marks the cookie Secure over HTTPS; over plain HTTP the browser would not send it back."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure


@dataclass(frozen=True, slots=True)
class WebAccess:
    """Access by session cookie or token (`ems_dash.auth.access.Access`).

    Attributes:
        accounts: The accounts.
        config: Who may look in without one.
        server: How the pages are reached.
        timezone: Of the times on the pages.
        cookie_key: Signs the session cookie.
    """

    accounts: Accounts
    config: AccessConfig
    server: ServerConfig
    timezone: str
    cookie_key: bytes

    def sender(self, request: Request) -> Sender:
        """Return where `request` comes from."""
        return sender_of(request, proxy_hops=self.server.proxy_hops)

    def identify(self, request: Request) -> Principal | None:
        """Return who sent `request`; a token counts alone, whatever cookies come with it."""
        token = bearer_of(request)
        if token is not None:
            return self.accounts.principal_of_token(token, self.sender(request))
        login = self.login()
        if login is not None:
            return Principal(login.name, login.user.role, "session")
        if self.config.anonymous_role == "viewer":
            return Principal("anonymous", Role.VIEWER, "anonymous")
        return None

    def login(self) -> Login | None:
        """Return the login of the current request's session cookie; None without one."""
        if "ems_login" not in g:
            sid = session.get(SID)
            g.ems_login = self.accounts.login_of(sid) if isinstance(sid, str) else None
            if g.ems_login is None and sid is not None:
                session.pop(SID, None)
        found: Login | None = g.ems_login
        return found

    def begin(self, name: str, sender: Sender) -> None:
        """Log a user in: a new session and a new cookie, nothing of the old one lives on."""
        old = session.get(SID)
        if isinstance(old, str) and (login := self.accounts.login_of(old)) is not None:
            self.accounts.log_out(login, old, sender.address)
        session.clear()
        g.pop("csrf_token", None)
        session[SID] = self.accounts.begin(name, sender)

    def install(self, server: Flask) -> None:
        """Add cookies, gate and pages to `server`."""
        server.secret_key = self.cookie_key
        server.session_interface = _HttpsOnlyWhenHttps()
        server.config.update(
            SESSION_COOKIE_NAME=SESSION_COOKIE,
            SESSION_COOKIE_HTTPONLY=True,
            SESSION_COOKIE_SAMESITE="Lax",
            WTF_CSRF_CHECK_DEFAULT=False,
            WTF_CSRF_TIME_LIMIT=None,
            # The gate compares the origin itself, also without HTTPS.
            WTF_CSRF_SSL_STRICT=False,
        )
        hops = self.server.proxy_hops
        if hops:
            server.wsgi_app = ProxyFix(  # type: ignore[method-assign]
                server.wsgi_app, x_for=hops, x_proto=hops, x_host=hops
            )
        CSRFProtect(server)
        install_gate(server, self)
        server.register_blueprint(account_pages(self))
        server.after_request(_hand_out_csrf_token)


def _hand_out_csrf_token(answer: Response) -> Response:
    """Give every page the token that its requests have to bring back."""
    if answer.mimetype == "text/html" and request.method in ("GET", "POST"):
        answer.set_cookie(
            CSRF_COOKIE, generate_csrf(), samesite="Lax", secure=request.is_secure, httponly=False
        )
    return answer


def open_accounts(
    config_dir: Path,
    data_dir: Path,
    config: AccessConfig,
    clock: Clock,
    audit: Audit,
    *,
    environ: Mapping[str, str] = os.environ,
    passwords: Passwords | None = None,
) -> Accounts:
    """Return the accounts of an installation; its first user is made when it has none.

    Raises:
        EmsError: A file cannot be read or written.
    """
    passwords = passwords or Passwords()
    users = UserStore(config_dir / USERS_FILE)
    if not users.exists:
        users.create(first_users(passwords, environ, clock.now()))
    users.read()
    sessions = SessionStore(
        data_dir / SESSIONS_FILE,
        clock,
        idle=timedelta(minutes=config.session_idle_minutes),
        longest=timedelta(hours=config.session_hours),
    )
    return Accounts(users, sessions, passwords, clock, audit)


def serve_accounts(accounts: Accounts, data_dir: Path, config: Config) -> WebAccess:
    """Return the access of a program that serves pages; writes down its local token.

    Raises:
        ConfigError: The data folder cannot be written.
    """
    _, text, hashed = tokens.new_token("local")
    try:
        write_atomically(data_dir / LOCAL_TOKEN_FILE, text, 0o600)
        key = _cookie_key(data_dir / KEY_FILE)
    except OSError as exc:
        raise ConfigError(
            f"The data folder cannot be written: {exc.strerror}.", field="data", value=str(data_dir)
        ) from exc
    accounts.use_local_token(hashed)
    if accounts.first_login_pending:
        log.warning(
            "The first login has not happened yet. From outside this network it needs the "
            "set-up code %s.",
            accounts.setup_code,
        )
    return WebAccess(accounts, config.access, config.server, config.site.timezone, key)


def _cookie_key(path: Path) -> bytes:
    try:
        found = bytes.fromhex(path.read_text(encoding="ascii"))
        if len(found) >= 32:
            return found
    except (FileNotFoundError, ValueError):
        pass
    made = secrets.token_bytes(32)
    write_atomically(path, made.hex(), 0o600)
    return made
