"""The page's script in frames with the rights that each line of Airflow's UI gives them, in headless Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from threading import Thread

import pytest

pytest.importorskip("playwright.sync_api", reason="needs the dependency group `browser`")

from playwright.sync_api import FrameLocator, Page, expect

from tests.integration.browsing import chromium

pytestmark = pytest.mark.integration

FRAMES = {
    "3.1": "allow-scripts allow-same-origin allow-forms",
    "3.3": "allow-scripts allow-same-origin allow-forms allow-downloads",
}
PAGE = """<!doctype html><script src="page.js" defer></script><a href="text.txt" download>text.txt</a>
<svg height="3000" width="9"><rect data-mark="1" y="2900" width="9" height="9"></rect></svg>
<ol style="position: fixed; top: 0"><li data-mark="1" tabindex="0">Apples</li></ol>"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a folder with a page of ours in a frame per line of Airflow."""
    (tmp_path / "page.js").write_bytes((files("airflow_provider_asposeocr.plugin") / "static" / "page.js").read_bytes())
    (tmp_path / "page.html").write_text(PAGE)
    (tmp_path / "text.txt").write_text("Apples")
    for line, rights in FRAMES.items():
        (tmp_path / f"{line}.html").write_text(f'<iframe sandbox="{rights}" src="page.html"></iframe>')
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def page() -> Iterator[Page]:
    with chromium() as browser:
        yield browser.new_page()


def framed(page: Page, address: str) -> FrameLocator:
    page.goto(address)
    return page.frame_locator("iframe")


@pytest.mark.parametrize("line", FRAMES)
def test_a_file_is_saved_by_a_click_in_the_tab_of_each_airflow(served, page, line):
    """Below 3.3 the frame has no right to: the click must not come to nothing."""
    frame = framed(page, f"{served}/{line}.html")
    with page.expect_download(timeout=5_000) as download:
        frame.get_by_role("link", name="text.txt").click()
    assert download.value.suggested_filename == "text.txt"


def test_enter_brings_the_box_of_a_text_into_view(served, page):
    """What a click does, the keyboard does."""
    frame = framed(page, f"{served}/3.3.html")
    expect(frame.locator("rect")).not_to_be_in_viewport()
    frame.get_by_text("Apples").press("Enter")
    expect(frame.locator("rect")).to_be_in_viewport()
    expect(frame.locator("rect")).to_have_class("lit")
