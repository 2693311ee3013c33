"""The web application with accounts in front: what gets past the gate, and what does not."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pyotp
import pytest
from flask import request
from flask.testing import FlaskClient

from ems_dash.api.account_routes import register_account_api
from ems_dash.api.routes import register_api
from ems_dash.auth.access import needs
from ems_dash.auth.actors import Actor
from ems_dash.auth.gate import safe_next
from ems_dash.auth.roles import Role
from engine.config.access import AccessConfig, ServerConfig
from tests.support.accounts import World, csrf_of, log_in, token_in
from tests.support.login import PASSWORD, bearer
from tests.unit.test_ui_app import StandingServices

NEW = "four calm herons waiting"
OUTSIDE = {"REMOTE_ADDR": "203.0.113.7"}


class Plant(StandingServices):
    """Counts the plans asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.plans = 0

    def request_plan(self) -> None:
        self.plans += 1


class Site:
    """A world with its application."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.world = World.make(folder, **options)
        self.plant = Plant()
        self.server = self.world.server(self.plant)
        register_api(self.server, self.plant)
        register_account_api(self.server, self.world.accounts)

    def client(self, name: str | None = None, **more: str) -> FlaskClient:
        """Return a browser, logged in as `name` if given."""
        client = self.server.test_client()
        if name is not None:
            assert log_in(client, name, **more).status_code == 303
            client.get("/")
        return client


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


# Who is nobody.


def test_nobody_gets_the_login_page_or_a_refusal(site: Site) -> None:
    client = site.client()
    for path in ("/", "/monitoring", "/settings?section=site", "/account", "/settings/users"):
        answer = client.get(path)
        assert answer.status_code == 302
        assert answer.location.startswith("/login")
    assert client.get("/settings?section=site").location == "/login?next=/settings%3Fsection%3Dsite"
    for path in ("/api/state", "/api/nothing", "/_dash-layout", "/_dash-dependencies"):
        answer = client.get(path)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert client.post("/_dash-update-component", json={}).status_code == 401
    for path in ("/login", "/healthz", "/assets/ems.css", "/assets/session.js"):
        assert client.get(path).status_code == 200


def test_readers_without_an_account_only_where_the_configuration_lets_them(tmp_path: Path) -> None:
    site = Site(tmp_path, access=AccessConfig(anonymous_role="viewer"))
    client = site.client()
    assert client.get("/api/state").status_code == 200
    assert "user-log-in" in client.get("/_dash-layout").text
    assert client.get("/account").location.startswith("/login")
    assert client.get("/api/tokens").status_code == 401
    client.get("/")
    assert client.post("/api/plan", headers=csrf_of(client)).status_code == 403
    assert site.plant.plans == 0


# Logging in and out.


def test_login_leads_on_logout_ends_it_and_the_cookies_are_closed(site: Site) -> None:
    client = site.client()
    answer = log_in(client, "operator", next="/monitoring?range=6h")
    assert (answer.status_code, answer.location) == (303, "/monitoring?range=6h")
    cookies = answer.headers.getlist("Set-Cookie")
    (session,) = (c for c in cookies if c.startswith("ems_session="))
    assert "HttpOnly" in session
    assert "SameSite=Lax" in session
    assert "Secure" not in session
    assert client.get("/api/account").get_json() == {
        "name": "operator",
        "role": "operator",
        "via": "session",
    }
    assert client.get("/login").location == "/"
    stolen = client.get_cookie("ems_session")
    page = client.get("/account").text
    assert client.post("/logout", data={"csrf_token": token_in(page)}).location == "/login"
    assert client.get("/api/state").status_code == 401
    assert stolen is not None
    client.set_cookie("ems_session", stolen.value)
    assert client.get("/api/state").status_code == 401, "the old cookie opens nothing"


def test_the_cookie_is_secure_over_https(site: Site) -> None:
    client = site.server.test_client()
    page = client.get("/login", base_url="https://localhost")
    for cookie in page.headers.getlist("Set-Cookie"):
        assert "Secure" in cookie


def test_every_login_is_a_new_session(site: Site) -> None:
    client = site.client("viewer")
    before = client.get_cookie("ems_session")
    assert before is not None
    with client.session_transaction() as kept:
        planted = kept["sid"]
        kept.pop("sid")
    # An attacker's cookie that was planted before the login must not be the victim's afterwards.
    with client.session_transaction() as kept:
        kept["sid"] = planted
    client.get("/logout")
    answer = client.post("/logout", headers=csrf_of(client))
    assert answer.status_code == 303
    with client.session_transaction() as kept:
        kept["sid"] = planted
    log_in(client, "operator")
    with client.session_transaction() as kept:
        assert kept["sid"] != planted
    attacker = site.client()
    attacker.set_cookie("ems_session", before.value)
    assert attacker.get("/api/state").status_code == 401


def test_a_cookie_that_was_tampered_with_is_nobody(site: Site) -> None:
    client = site.client("viewer")
    cookie = client.get_cookie("ems_session")
    assert cookie is not None
    for value in (cookie.value[:-2] + "xx", "x" + cookie.value, "", "{}", "a.b.c"):
        other = site.client()
        other.set_cookie("ems_session", value)
        assert other.get("/api/state").status_code == 401


def test_wrong_logins_say_the_same_and_then_wait(site: Site) -> None:
    client = site.client()
    texts = []
    for name in ("viewer", "nobody"):
        answer = log_in(client, name, "guess")
        assert answer.status_code == 401
        texts.append(answer.text.replace(name, "").split("<form")[0])
    assert texts[0].partition('role="alert"')[2] == texts[1].partition('role="alert"')[2]
    for _ in range(4):
        log_in(client, "viewer", "guess")
    answer = log_in(client, "viewer")
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "10"
    assert "10 s" in answer.text
    admin = site.client("admin")
    assert "127.0.0.1" in admin.get("/settings/users").text.split("acc-grid")[0]
    site.world.pass_time(seconds=10)
    assert log_in(client, "viewer").status_code == 303


@pytest.mark.parametrize(
    "target",
    [
        *("https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example"),
        *("/\tevil", "javascript:alert(1)", "/%0d%0aSet-Cookie", "evil", "", "/login", "/logout"),
        *("///evil.example", "/api/state", "/_dash-layout", "/ \n//evil"),
    ],
)
def test_login_leads_nowhere_else(site: Site, target: str) -> None:
    location = log_in(site.client(), "viewer", next=target).location
    assert location == "/" or (location.startswith("/%0d") and "\r" not in location)
    assert safe_next("/analytics/runs?days=7&show=all") == "/analytics/runs?days=7&show=all"


def test_the_second_factor_comes_after_the_password(site: Site) -> None:
    client = site.client("viewer")
    page = client.get("/account/totp")
    assert "<svg" in page.text
    with client.session_transaction() as kept:
        secret = kept["totp"]
    code = pyotp.TOTP(secret).at(site.world.clock.now())
    answer = client.post("/account/totp", data={"code": code, "csrf_token": token_in(page.text)})
    assert answer.text.count("<li><code>") == 10
    site.world.pass_time(minutes=1)
    other = site.client()
    assert log_in(other, "viewer", next="/monitoring").location == "/login/code"
    assert other.get("/api/state").status_code == 401, "the password alone opens nothing"
    page = other.get("/login/code")
    wrong = other.post("/login/code", data={"code": "1", "csrf_token": token_in(page.text)})
    assert wrong.status_code == 401
    code = pyotp.TOTP(secret).at(site.world.clock.now())
    sent = {"code": code, "csrf_token": token_in(wrong.text)}
    assert other.post("/login/code", data=sent).location == "/monitoring"
    assert other.get("/api/state").status_code == 200
    late = site.client()
    log_in(late, "viewer")
    site.world.pass_time(minutes=6)
    assert late.get("/login/code").location == "/login"


# The first login.


def test_the_first_login_opens_the_password_page_and_nothing_else(tmp_path: Path) -> None:
    site = Site(tmp_path, prepared=False)
    client = site.client()
    assert "admin123" in client.get("/login").text
    assert "admin123" not in client.get("/login", environ_overrides=OUTSIDE).text
    forwarded = {"X-Forwarded-For": "203.0.113.7"}
    assert "admin123" not in client.get("/login", headers=forwarded).text
    assert log_in(client, "admin", "admin123").location == "/account/password"
    for path in ("/", "/monitoring", "/account", "/settings/users"):
        assert client.get(path).location == "/account/password"
    for path in ("/api/state", "/_dash-layout", "/api/users"):
        answer = client.get(path)
        assert answer.get_json()["error"]["code"] == "password_change_required"
        assert answer.status_code == 403
    page = client.get("/account/password").text
    form = {"csrf_token": token_in(page), "new": NEW, "again": NEW + "x"}
    assert client.post("/account/password", data=form).status_code == 400
    for weak in ("admin123", "short", "administrator1"):
        answer = client.post("/account/password", data={**form, "new": weak, "again": weak})
        assert answer.status_code == 400
    assert client.post("/account/password", data={**form, "again": NEW}).location == "/"
    assert client.get("/api/state").status_code == 200
    assert "admin123" not in site.client().get("/login").text


def test_from_outside_the_form_asks_for_the_code_of_the_log(tmp_path: Path) -> None:
    site = Site(tmp_path, prepared=False)
    client = site.client()
    client.environ_base.update(OUTSIDE)
    assert 'name="setup_code"' in client.get("/login").text
    assert log_in(client, "admin", "admin123").status_code == 401
    code = site.world.accounts.setup_code
    assert log_in(client, "admin", "admin123", setup_code=code).status_code == 303


# Foreign pages.


def test_what_is_unsafe_needs_the_token_of_the_page(site: Site) -> None:
    client = site.client("operator")
    for headers in ({}, {"X-CSRFToken": "guess"}, csrf_of(site.client("viewer"))):
        answer = client.post("/api/plan", headers=headers)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "csrf")
    assert site.plant.plans == 0
    assert client.post("/api/plan", headers=csrf_of(client)).status_code == 202
    assert client.post("/_dash-update-component", json={}).status_code == 403
    login = site.client()
    form = {"name": "viewer", "password": PASSWORD}
    assert login.post("/login", data=form).status_code == 403
    browser = login.post("/login", data=form, headers={"Accept": "text/html"})
    assert browser.location == "/login"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8080"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_origin_can_do_nothing(site: Site, headers: dict[str, str]) -> None:
    client = site.client("operator")
    answer = client.post("/api/plan", headers={**csrf_of(client), **headers})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "forbidden")
    assert site.plant.plans == 0


def test_the_own_origin_may(site: Site) -> None:
    client = site.client("operator")
    ours = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/plan", headers={**csrf_of(client), **ours}).status_code == 202


def test_hosts_that_only_point_here_are_refused(tmp_path: Path) -> None:
    site = Site(tmp_path, server=ServerConfig(allowed_hosts=["ems.example"]))
    client = site.client()
    for host in ("evil.example", "ems.example.evil", "localhost.evil", "", "[bad"):
        answer = client.get("/login", headers={"Host": host})
        assert answer.status_code == 400
        assert client.get("/healthz", headers={"Host": host}).status_code == 200
    for host in ("ems.example", "EMS.example:5050", "192.168.1.5:5050", "[::1]:5050", "localhost"):
        assert client.get("/login", headers={"Host": host}).status_code == 200


def test_callbacks_take_json_only(site: Site) -> None:
    client = site.client("viewer")
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = client.post(
            "/_dash-update-component", data="{}", content_type=kind, headers=csrf_of(client)
        )
        assert answer.status_code == 415


def test_no_more_of_a_body_is_read_than_its_view_takes(site: Site) -> None:
    @needs(Role.VIEWER)
    def long_one() -> dict[str, int]:
        request.max_content_length = 2_000_000
        return {"bytes": len(request.get_data())}

    site.server.add_url_rule("/api/long", view_func=long_one, methods=["POST"])
    mega = b"x" * 1_500_000
    stranger, admin = site.client(), site.client("admin")
    upload = {"name": "admin", "file": (BytesIO(mega), "a.bin")}
    assert stranger.post("/login", data=upload).status_code == 413
    for path, body, status in (
        ("/api/users", mega, 413),
        ("/api/long", mega, 200),
        ("/api/long", mega * 2, 413),
    ):
        sent = admin.post(path, data=body, content_type="application/json", headers=csrf_of(admin))
        assert sent.status_code == status


def test_addresses_behind_a_proxy_are_believed_only_as_configured(tmp_path: Path) -> None:
    site = Site(tmp_path, server=ServerConfig(proxy_hops=1))
    client = site.client()
    headers = {"X-Forwarded-For": "9.9.9.9, 203.0.113.7", "X-Forwarded-Proto": "https"}
    page = client.get("/login", headers=headers)
    assert all("Secure" in cookie for cookie in page.headers.getlist("Set-Cookie"))
    form = {"name": "viewer", "password": PASSWORD, "csrf_token": token_in(page.text)}
    client.post("/login", data=form, headers=headers, base_url="https://localhost")
    (session,) = site.world.accounts.sessions("viewer")
    assert session.address == "203.0.113.7"


# Tokens.


def test_a_token_needs_no_csrf_ignores_cookies_and_never_falls_back_to_them(site: Site) -> None:
    client = site.client()
    assert client.post("/api/plan", headers=bearer(Role.OPERATOR)).status_code == 202
    admin = site.client("admin")
    assert admin.get("/api/users", headers=bearer(Role.VIEWER)).status_code == 403
    wrong = {"Authorization": "Bearer ems_viewer00_wrong"}
    assert admin.get("/api/state", headers=wrong).status_code == 401
    assert admin.get("/api/state", headers={"Authorization": "Basic eA=="}).status_code == 200
    assert client.get("/account", headers=bearer(Role.ADMIN)).location.startswith("/login")


def test_tokens_are_made_listed_and_revoked_over_the_api(site: Site) -> None:
    client, who = site.client(), bearer(Role.OPERATOR)
    for body in ({"name": "x", "role": "admin"}, {"name": "", "role": "viewer"}, {"name": "x"}):
        assert client.post("/api/tokens", json=body, headers=who).status_code == 400
    made = client.post("/api/tokens", json={"name": "x", "role": "viewer"}, headers=who).get_json()
    mine = client.get("/api/tokens", headers=who).get_json()["tokens"]
    assert {t["user"] for t in mine} == {"operator"}
    assert made["token"] not in str(mine)
    with_it = {"Authorization": f"Bearer {made['token']}"}
    assert client.get("/api/account", headers=with_it).get_json()["role"] == "viewer"
    # A token of a viewer's role cannot make itself one that may more.
    more = client.post("/api/tokens", json={"name": "y", "role": "operator"}, headers=with_it)
    assert more.status_code == 400
    other = client.delete(f"/api/tokens/{made['key']}", headers=bearer(Role.VIEWER))
    assert other.status_code == 404
    assert client.delete(f"/api/tokens/{made['key']}", headers=who).status_code == 200
    assert client.get("/api/state", headers=with_it).status_code == 401


def test_users_are_managed_over_the_api_by_admins(site: Site) -> None:
    client, boss = site.client(), bearer()
    made = client.post("/api/users", json={"name": "Anna", "role": "viewer"}, headers=boss)
    assert made.status_code == 201
    assert log_in(site.client(), "anna", made.get_json()["password"]).status_code == 303
    changed = client.post("/api/users/anna", json={"role": "operator"}, headers=boss)
    assert changed.get_json()["user"]["role"] == "operator"
    assert client.post("/api/users/anna", json={}, headers=boss).status_code == 400
    assert (
        client.post("/api/users/nobody", json={"disabled": True}, headers=boss).status_code == 404
    )
    last = client.post("/api/users/admin", json={"disabled": True}, headers=boss)
    assert last.status_code == 400
    assert client.delete("/api/users/anna", headers=boss).status_code == 200
    listed = client.get("/api/users", headers=boss)
    assert "argon2" not in listed.text
    assert [u["name"] for u in listed.get_json()["users"]] == ["admin", "operator", "viewer"]
    assert ("admin (admin000)", "user.remove", "anna") in site.world.audit.entries


# Pages.


def test_the_page_of_the_account(site: Site) -> None:
    client, other = site.client("operator"), site.client("operator")
    page = client.get("/account").text
    assert "operator" in page
    made = client.post(
        "/account/tokens",
        data={"name": "Pi", "role": "viewer", "days": "30", "csrf_token": token_in(page)},
    )
    text = made.text.partition('id="new-token">')[2].partition("<")[0]
    assert client.get("/api/state", headers={"Authorization": f"Bearer {text}"}).status_code == 200
    assert text not in client.get("/account").text
    ended = client.post("/account/sessions/end-others", data={"csrf_token": token_in(page)})
    assert ended.status_code == 303
    assert other.get("/api/state").status_code == 401
    assert client.get("/api/state").status_code == 200
    form = {"old": PASSWORD, "new": NEW, "again": NEW, "csrf_token": token_in(page)}
    assert client.post("/account/password", data={**form, "old": "x"}).status_code == 400
    assert client.post("/account/password", data=form).location == "/account"
    assert client.get("/api/state").status_code == 200


def test_the_page_of_the_users(site: Site) -> None:
    admin = site.client("admin")
    page = admin.get("/settings/users").text

    def send(what: str, **form: str) -> Any:
        return admin.post(f"/settings/users/{what}", data={**form, "csrf_token": token_in(page)})

    made = send("add", name="anna", role="operator").text
    given = made.partition('id="given-password">')[2].partition("<")[0]
    assert log_in(site.client(), "anna", given).location == "/account/password"
    assert given not in admin.get("/settings/users").text
    victim = site.client("viewer")
    (session,) = site.world.accounts.sessions("viewer")
    send("end-session", key=session.key)
    assert victim.get("/api/state").status_code == 401
    send("role", name="viewer", role="operator")
    assert site.world.accounts.users().users["viewer"].role is Role.OPERATOR
    assert "Admin" in admin.get("/settings/users").text
    send("disable", name="admin")
    assert "letzte Admin" in admin.get("/settings/users").text
    assert site.world.accounts.users().admins == ("admin",)
    for what in ("disable", "enable", "reset", "remove"):
        assert send(what, name="anna").status_code in (200, 303)
    assert "anna" not in site.world.accounts.users().users
    operator = site.client("operator")
    assert operator.get("/settings/users").status_code == 403


def test_another_language_leads_to_the_same_page_afterwards(site: Site) -> None:
    client = site.client()
    asked = client.get("/settings?section=site&key=id").location
    other = client.get(f"{asked}&lang=de").location
    assert other == asked
    assert 'value="/settings?section=site&amp;key=id"' in client.get(other).text


@pytest.mark.parametrize("lang", ["de", "en"])
def test_pages_speak_the_language_and_hold_no_inline_script(site: Site, lang: str) -> None:
    client = site.client("admin")
    answer = client.get(f"/account?lang={lang}")
    assert answer.location == "/account"
    for path in ("/account", "/account/password", "/account/totp", "/settings/users"):
        page = client.get(path)
        assert f'<html lang="{lang}"' in page.text
        assert page.headers["Cache-Control"] == "no-store"
        assert "<script>" not in page.text
        assert " onclick" not in page.text
        assert " style=" not in page.text


def test_when_the_file_of_the_users_is_broken_nobody_gets_in_and_it_is_said(site: Site) -> None:
    client = site.client("admin")
    (site.world.folder / "config" / "users.yaml").write_text("users: [")
    answer = client.get("/api/state")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (503, "users_file")
    assert site.client().get("/login").status_code == 503


def test_names_cannot_bring_markup(site: Site) -> None:
    site.world.accounts.add_token("viewer", "<b>x</b>", Role.VIEWER, 3, Actor("cli"))
    page = site.client("admin").get("/settings/users").text
    assert "<b>x</b>" not in page
    assert "&lt;b&gt;x" in page
