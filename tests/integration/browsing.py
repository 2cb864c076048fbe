"""A headless Chromium, Debian's own."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser from start to end. For root, as in a container, it must do without its own sandbox."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        try:
            yield browser
        finally:
            browser.close()


def logged_in(browser: Browser, address: str, token: str | None = None, **options: Any) -> Page:
    """A new page of somebody with a token of Airflow's, or of nobody."""
    context = browser.new_context(viewport={"width": 1500, "height": 950}, **options)
    if token:
        context.add_cookies([{"name": "_token", "value": token, "url": address}])
    return context.new_page()
