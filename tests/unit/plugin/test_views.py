"""What the page shows of each kind of result."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow import settings
from sqlalchemy import event

from airflow_provider_asposeocr.jobs.result_link import AsposeOcrResultLink
from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeImageOperator
from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator
from airflow_provider_asposeocr.plugin.airflow_plugin import AsposeOcrResultPagePlugin
from airflow_provider_asposeocr.sensors.aspose_ocr import AsposeOcrTaskSensor
from tests.unit.plugin.served_page import DAG, QUERY, RUN, shown, xcom_of

HOCR = """<html xmlns="http://www.w3.org/1999/xhtml"><body><div class="ocr_page" title="bbox 0 0 100 60">
<div class="ocr_carea" title="bbox 10 10 90 30"><span class="ocr_line" title="bbox 10 10 90 30">
<span class="ocrx_word" title="bbox 10 10 40 30">Dear</span>
<span class="ocrx_word" title="bbox 50 10 90 30">&lt;Sir&gt;</span>
</span></div></div></body></html>"""


@pytest.fixture
def image(tmp_path: Path, png: bytes) -> str:
    """A document of 100 x 60 pixels."""
    path = tmp_path / "letter.png"
    path.write_bytes(png)
    return str(path)


def test_words_and_regions_stand_on_both_sides_under_one_name(viewer, leave, image):
    """The box and the text of a region or word bear the same mark, and lie on the picture of the page."""
    xcom = xcom_of(text="Dear <Sir>", results=[{"type": "Text", "text": "Dear <Sir>"}, {"type": "Hocr", "text": HOCR}])
    page = shown(viewer, leave(xcom=xcom, fields={"image": image}))
    assert 'viewBox="0 0 100 60"' in page
    assert page.count('data-mark="1"') == 2
    assert page.count('data-mark="1.1"') == page.count('data-mark="1.2"') == 2
    assert '<rect data-mark="1.2" x="50" y="10" width="40" height="20">' in page
    assert '<img src="picture?run_id=' in page


def test_what_was_read_is_text_and_never_markup(viewer, leave, image):
    nasty = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    xcom = xcom_of(text=nasty, warnings=[nasty], ocr_task_id=nasty, files=[f"/x/{nasty}.txt"])
    page = shown(viewer, leave(xcom=xcom, fields={"image": image}))
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert page.count("<script") == 1


def test_a_text_alone_stands_beside_its_picture(viewer, leave, image):
    page = shown(viewer, leave(xcom=xcom_of(text="two\nlines"), fields={"image": image}))
    assert "<pre>two\nlines</pre>" in page
    assert "<svg" not in page


def test_detected_regions_are_numbered_boxes(viewer, leave, image):
    page = shown(
        viewer,
        leave(xcom=xcom_of("DetectRegions", regions=[[1, 2, 30, 40], [5, 5, 5, 5], "x"]), fields={"image": image}),
    )
    assert '<rect x="1" y="2" width="29" height="38"/>' in page
    assert page.count("<rect x=") == 1


def test_recognized_regions_have_their_texts(viewer, leave, image, out):
    (out / "letter-1.txt").write_text("from its file")
    regions = [{"rect": [1, 2, 30, 40], "order": 0, "text": None}]
    xcom = xcom_of(
        "RecognizeRegions",
        regions=regions,
        results=[{"type": "Text", "file": str(out / "letter-1.txt")}],
        files=[str(out / "letter-1.txt")],
    )
    page = shown(viewer, leave(xcom=xcom, fields={"image": image, "output_path": str(out)}))
    assert re.search(r'<li data-mark="1"[^>]*>from its file</li>', page)


def test_an_invoice_shows_its_fields(viewer, leave, image):
    xcom = xcom_of("RecognizeAndParseInvoice", invoice={"total_amount": 12.5, "supplier_name": None}, text="{}")
    page = shown(viewer, leave(xcom=xcom, fields={"image": image}))
    assert '<th scope="row">total amount</th><td>12.5</td>' in page


def test_the_fields_of_an_invoice_stand_in_the_same_order_whatever_the_database_made_of_it(viewer, leave, image):
    """What was found comes first."""
    invoice = {"bic": None, "vat": 20, "currency": "EUR", "total_amount": 12.5, "supplier_name": "The Copper Kettle"}
    page = shown(viewer, leave(xcom=xcom_of("RecognizeAndParseInvoice", invoice=invoice), fields={"image": image}))
    names = re.findall(r'<th scope="row">([^<]+)</th>', page)
    assert names == ["supplier name", "currency", "total amount", "vat", "bic"]


def test_a_table_shows_its_rows_also_from_its_file(viewer, leave, image, out):
    (out / "letter.csv").write_text("0,1\nBlack tea,6.85\n")
    xcom = xcom_of(
        "RecognizeTable",
        results=[{"type": "Csv", "file": str(out / "letter.csv")}],
        files=[str(out / "letter.csv")],
    )
    page = shown(viewer, leave(xcom=xcom, fields={"image": image, "output_path": str(out)}))
    assert "<tr><td>Black tea</td><td>6.85</td></tr>" in page


def test_fonts_warnings_and_the_cost_are_told(viewer, leave, image):
    xcom = xcom_of(
        "IdentifyFont",
        style="bold",
        fonts=["tahoma", "times"],
        warnings=["A result of type Text came late."],
        cost={"submissions": 1, "calls": 3, "seconds": 2.44},
    )
    page = shown(viewer, leave(xcom=xcom, fields={"image": image}))
    for part in ("tahoma, times", "came late", "<dt>calls</dt><dd>3</dd>", "<dt>seconds</dt><dd>2.4</dd>"):
        assert part in page


def test_a_long_text_is_read_from_its_file_up_to_a_bound(viewer, leave, image, out):
    (out / "letter.txt").write_text("x" * 3_000_000)
    xcom = xcom_of(results=[{"type": "Text", "file": str(out / "letter.txt")}], files=[str(out / "letter.txt")])
    page = shown(viewer, leave(xcom=xcom, fields={"image": image, "output_path": str(out)}))
    assert 1_000_000 < len(page) < 1_200_000
    assert "its file has all" in page


@pytest.mark.parametrize("hocr", ["<a", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "<a/>" * 9, "[" * 100_000])
def test_a_result_that_cannot_be_read_leaves_the_rest(viewer, leave, image, hocr):
    xcom = xcom_of(text="the text", results=[{"type": "Hocr", "text": hocr}, {"type": "JSON", "text": hocr}])
    page = shown(viewer, leave(xcom=xcom, fields={"image": image}))
    assert "the text" in page
    assert "cannot be read" in page


@pytest.mark.parametrize("xcom", [None, "text", 7, ["x"], {"endpoint": "Other"}, {"endpoint": "RecognizeImage"}])
def test_a_task_of_another_kind_has_no_result(viewer, leave, xcom):
    """The tab is at each task instance of Airflow, whatever it runs."""
    assert "No OCR result" in shown(viewer, leave(xcom=xcom, fields={"bash_command": "ls"}))


def test_a_task_instance_that_is_not_there_gets_404(viewer, leave):
    page = leave(xcom=xcom_of())
    for query in ({"run_id": "another"}, {"map_index": "3"}, {"map_index": "x"}):
        assert viewer.get(f"{page}/result", params={**QUERY, **query}).status_code == 404


@pytest.mark.parametrize(("task_id", "run_id"), [("read", "a%00b"), ("re%00ad", RUN.replace("+", "%2B"))])
def test_no_database_is_asked_for_what_postgresql_takes_for_an_error(viewer, leave, task_id, run_id):
    page = leave()
    asked: list[Any] = []

    def note(_: Any, __: Any, ___: Any, parameters: Any, *____: Any) -> None:
        asked.append(parameters)

    event.listen(settings.engine, "before_cursor_execute", note)
    try:
        answer = viewer.get(f"{page.removesuffix('read')}{task_id}/result?run_id={run_id}")
    finally:
        event.remove(settings.engine, "before_cursor_execute", note)
    assert answer.status_code == 404
    assert "\\x00" not in repr(asked)


def test_mapped_task_instances_are_told_apart(viewer, leave):
    leave(xcom=xcom_of(text="the first"), map_index=0)
    page = leave(xcom=xcom_of(text="the second"), map_index=1)
    assert "the second" in shown(viewer, page, map_index=1)


def test_what_airflow_leaves_in_the_address_of_a_task_that_is_not_mapped_is_understood(viewer, leave):
    page = leave(xcom=xcom_of(text="the text"))
    assert "the text" in shown(viewer, page, map_index="{MAP_INDEX}")


def test_every_address_on_the_page_is_relative(viewer, leave, image, out):
    """Behind a proxy, or below a path of [api] base_url, each still leads to the page's own routes."""
    (out / "letter.txt").write_text("x")
    xcom = xcom_of(text="x", files=[str(out / "letter.txt")])
    page = shown(viewer, leave(xcom=xcom, fields={"image": image, "output_path": str(out)}))
    addresses = re.findall(r'(?:href|src|action)="([^"]*)"', page)
    assert len(addresses) >= 4
    assert not [each for each in addresses if each.startswith("/") or "://" in each]


def test_no_address_in_style_or_script_leads_elsewhere(viewer):
    for name in ("page.css", "page.js"):
        assert "//" not in re.sub(r"^\s*//.*", "", viewer.get(f"/aspose-ocr/dags/{DAG}/static/{name}").text, flags=re.M)


def test_the_button_and_the_tab_lead_to_the_page(viewer, leave):
    leave("group.read", xcom=xcom_of(text="the text"), run_id="manual__2026:~a+b", map_index=2)
    key = SimpleNamespace(dag_id=DAG, task_id="group.read", run_id="manual__2026:~a+b", map_index=2)
    link = AsposeOcrResultLink().get_link(None, ti_key=key)
    assert "the text" in viewer.get(f"/{link}").text
    (tab,) = AsposeOcrResultPagePlugin().external_views
    assert tab["href"].split("?")[0].format(DAG_ID=DAG, TASK_ID="group.read") == link.split("?")[0]
    assert tab["destination"] == "task_instance"


@pytest.mark.parametrize("kind", [AsposeOcrRecognizeImageOperator, AsposeOcrBatchOperator, AsposeOcrTaskSensor])
def test_each_of_our_operators_has_the_button(kind):
    assert [link.name for link in kind.operator_extra_links] == ["OCR result"]
