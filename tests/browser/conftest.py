"""Keeps browser tests apart though they share one Chromium: Dash's registry of pages is global."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dash
import pytest
from dash.testing.browser import Browser

from tests.support.browser import wait_for_pages

WIDTH, HEIGHT = 1300, 1000


@pytest.fixture(autouse=True)
def clear_page_registry() -> Iterator[None]:
    """Forget the pages of earlier apps."""
    dash.page_registry.clear()
    yield
    dash.page_registry.clear()


class SharedBrowser(Browser):  # type: ignore[misc]
    """The part of dash[testing]'s ``dash_duo`` that our tests use, for one test after another."""

    server: Any

    def start_server(self, app: dash.Dash, navigate: bool = True) -> None:
        """Serve `app`; each test has a port of its own, so nothing stored meets another one."""
        self.server(app)
        if navigate:
            self.server_url = self.server.url

    def begin(self, server: Any) -> None:
        """Make the browser as good as new."""
        self.server = server
        # A module that shares one page among its tests leaves it open, its server stopped.
        self.driver.get("about:blank")
        self.driver.set_window_size(WIDTH, HEIGHT)
        self.driver.get_log("browser")
        self.reset_log_timestamp()

    def end(self) -> None:
        """Leave the page, so that nothing asks the server that is about to stop."""
        for command, arguments in (
            ("Emulation.clearDeviceMetricsOverride", {}),
            ("Emulation.setEmulatedMedia", {"media": "", "features": []}),
            ("Network.clearBrowserCookies", {}),
        ):
            self.driver.execute_cdp_cmd(command, arguments)
        self.driver.get("about:blank")


@pytest.fixture(scope="session")
def one_browser(request: Any, tmp_path_factory: Any) -> Iterator[SharedBrowser]:
    """One Chromium for all tests of a worker: starting one takes as long as a short test."""
    option = request.config.getoption
    with SharedBrowser(
        browser=option("webdriver"),
        headless=option("headless"),
        options=request.config.hook.pytest_setup_options(),
        download_path=str(tmp_path_factory.mktemp("download")),
        percy_run=False,
    ) as browser:
        wait_for_pages(browser.driver)
        yield browser


@pytest.fixture
def dash_duo(one_browser: SharedBrowser, dash_thread_server: Any) -> Iterator[SharedBrowser]:
    """The shared browser and a server of the test's own."""
    one_browser.begin(dash_thread_server)
    yield one_browser
    one_browser.end()
