"""Waiting for a page that changes by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait


def wait_until(driver: Any, condition: Callable[[], Any], deadline_s: float) -> Any:
    """Return what `condition` gives once it is true.

    A condition that looks at an element while a callback replaces it is asked again.

    Raises:
        TimeoutException: It was not true within `deadline_s`.
    """
    wait = WebDriverWait(
        driver, deadline_s, 0.1, ignored_exceptions=[StaleElementReferenceException]
    )
    return wait.until(lambda _driver: condition())


def wait_for_pages(driver: Any, deadline_s: float = 60) -> None:
    """Let `driver.get` and `driver.refresh` return when the page has replaced its first view.

    The elements of the first view have the classes of the page, but nothing can be pressed there.
    """

    def built(load: Callable[..., None]) -> Callable[..., None]:
        def load_and_wait(*address: str) -> None:
            load(*address)
            wait_until(driver, lambda: not driver.find_elements(By.ID, "first-view"), deadline_s)

        return load_and_wait

    driver.get, driver.refresh = built(driver.get), built(driver.refresh)


class Moving(Protocol):
    """A fake plant whose clock the test moves."""

    def advance(self, seconds: float) -> None: ...


class Pace:
    """Moves a plant's clock, `cycles` times by `step_s`, whenever the page has shown that before.

    So a machine ten times slower sees the same test, only later: a clock that runs by itself
    would hand its page more than it can draw.
    """

    def __init__(self, dash_duo: Any, plant: Moving, step_s: float, cycles: int = 1) -> None:
        self._duo, self._plant = dash_duo, plant
        self._step_s, self._cycles = step_s, cycles
        self._shown = ""

    def until(self, condition: Callable[[], Any], deadline_s: float = 120) -> Any:
        """Return what `condition` gives once it is true; the plant moves on meanwhile."""

        def moved() -> Any:
            shown = self._duo.driver.find_element(By.ID, "hdr-time").text
            if shown != self._shown:
                self._shown = shown
                for _ in range(self._cycles):
                    self._plant.advance(self._step_s)
            return condition()

        return wait_until(self._duo.driver, moved, deadline_s)
