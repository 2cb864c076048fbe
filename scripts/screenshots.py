"""
Takes the documentation's pictures of Airflow: starts one, runs example DAGs on the sample scans against the emulator,
and photographs them in headless Chromium, light and dark. Leaves nothing running.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Error, Page

from airflow_provider_asposeocr.emulator import EmulatorServer
from tests.integration.browsing import chromium
from tests.integration.connections import connection_to
from tests.integration.running_airflow import RunningAirflow

PROJECT = Path(__file__).resolve().parent.parent
PICTURES = PROJECT / "docs" / "pictures" / "screenshots"
MOST_BYTES = 200_000
VIVID = 90
"""By how much the channels of a bright colour differ."""
DAGS = (
    "example_result_page",
    "example_batch_folder",
    "example_invoice_to_database",
    "example_scan_to_text",
)
THEMES = ("light", "dark")


def main() -> int:
    """Take all pictures, or those whose names are given."""
    wanted = set(sys.argv[1:])
    failed = 0
    PICTURES.mkdir(parents=True, exist_ok=True)
    with finished() as (airflow, runs), chromium() as browser:
        for name, take in scenes(airflow, runs).items():
            for theme in THEMES:
                if not wanted or name in wanted:
                    failed += not photograph(browser, f"{name}-{theme}", theme, take)
    return min(failed, 1)


@contextlib.contextmanager
def finished() -> Iterator[tuple[RunningAirflow, dict[str, str]]]:
    """An Airflow in which the examples have run, and their runs."""
    with tempfile.TemporaryDirectory() as texts, EmulatorServer(latency=0.5) as emulator:
        airflow = RunningAirflow(
            dags={f"{dag_id}.py": (PROJECT / "example_dags" / f"{dag_id}.py").read_text() for dag_id in DAGS},
            connections={"aspose_ocr_default": connection_to(emulator)},
            env={
                "ASPOSE_OCR_SCANS": str(PROJECT / "example_dags" / "scans"),
                "ASPOSE_OCR_TEXTS": texts,
                "ASPOSE_OCR_OUT": texts,
                "ASPOSE_OCR_DATABASE": f"sqlite:///{texts}/invoices.db",
            },
        )
        with airflow:
            runs = {dag_id: airflow.trigger(dag_id) for dag_id in DAGS}
            for dag_id, run_id in runs.items():
                state = airflow.wait_for_run(dag_id, run_id, timeout=240)
                print(f"{dag_id}: {state}", flush=True)
            yield airflow, runs


def scenes(airflow: RunningAirflow, runs: dict[str, str]) -> dict[str, Callable[[Page], None]]:
    """What is photographed, by its name, and how the browser gets there."""

    def task(dag_id: str, task_id: str) -> str:
        return f"{airflow.api_url}/dags/{dag_id}/runs/{runs[dag_id]}/tasks/{task_id}"

    def tab(dag_id: str, task_id: str, shown: str) -> Callable[[Page], None]:
        def go(page: Page) -> None:
            page.goto(task(dag_id, task_id))
            page.get_by_role("link", name="OCR result").first.click()
            frame = page.frame_locator("iframe")
            frame.locator(shown).first.wait_for(timeout=60_000)
            for image in frame.locator("img").all():
                image.evaluate("image => image.decode()")
            if shown == "svg":
                frame.locator("ol.regions span[data-mark]").nth(12).hover()

        return go

    def dag(view: str) -> Callable[[Page], None]:
        dag_id = "example_scan_to_text"

        def go(page: Page) -> None:
            page.add_init_script(f"localStorage.setItem('default_dag_view', JSON.stringify('{view}'))")
            page.goto(f"{airflow.api_url}/dags/{dag_id}/runs/{runs[dag_id]}")
            page.get_by_text("searchable").first.wait_for(timeout=60_000)

        return go

    def connection(page: Page) -> None:
        page.goto(f"{airflow.api_url}/connections")
        page.get_by_role("button", name="Add Connection").first.click()
        page.get_by_role("textbox").first.wait_for(timeout=60_000)
        page.get_by_role("textbox").first.fill("aspose_ocr_default")
        page.get_by_role("combobox").last.click()
        page.keyboard.type("Aspose")
        page.get_by_role("option", name="aspose").first.click()
        page.get_by_text("Client id").first.wait_for(timeout=60_000)

    return {
        "result-page-two-columns": tab("example_result_page", "recognize", "svg"),
        "result-page-batch": tab("example_batch_folder", "recognize_all", "table.documents"),
        "result-page-invoice": tab("example_invoice_to_database", "invoice", "table.fields"),
        "grid": dag("grid"),
        "graph": dag("graph"),
        "connection-form": connection,
    }


def photograph(browser: Browser, name: str, theme: str, go: Callable[[Page], None]) -> bool:
    """Take one picture, and make it small; where that fails, say so and what was there to be seen."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]
    page = context.new_page()
    page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    try:
        go(page)
        # Airflow asks for news all the time: there is no moment at which all is loaded.
        page.wait_for_timeout(2500)
    except Error as error:
        seen = Path(tempfile.gettempdir()) / f"failed-{name}.png"
        page.screenshot(path=seen)
        context.close()
        print(f"{name} could not be taken, see {seen}: {error}", file=sys.stderr)
        return False
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    context.close()
    path = PICTURES / f"{name}.png"
    for colors in (256, 128, 64, 32):
        shot.quantize(palette=palette_of(shot, colors), dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= MOST_BYTES:
            break
    print(f"{path.relative_to(PROJECT)}: {path.stat().st_size // 1024} KB", flush=True)
    return True


def palette_of(shot: Image.Image, colors: int) -> Image.Image:
    """The picture's colours, the rare bright ones too: by their pixels alone, the word that is lit up would be grey."""
    pixels = np.asarray(shot)
    vivid = pixels[np.ptp(pixels.astype(int), axis=2) > VIVID]
    if not len(vivid):
        return shot.quantize(colors)
    kinds = np.unique(vivid // 16 * 16 + 8, axis=0)
    height = shot.height // 5
    strip = np.resize(kinds, (height, shot.width, 3)).astype(np.uint8)
    return Image.fromarray(np.concatenate([pixels, strip])).quantize(colors)


if __name__ == "__main__":
    sys.exit(main())
