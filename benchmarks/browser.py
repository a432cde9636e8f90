"""A headless Chromium, driven through WebDriver: for the tests and the benchmark of pages."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from selenium import webdriver

HOW_TO_GET_ONE = "install one (Debian: apt-get install chromium chromium-driver)"
FLAGS = (
    "--headless",
    "--no-sandbox",  # Chromium's own does not work for root, who runs tests in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> tuple[str, str] | None:
    """Return the paths of Chromium and of its driver, or None if they are not installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    driver = shutil.which("chromedriver")
    return (chromium, driver) if chromium and driver else None


@contextlib.contextmanager
def open_browser(
    chromium: str,
    driver: str,
    *,
    width: int = 1280,
    height: int = 900,
    dark: bool = False,
    phone: bool = False,
    downloads: Path | None = None,
) -> Iterator[webdriver.Chrome]:
    """Yield a selenium WebDriver of a Chromium with a profile of its own, closed afterwards."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        if downloads is not None:
            options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
        browser = webdriver.Chrome(
            options=options, service=webdriver.ChromeService(executable_path=driver)
        )
        try:
            screen = {"width": width, "height": height, "deviceScaleFactor": 1 + phone}
            browser.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride", {**screen, "mobile": phone}
            )
            browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": phone})
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
            yield browser
        finally:
            browser.quit()
