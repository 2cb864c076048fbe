"""The page of an OCR result in a really running Airflow, as a browser shows it to one who may and one who may not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

pytest.importorskip("playwright.sync_api", reason="needs the dependency group `browser`")

from playwright.sync_api import Browser, FrameLocator, Page, expect

from airflow_provider_asposeocr.emulator import EmulatorServer, TextReader
from tests.conftest import SCANS
from tests.integration.browsing import chromium, logged_in
from tests.integration.connections import connection_to
from tests.integration.running_airflow import RunningAirflow

pytestmark = pytest.mark.integration

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "example_dags"
USERS = ("reader", "stranger", "admin")
DAGS = ("example_result_page", "example_batch_folder", "example_invoice_to_database", "example_table_to_csv")


@dataclass
class Finished:
    """An Airflow in which the examples have run."""

    airflow: RunningAirflow
    tokens: dict[str, str]
    runs: dict[str, str] = field(default_factory=dict)

    def task(self, dag_id: str, task_id: str) -> str:
        """The address of a task instance in Airflow's UI."""
        return f"{self.airflow.api_url}/dags/{dag_id}/runs/{self.runs[dag_id]}/tasks/{task_id}"

    def page(self, dag_id: str, task_id: str) -> str:
        """The address of the page by itself."""
        run_id = httpx.QueryParams({"run_id": self.runs[dag_id], "map_index": "-1"})
        return f"{self.airflow.api_url}/aspose-ocr/dags/{dag_id}/tasks/{task_id}/result?{run_id}"


@pytest.fixture(scope="module")
def finished(reader: TextReader, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    passwords = tmp_path_factory.mktemp("passwords") / "passwords.json"
    passwords.write_text(json.dumps({user: f"password of {user}" for user in USERS}))
    texts = tmp_path_factory.mktemp("texts")
    env = {
        "ASPOSE_OCR_SCANS": str(SCANS),
        "ASPOSE_OCR_TEXTS": str(texts),
        "ASPOSE_OCR_OUT": str(texts),
        "ASPOSE_OCR_DATABASE": f"sqlite:///{texts}/invoices.db",
        "AIRFLOW__CORE__AUTH_MANAGER": "per_dag_rights.PerDagRights",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,reader:viewer,stranger:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }
    with (
        EmulatorServer(latency=0.2, reader=reader) as emulator,
        RunningAirflow(
            dags={f"{dag_id}.py": (EXAMPLES / f"{dag_id}.py").read_text() for dag_id in DAGS},
            connections={"aspose_ocr_default": connection_to(emulator)},
            env=env,
            python_path=[HERE / "modules"],
        ) as airflow,
    ):
        tokens = {user: token_of(airflow, user) for user in USERS}
        airflow.log_in(tokens["admin"])
        done = Finished(airflow, tokens)
        done.runs = {dag_id: airflow.trigger(dag_id) for dag_id in DAGS}
        for dag_id, run_id in done.runs.items():
            assert airflow.wait_for_run(dag_id, run_id) == "success"
        yield done


def token_of(airflow: RunningAirflow, user: str) -> str:
    answer = httpx.post(f"{airflow.api_url}/auth/token", json={"username": user, "password": f"password of {user}"})
    answer.raise_for_status()
    return str(answer.json()["access_token"])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def reading(finished: Finished, browser: Browser) -> Iterator[Page]:
    """A page of one who may read XComs; in the end nothing of it was refused, and nothing was asked for elsewhere."""
    page = logged_in(browser, finished.airflow.api_url, finished.tokens["reader"])
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if "Content Security" in message.text else None)
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(request.url))
    yield page
    page.context.close()
    assert said == []
    assert {url for url in asked if "aspose-ocr" in url and not url.startswith(finished.airflow.api_url)} == set()


def opened_tab(page: Page, address: str) -> FrameLocator:
    page.goto(address)
    page.get_by_role("link", name="OCR result").first.click()
    return page.frame_locator("iframe")


def test_a_viewer_sees_the_page_with_its_boxes_in_a_tab_of_the_task(finished, reading):
    """The picture is drawn, each region has a number, and box and text light up together, both ways."""
    frame = opened_tab(reading, finished.task("example_result_page", "recognize"))
    expect(frame.locator("h1")).to_have_text("two-columns.jpg", timeout=30_000)
    image = frame.locator(".sheet > img")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1140
    regions = frame.locator("svg .regions > g").count()
    assert regions > 1
    assert frame.locator("ol.regions > li").count() == regions

    word = frame.locator("ol.regions span[data-mark]").nth(3)
    box = frame.locator(f"svg rect[data-mark='{word.get_attribute('data-mark')}']")
    word.hover()
    expect(box).to_have_class("lit")
    frame.locator("h1").hover()
    expect(box).not_to_have_class("lit")
    box.hover()
    expect(word).to_have_class("lit")


def test_the_button_of_the_task_leads_to_the_same_page(finished, reading):
    reading.goto(finished.task("example_result_page", "recognize"))
    links = finished.airflow.api(
        "GET",
        f"dags/example_result_page/dagRuns/{finished.runs['example_result_page']}/taskInstances/recognize/links",
    )
    assert list(links["extra_links"]) == ["OCR result"]
    base = f"{finished.airflow.api_url}/"
    reading.goto(base + links["extra_links"]["OCR result"])
    expect(reading.locator("h1")).to_have_text("two-columns.jpg")


def test_a_batch_is_a_table_that_filters_and_opens_each_document(finished, reading):
    frame = opened_tab(reading, finished.task("example_batch_folder", "recognize_all"))
    rows = frame.locator("table.documents tbody tr")
    expect(rows).to_have_count(len(list(SCANS.rglob("*.jpg"))), timeout=30_000)
    frame.get_by_placeholder("Name or error").fill("APPLES")
    frame.get_by_role("button", name="Filter").click()
    expect(rows).to_have_count(1)
    frame.get_by_role("link", name="01-apples.jpg").click()
    expect(frame.locator("section.text")).to_contain_text("pples")
    expect(frame.locator(".sheet > img")).to_be_visible()


def test_an_invoice_shows_its_fields_and_a_table_its_rows(finished, reading):
    reading.goto(finished.page("example_invoice_to_database", "invoice"))
    expect(reading.locator("table.fields th").first).to_be_visible()
    reading.goto(finished.page("example_table_to_csv", "table"))
    assert reading.locator("table.rows tr").count() > 3


def test_a_result_is_downloaded_by_a_click(finished, reading):
    reading.goto(finished.page("example_result_page", "recognize"))
    with reading.expect_download() as download:
        reading.get_by_role("link", name="two-columns.txt").click()
    assert download.value.suggested_filename == "two-columns.txt"
    assert Path(download.value.path()).stat().st_size > 500


def test_who_may_not_read_xcoms_sees_403_in_the_tab(finished, browser):
    page = logged_in(browser, finished.airflow.api_url, finished.tokens["stranger"])
    frame = opened_tab(page, finished.task("example_result_page", "recognize"))
    expect(frame.locator("body")).to_contain_text("Forbidden", timeout=30_000)
    answer = page.goto(finished.page("example_result_page", "recognize"))
    assert answer is not None
    assert answer.status == 403
    page.context.close()


def test_who_is_not_logged_in_sees_401(finished, browser):
    page = logged_in(browser, finished.airflow.api_url)
    answer = page.goto(finished.page("example_result_page", "recognize"))
    assert answer is not None
    assert answer.status == 401
    page.context.close()


def test_no_recognized_text_is_in_the_api_servers_log(finished, reading):
    reading.goto(finished.page("example_result_page", "recognize"))
    word = reading.locator("ol.regions span[data-mark]").nth(5).inner_text()
    assert len(word) > 1
    log = finished.airflow.component_log("api-server")
    assert "aspose-ocr/dags/example_result_page" in log
    for text in reading.locator("ol.regions > li").all_inner_texts():
        assert text.splitlines()[0] not in log
