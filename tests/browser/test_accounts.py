"""The first login, each role and the end of a session in a real browser, over a fake plant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fakes_ui import FakeServices

from ems_dash.app import create_app
from ems_dash.auth.actors import Actor
from ems_dash.auth.roles import Role
from tests.support.accounts import HERE, World
from tests.support.browser import wait_until
from tests.support.login import log_in

pytestmark = pytest.mark.browser

DEADLINE_S = 60
NEW = "four calm herons waiting"
CLI = Actor("cli")


class Visitor:
    """The browser in front of one installation."""

    def __init__(self, dash_duo: Any) -> None:
        self.driver = dash_duo.driver
        self.url = dash_duo.server.url

    def go(self, path: str) -> None:
        self.driver.get(self.url + path)

    def path(self) -> str:
        return urlsplit(self.driver.current_url).path

    def until(self, condition: Callable[[], Any]) -> Any:
        return wait_until(self.driver, condition, DEADLINE_S)

    def find(self, selector: str) -> Any:
        return self.until(lambda: self.all(selector))[0]

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def text(self, selector: str = "body") -> str:
        return str(self.find(selector).text)

    def type(self, **fields: str) -> None:
        for name, value in fields.items():
            self.find(f"[name={name}]").send_keys(value)
        self.press(".acc-form button")

    def press(self, selector: str) -> None:
        # Bootstrap scrolls smoothly; the driver clicks where an element was when it began to.
        self.driver.execute_script("arguments[0].click()", self.find(selector))

    def enter(self, name: str, password: str) -> None:
        self.driver.delete_all_cookies()
        self.go("/login?lang=en")
        log_in(self.driver, self.url, name, password)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path, prepared=False)


def without_settings() -> FakeServices:
    services = FakeServices()
    services.settings = None
    return services


def test_first_login_roles_and_the_end_of_a_session(dash_duo: Any, world: World) -> None:
    dash_duo.start_server(create_app(without_settings(), access=world.access()), navigate=False)
    me = Visitor(dash_duo)

    # The first login: what it is stands there; it leads to the new password, then to the page.
    me.driver.delete_all_cookies()
    me.go("/monitoring")
    me.until(lambda: me.path() == "/login")
    me.go("/login?lang=en&next=/monitoring")
    assert "admin123" in me.text(".acc-first")
    me.type(name="admin", password="not it")
    assert "User name or password is wrong." in me.text("[role=alert]")
    me.type(password="admin123")
    me.until(lambda: me.path() == "/account/password")
    me.go("/")
    assert me.path() == "/account/password"
    me.type(new=NEW, again=NEW)
    me.until(lambda: me.path() == "/")
    me.find("#ov-choice-apply")
    me.find("#ov-hand-start")

    # The menu: who he is, and the way out.
    me.press(".user-menu summary")
    assert "admin" in me.text(".user-menu-body")
    me.press(".user-menu form button")
    me.until(lambda: me.path() == "/login")
    assert "Logged out." in me.text()

    # A viewer sees everything and has nothing to press; an operator steers.
    for role in (Role.VIEWER, Role.OPERATOR):
        given = world.accounts.add_user(role.value, role, CLI)
        me.enter(role.value, given)
        me.type(new=f"{role.value} {NEW}", again=f"{role.value} {NEW}")
        me.find("#soc-v")
        controls = me.all("#ov-choice-apply") + me.all("#ov-hand-start")
        assert len(controls) == (0 if role is Role.VIEWER else 2)
        if role is Role.VIEWER:
            assert "needs the role operator" in me.text(".choice-controls")
            me.go("/settings?section=site")
            assert "Read-only" in me.text(".badges")
            assert me.all("#set-save") == []
            me.go("/settings/users")
            assert "only for admins" in me.text()
    log = [entry["message"] for entry in me.driver.get_log("browser")]
    assert [m for m in log if "Content Security" in m or "Uncaught" in m] == []

    # His session is ended while the page is open: it says so and leads to the login and back.
    me.go("/?from=test")
    me.find("#soc-v")
    world.accounts.end_sessions("operator", CLI)
    assert "Your session has ended" in me.text(".session-over")
    log = [entry["message"] for entry in me.driver.get_log("browser")]
    assert [message for message in log if "Uncaught" in message] == []
    me.press(".session-over a")
    me.until(lambda: me.path() == "/login")
    me.type(name="operator", password=f"operator {NEW}")
    me.until(lambda: me.driver.current_url.endswith("/?from=test"))


def test_an_admin_manages_users_on_the_page(dash_duo: Any, world: World) -> None:
    dash_duo.start_server(create_app(without_settings(), access=world.access()), navigate=False)
    me = Visitor(dash_duo)
    me.enter("admin", "admin123")
    me.type(new=NEW, again=NEW)
    me.until(lambda: me.path() == "/")
    me.go("/settings")
    me.press("a.set-nav-link")
    me.until(lambda: me.path() == "/settings/users")
    me.find("#new-name").send_keys("anna")
    me.press("form[action$='/add'] button")
    given = me.text("#given-password")
    assert world.accounts.check_password("anna", given, HERE) == "anna"
    assert me.driver.execute_script("return document.documentElement.scrollWidth") <= 1600
    theme = "return document.documentElement.getAttribute('data-bs-theme')"
    before = me.driver.execute_script(theme)
    me.press("[data-theme-toggle]")
    assert me.driver.execute_script(theme) != before
    me.driver.execute_script("document.querySelector(\"form[action$='/remove']\").requestSubmit()")
    me.driver.switch_to.alert.dismiss()
    assert "anna" in world.accounts.users().users
