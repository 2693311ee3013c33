"""Waiting for a page that changes by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from selenium.common.exceptions import StaleElementReferenceException
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
