"""Take screenshots of a running EMS Dash: light, dark and phone width.

Usage: python scripts/screenshots.py [--url URL] [--path PATH]... [--out FOLDER] [--lang de|en]
                                     [--only THEME WIDTH]... [--scale N] [--name NAME]
                                     [--user NAME] (the password in EMS_PASSWORD)
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

SHOTS = (("light", 1440), ("dark", 1440), ("light", 390), ("dark", 390))
SETTLE_S = 6.0
log = logging.getLogger("screenshots")


def browser() -> webdriver.Chrome:
    """Return a headless Chromium."""
    options = Options()
    for flag in (
        *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(service=Service("chromedriver"), options=options)


def log_in(driver: webdriver.Chrome, url: str, name: str, password: str) -> None:
    """Log in through the form."""
    driver.get(url.rstrip("/") + "/login")
    driver.find_element("id", "name").send_keys(name)
    driver.find_element("id", "password").send_keys(password)
    driver.find_element("css selector", ".acc-form button").click()
    WebDriverWait(driver, 30).until(lambda d: urlsplit(d.current_url).path != "/login")


def main() -> None:
    """Take every shot and report console messages and horizontal overflow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://localhost:5050/")
    parser.add_argument(
        "--path", action="append", help="page, for example /monitoring; repeatable; default /"
    )
    parser.add_argument(
        "--only", action="append", nargs=2, metavar=("THEME", "WIDTH"), help="repeatable"
    )
    parser.add_argument("--scale", type=float, default=1.5, help="pixels per CSS pixel")
    parser.add_argument("--name", help="beginning of the file names; default: the page's name")
    parser.add_argument("--out", type=Path, default=Path("build/shots"))
    parser.add_argument("--lang", default="de")
    parser.add_argument("--user", help="log in with this name and the password in EMS_PASSWORD")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments.out.mkdir(parents=True, exist_ok=True)
    wanted = [(theme, int(width)) for theme, width in arguments.only or SHOTS]
    pages = arguments.path or ["/"]
    for path, (theme, width) in product(pages, wanted):
        url = arguments.url.rstrip("/") + path
        page = arguments.name or urlsplit(path).path.strip("/").replace("/", "-") or "overview"
        driver = browser()
        try:
            # Chromium's window has a minimum width; the emulated device has none.
            driver.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {
                    "width": width,
                    "height": 900,
                    "deviceScaleFactor": arguments.scale,
                    "mobile": width < 500,
                },
            )
            driver.execute_cdp_cmd(
                "Emulation.setEmulatedMedia",
                {"features": [{"name": "prefers-color-scheme", "value": theme}]},
            )
            driver.get(url)
            driver.add_cookie({"name": "ems_lang", "value": arguments.lang})
            if arguments.user:
                log_in(driver, arguments.url, arguments.user, os.environ["EMS_PASSWORD"])
            driver.get(url)
            time.sleep(SETTLE_S)
            height = driver.execute_script("return document.documentElement.scrollHeight")
            overflow = driver.execute_script(
                "return document.documentElement.scrollWidth - window.innerWidth"
            )
            driver.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {
                    **{"width": width, "height": height, "deviceScaleFactor": arguments.scale},
                    "mobile": width < 500,
                },
            )
            time.sleep(1.0)
            file = arguments.out / f"{page}_{theme}_{width}_{arguments.lang}.png"
            driver.save_screenshot(str(file))
            log.info("%s: %d x %d, overflow %d px", file, width, height, max(0, overflow))
            for entry in driver.get_log("browser"):
                log.info("  console %s: %s", entry["level"], entry["message"])
        finally:
            driver.quit()


if __name__ == "__main__":
    main()
