"""XComs and manifests of any shape: others may write them, and the page shows what it can."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.plugin.served_page import QUERY, RUN, shown, xcom_of

BIG = {"submissions": "x", "seconds": 1e99}
ODD = (7, True, "x", {"a": 1}, [7], [[7]], [None], [{"a": [1]}], "\ud800", 10**400, BIG)


@pytest.mark.parametrize("endpoint", ["RecognizeImage", "RecognizeTable", "IdentifyFont"])
@pytest.mark.parametrize(
    "key",
    ["text", "results", "files", "warnings", "cost", "regions", "rows", "invoice", "fonts", "blocks", "documents"],
)
def test_an_xcom_of_any_shape_breaks_nothing(viewer, leave, endpoint, key):
    for number, value in enumerate(ODD):
        page = leave(f"task_{number}", xcom={**xcom_of(endpoint), key: value})
        shown(viewer, page)
        assert viewer.get(f"{page}/file", params={**QUERY, "index": 0}).status_code == 404


@pytest.mark.parametrize("key", ["documents", "completed", "submissions", "endpoint", "manifest", "cost", "seconds"])
def test_a_batch_of_any_shape_breaks_nothing(viewer, leave, out, key):
    for number, value in enumerate(ODD):
        batch = {"endpoint": "RecognizeImage", "manifest": f"{out}/manifest.jsonl", "documents": 1, "submissions": 1}
        shown(viewer, leave(f"task_{number}", xcom={**batch, key: value}, fields={"output_path": str(out)}))
        progress = {"documents": 1, "submissions": 1, key: value}
        shown(viewer, leave(f"failed_{number}", progress=progress, fields={"output_path": str(out)}))


@pytest.mark.parametrize("key", ["image", "status", "files", "warnings", "error", "seconds", "cost", "ocr_task_id"])
def test_a_line_of_a_manifest_of_any_shape_breaks_nothing(viewer, leave, out: Path, key):
    lines = [{"image": "a.png", "status": "Completed", key: value} for value in ODD]
    (out / "manifest.jsonl").write_text("[" * 100_000 + "\n" + "".join(json.dumps(each) + "\n" for each in lines))
    batch = {"endpoint": "RecognizeImage", "manifest": f"{out}/manifest.jsonl"}
    page = leave(xcom=batch, fields={"images": "/in", "output_path": str(out)})
    shown(viewer, page)
    offset = 100_001
    for each in lines:
        shown(viewer, page, document=offset)
        offset += len(json.dumps(each)) + 1


@pytest.mark.parametrize("corner", ["9" * 400, "9" * 5000, "0", "-7"])
def test_a_page_of_any_size_breaks_nothing(viewer, leave, corner):
    block = '<p class="ocr_carea" title="bbox 1 1 9 9"><s class="ocr_line"><s class="ocrx_word">word</s></s></p>'
    hocr = f'<h class="ocr_page" title="bbox 0 0 {corner} {corner}">{block}</h>'
    shown(viewer, leave(xcom=xcom_of(results=[{"type": "Hocr", "text": hocr}])))


def test_a_long_text_in_the_xcom_is_cut_with_a_word_about_it(viewer, leave):
    page = shown(viewer, leave(xcom=xcom_of(text="words " * 1_000_000)))
    assert len(page) < 2_000_000
    assert "The text is longer than what is shown here" in page


def test_a_table_of_any_width_is_cut_with_a_word_about_it(viewer, leave):
    page = shown(viewer, leave(xcom=xcom_of("RecognizeTable", rows=[["cell"] * 100_000])))
    assert page.count("<td>cell</td>") == 200
    assert "The table has 100,000 columns, of which 200 are shown." in page


def test_a_cell_that_no_reader_takes_is_a_note(viewer, leave, out):
    (out / "table.csv").write_text("a" * 200_000)
    results = [{"type": "Csv", "file": f"{out}/table.csv"}]
    page = leave(xcom=xcom_of("RecognizeTable", results=results), fields={"output_path": str(out)})
    assert "The Csv result cannot be read (ValueError)." in shown(viewer, page)


def test_documents_for_language_models_are_shown_as_the_text_they_are(viewer, leave):
    """With `as_documents` the text stands nowhere else in the XCom."""
    documents = [{"text": "Paid <words>", "metadata": {"endpoint": "RecognizeImage"}}]
    page = shown(viewer, leave(xcom=xcom_of(results=[{"type": "Text"}], documents=documents)))
    assert "<pre>Paid &lt;words&gt;</pre>" in page
    assert "There is no text" not in page


def test_documents_of_regions_stand_at_their_regions(viewer, leave):
    """Each region has the text of its document; a blank one has none."""
    regions = [{"rect": [0, 0, 9, 9], "order": 0, "text": None}, {"rect": [0, 20, 9, 29], "order": 1, "text": None}]
    documents = [{"text": "the second", "metadata": {"rect": [0, 20, 9, 29], "order": 1, "part": 2}}]
    page = shown(viewer, leave(xcom=xcom_of("RecognizeRegions", regions=regions, documents=documents)))
    assert '<li data-mark="2" tabindex="0" value="2">the second</li>' in page


def test_the_address_that_airflow_3_1_makes_of_a_run_is_understood(viewer, leave):
    """It leaves the plus in it, which stands for a blank."""
    page = leave(xcom=xcom_of(text="Dear Sir"))
    answer = viewer.get(f"{page}/result?run_id={RUN}&map_index=-1")
    assert "Dear Sir" in answer.text
