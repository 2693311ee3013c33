"""Keeps browser tests apart though they share one Chromium and one address.

Dash's registry of pages is global. At one address Chromium keeps our scripts as it compiled them,
which is a quarter of the work of opening a page; what pages stored is forgotten after each test.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import dash
import pytest
from dash.testing.browser import Browser
from werkzeug.serving import make_server

from tests.support.browser import wait_for_pages

WIDTH, HEIGHT = 1300, 1000


@pytest.fixture(autouse=True)
def clear_page_registry() -> Iterator[None]:
    """Forget the pages of earlier apps."""
    dash.page_registry.clear()
    yield
    dash.page_registry.clear()


class OneAddress:
    """A server on loopback for one app after another.

    Attributes:
        url: Its address.
    """

    def __init__(self) -> None:
        self._app: Callable[..., Iterable[bytes]] = _nothing_here
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.url = f"http://localhost:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,))
        self._thread.start()

    def __call__(self, app: dash.Dash) -> None:
        """Serve `app` from now on."""
        self._app = app.server

    def clear(self) -> None:
        """Serve an empty page."""
        self._app = _nothing_here

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join(20)

    def _answer(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        return self._app(environ, start_response)


def _nothing_here(environ: Any, start_response: Any) -> Iterable[bytes]:
    # No error, which Chromium would show at an address of its own.
    page = b"<!DOCTYPE html><title>no app</title>"
    start_response(
        "200 OK",
        [
            ("Content-Type", "text/html"),
            ("Content-Length", str(len(page))),
            ("Cache-Control", "no-store"),
        ],
    )
    return [page]


class SharedBrowser(Browser):  # type: ignore[misc]
    """The part of dash[testing]'s ``dash_duo`` that our tests use, for one test after another."""

    server: OneAddress

    def start_server(self, app: dash.Dash, navigate: bool = True) -> None:
        """Serve `app`."""
        self.server(app)
        if navigate:
            self.server_url = self.server.url

    def begin(self, server: OneAddress) -> None:
        """Make the browser as good as new."""
        self.server = server
        self.driver.set_window_size(WIDTH, HEIGHT)
        self.driver.get_log("browser")
        self.reset_log_timestamp()

    def end(self) -> None:
        """Undo what a test made the browser pretend, and forget its pages."""
        for command, arguments in (
            ("Emulation.clearDeviceMetricsOverride", {}),
            ("Emulation.setEmulatedMedia", {"media": "", "features": []}),
            ("Network.clearBrowserCookies", {}),
        ):
            self.driver.execute_cdp_cmd(command, arguments)
        self.forget_pages(self.server)

    def forget_pages(self, server: OneAddress) -> None:
        """Leave the page and drop what pages of the address have stored."""
        server.clear()
        # No script of ours runs there that could store anything anew.
        self.driver.get(f"{server.url}/no-app")
        self.driver.execute_script("localStorage.clear(); sessionStorage.clear();")


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
        # axe takes a second on an idle machine and may take very long on a busy one.
        browser.driver.set_script_timeout(240)
        yield browser


@pytest.fixture(scope="session")
def one_address() -> Iterator[OneAddress]:
    """The server of all tests of a worker."""
    server = OneAddress()
    yield server
    server.close()


@pytest.fixture
def dash_duo(one_browser: SharedBrowser, one_address: OneAddress) -> Iterator[SharedBrowser]:
    """The shared browser and the server for the test's own app."""
    one_browser.begin(one_address)
    yield one_browser
    one_browser.end()
