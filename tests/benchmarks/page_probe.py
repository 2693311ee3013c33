"""A Chromium that tells when content was painted, what was transferred and what its pages cost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options

WATCH = """
(function () {
  const selector = %s;
  window.usefulAfterMs = window.readyAfterMs = null;
  let isSeen = false;
  function painted(name) {
    // A message sent from the frame's callback arrives when that frame has been painted.
    requestAnimationFrame(function () {
      const channel = new MessageChannel();
      channel.port1.onmessage = function () { window[name] = performance.now(); };
      channel.port2.postMessage(0);
    });
  }
  function look() {
    const found = isSeen ? null : document.querySelector(selector);
    if (found && found.textContent.trim() && found.getBoundingClientRect().height) {
      isSeen = true;
      painted("usefulAfterMs");
    }
    if (isSeen && document.querySelector("#_pages_content > *")) {
      watcher.disconnect();
      painted("readyAfterMs");
    }
  }
  const watcher = new MutationObserver(look);
  watcher.observe(document, {subtree: true, childList: true, characterData: true});
  window.tickBody = null;
  const send = window.fetch;
  window.fetch = function (address, options) {
    const body = options && options.body;
    // A page may ask for more at a tick than for its texts.
    if (typeof body === "string" && body.includes("-tick.n_intervals")
        && body.includes("-delta.data")) window.tickBody = body;
    return send.apply(this, arguments);
  };
})();
"""

TRANSFERRED = """
return performance.getEntriesByType("navigation")
  .concat(performance.getEntriesByType("resource"))
  .reduce((sum, entry) => sum + entry.transferSize, 0);
"""


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit of a page.

    Attributes:
        useful_ms: From the start of the navigation until its main content was painted, be it in
            the first view that stands in the document.
        ready_ms: Until the page itself was painted and answers clicks.
        bytes: Transferred meanwhile, as far as the page has come after it.
    """

    useful_ms: float
    ready_ms: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Ticks:
    """What a page that stands open costs per live update.

    Attributes:
        main_ms: Processor time of the page's main thread.
        script_ms: Its part in scripts.
        browser_ms: Processor time of the whole browser.
    """

    main_ms: float
    script_ms: float
    browser_ms: float


class PageProbe:
    """One browser with an empty cache."""

    def __init__(self, headers: dict[str, str], width: int = 1440, height: int = 1000) -> None:
        options = Options()
        for argument in (
            "--headless",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            f"--window-size={width},{height}",
        ):
            options.add_argument(argument)
        self.driver = Chrome(options=options)
        # Processor time of the thread, so that a busy machine counts less.
        self._cdp("Performance.enable", timeDomain="threadTicks")
        self._cdp("Page.enable")
        self._cdp("Network.enable")
        self._cdp("Network.setExtraHTTPHeaders", headers=headers)
        self._watching: str | None = None

    def close(self) -> None:
        """End the browser."""
        self.driver.quit()

    def visit(self, url: str, selector: str, deadline_s: float = 60.0) -> Visit:
        """Open `url` and wait until the first element that `selector` names says something."""
        if self._watching is not None:
            self._cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=self._watching)
        script = WATCH % json.dumps(selector)
        added = self._cdp("Page.addScriptToEvaluateOnNewDocument", source=script)
        self._watching = str(added["identifier"])
        self.driver.get(url)
        ends = time.monotonic() + deadline_s
        useful = ready = None
        while useful is None or ready is None:
            if time.monotonic() > ends:
                raise TimeoutError(f"{url}: nothing at {selector} within {deadline_s:g} s")
            time.sleep(0.05)
            useful, ready = self.driver.execute_script(
                "return [window.usefulAfterMs, window.readyAfterMs]"
            )
        self._settle()
        transferred = int(self.driver.execute_script(TRANSFERRED))
        return Visit(float(useful), float(ready), transferred)

    def ticks(self, seconds: float, tick_s: float) -> Ticks:
        """Watch the page that is open for `seconds`; return means per `tick_s`."""
        before, spent = self._metrics(), self._processor_s()
        time.sleep(seconds)
        after = self._metrics()
        per_tick_ms = 1e3 * tick_s / seconds
        return Ticks(
            *(
                (after[name] - before[name]) * per_tick_ms
                for name in ("TaskDuration", "ScriptDuration")
            ),
            (self._processor_s() - spent) * per_tick_ms,
        )

    def tick_body(self) -> dict[str, Any] | None:
        """Return the last live question of the page that is open, or None when it asks none."""
        body = self.driver.execute_script("return window.tickBody")
        return None if body is None else dict(json.loads(body))

    def _settle(self) -> None:
        """Wait until the page has done most of its work."""
        busy, quiet = self._metrics()["TaskDuration"], 0
        while quiet < 2:
            time.sleep(0.5)
            now = self._metrics()["TaskDuration"]
            quiet = quiet + 1 if now - busy < 0.1 else 0
            busy = now

    def _metrics(self) -> dict[str, float]:
        found = self._cdp("Performance.getMetrics")["metrics"]
        return {metric["name"]: metric["value"] for metric in found}

    def _processor_s(self) -> float:
        service = psutil.Process(self.driver.service.process.pid)
        return sum(sum(child.cpu_times()[:2]) for child in service.children(recursive=True))

    def _cdp(self, command: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, arguments)


@contextmanager
def page_probe(headers: dict[str, str]) -> Iterator[PageProbe]:
    """Lend a browser with an empty cache that sends `headers` with every request."""
    probe = PageProbe(headers)
    try:
        yield probe
    finally:
        probe.close()
