"""Results as values: rows, invoices, fonts, blocks; pure functions, and what of them an XCom gets."""

from __future__ import annotations

import base64
import io

import pytest

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.api.endpoints import ResultShape
from airflow_provider_asposeocr.api.results import OcrResult, OcrTask
from airflow_provider_asposeocr.api.typed_results import (
    blocks_from_hocr,
    blocks_from_json,
    fonts_from_text,
    invoice_from_json,
    rows_from_csv,
    typed_values,
)
from airflow_provider_asposeocr.exceptions import AsposeOcrProtocolError

INVOICE = (
    '{"issue_date": "2017-11-27", "due_date": "", "supplier_name": "abc exports", "total_amount": 1250.5, "vat": -1}'
)
FONTS = base64.b64decode("eydzdHlsZSc6ICdyZWd1bGFyJywgJ2ZvbnQnOiBbJ3RhaG9tYScsICd0aW1lcycsICd2ZXJkYW5hJ119").decode()
"""As the vendor's page shows it."""


def job(*results: tuple[str, str]) -> OcrTask:
    contents = [(kind, text.encode()) for kind, text in results]
    return OcrTask(
        "a197aade-bba9-4c7a-92c7-46851b3dceaa",
        TaskStatus.COMPLETED,
        results=tuple(OcrResult(kind, io.BytesIO(data), len(data)) for kind, data in contents),
    )


def test_the_first_line_of_column_numbers_is_no_row():
    """The service numbers the columns in a first line, which is left out; cells lose the white space around them."""
    assert rows_from_csv('0,1\n  SHOP ,\n"Tea, black", 2.50\n,\n') == [["SHOP", ""], ["Tea, black", "2.50"]]
    assert rows_from_csv("Tea,2.50\n") == [["Tea", "2.50"]]
    assert rows_from_csv("") == []


def test_an_invoice_has_dates_and_numbers_and_null_for_what_is_missing():
    """Dates are ISO strings, amounts numbers, a VAT of -1 and an empty string are nothing."""
    invoice = invoice_from_json(INVOICE)
    assert invoice["issue_date"] == "2017-11-27"
    assert invoice["total_amount"] == 1250.5
    assert (invoice["due_date"], invoice["vat"], invoice["bic"]) == (None, None, None)
    assert len(invoice) == 17


@pytest.mark.parametrize(("sent", "read"), [("1,250.00", 1250.0), ("NaN", None), (True, None), ("x", None), (19, 19)])
def test_an_amount_is_a_number_or_nothing(sent, read):
    """What a database would not take as a number is nothing."""
    assert invoice_from_json(f'{{"vat": {__import__("json").dumps(sent)}}}')["vat"] == read


def test_fonts_in_single_quotes_are_read():
    """The vendor's own example, which is no JSON, is read."""
    assert fonts_from_text(FONTS) == ("regular", ["tahoma", "times", "verdana"])
    assert fonts_from_text('{"style": "bold", "font": "arial"}') == ("bold", ["arial"])


@pytest.mark.parametrize(
    "text", ["__import__('os').getcwd()", "{'style': open('x')}", "[1]", "{'font': [1]}", "(" * 999]
)
def test_fonts_are_never_run(text):
    """Whatever stands there is data or an error, never code."""
    with pytest.raises(ValueError, match=r"it is|its `font`"):
        fonts_from_text(text)


@pytest.mark.parametrize(
    "corners",
    [
        '"corners": [{"x": 1, "y": 2}, {"x": 30, "y": 40}]',
        '"corners": [{"x": 1, "y": 2}, {"x": 30, "y": 2}, {"x": 30, "y": 40}, {"x": 1, "y": 40}]',
        '"rect": {"topLeftX": 1, "topLeftY": 2, "bottomRightX": 30, "bottomRightY": 40}',
        '"box": [1, 2, 30, 40]',
    ],
)
def test_blocks_of_json_whatever_their_corners_are_called(corners):
    """A block has one rectangle and its text, in whichever way the corners are written."""
    assert blocks_from_json(f'[{{{corners}, "text": "a"}}]') == [{"rect": [1, 2, 30, 40], "text": "a"}]


def test_a_table_with_a_cell_that_no_reader_takes_is_said_so():
    with pytest.raises(ValueError, match="it is no CSV: field larger than field limit"):
        rows_from_csv("a" * 200_000)


def test_blocks_of_hocr_keep_their_lines():
    """The content areas of hOCR are blocks, their lines stay lines."""
    page = (
        '<html xmlns="http://www.w3.org/1999/xhtml"><body><div class="ocr_carea" title="bbox 1 2 3 4">'
        "<p><span class='ocr_line'><span>two</span> <span>words</span></span><span class='ocr_line'>next</span></p>"
        "</div></body></html>"
    )
    assert blocks_from_hocr(page) == [{"rect": [1, 2, 3, 4], "text": "two words\nnext"}]


def test_hocr_is_the_text_it_is_whatever_encoding_it_names():
    page = '<?xml version="1.0" encoding="iso-8859-1"?><p class="ocr_carea">Äpfel</p>'
    assert blocks_from_hocr(page) == [{"rect": None, "text": "Äpfel"}]


def test_areas_in_areas_of_hocr_are_one_block_that_has_its_words_once():
    """However deep they are nested: what comes of a document must not hold up a worker, or the page of the result."""
    deep = 20_000
    page = "<html>" + '<b class="ocr_carea ocr_line ocrx_word">' * deep + "once" + "</b>" * deep + "</html>"
    assert blocks_from_hocr(page) == [{"rect": None, "text": "once"}]


ENTITY = '<!DOCTYPE x [<!ENTITY a "b">]><p>&a;</p>'


@pytest.mark.parametrize(
    "text",
    [
        "<p>",
        ENTITY,
        # A file in UTF-16, as UTF-8 reads it: a parser finds out what it is.
        ENTITY.encode("utf-16-le").decode(),
        '<!DOCTYPE x [<!ATTLIST p a CDATA "b">]><x><p/></x>',
    ],
)
def test_hocr_that_is_none(text):
    """What is not well-formed, or would unfold entities or default values, is refused."""
    with pytest.raises(ValueError, match="it "):
        blocks_from_hocr(text)


def test_each_shape_has_its_keys():
    """The XCom gets what the endpoint's results stand for, and nothing of other endpoints."""
    assert typed_values(job(("Csv", "0,1\na,b\n")), ResultShape.TABLE, 9999, []) == {"rows": [["a", "b"]]}
    assert typed_values(job(("Text", "a b")), ResultShape.TABLE, 9999, []) == {}
    assert typed_values(job(("Text", FONTS)), ResultShape.FONTS, 9999, [])["fonts"] == ["tahoma", "times", "verdana"]
    assert (
        typed_values(job(("Text", INVOICE)), ResultShape.INVOICE, 9999, [])["invoice"]["supplier_name"] == "abc exports"
    )
    assert typed_values(job(("Text", "a")), ResultShape.ENTRIES, 9999, []) == {}
    assert typed_values(job(("JSON", '[{"text": "a"}]')), ResultShape.ENTRIES, 9999, [])["blocks"][0]["text"] == "a"
    assert typed_values(job(("Wav", "a")), ResultShape.FILE, 9999, []) == {}


def test_values_too_long_for_an_xcom_stand_in_the_file_alone():
    """A large table does not enter the XCom a second time."""
    assert typed_values(job(("Csv", "a,b\n" * 500)), ResultShape.TABLE, 100, []) == {}


def test_blocks_that_cannot_be_read_are_a_warning():
    """An hOCR is delivered whole whether or not we can take it apart: a paid result does not fail for it."""
    warnings: list[str] = []
    assert typed_values(job(("Hocr", "secret <p>")), ResultShape.ENTRIES, 9999, warnings) == {}
    assert "blocks" in warnings[0]
    assert "secret" not in warnings[0]


def test_a_large_result_is_not_even_read():
    """Reading a large hOCR for an XCom it would not fit in costs memory for nothing."""

    class Unreadable(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise AssertionError("it was read")

    large = OcrTask("", TaskStatus.COMPLETED, results=(OcrResult("Hocr", Unreadable(), 10**9),))
    assert typed_values(large, ResultShape.ENTRIES, 9999, []) == {}


def test_an_unreadable_result_names_the_job_and_quotes_nothing():
    """The error names the billed job and does not show what stands in the document."""
    with pytest.raises(AsposeOcrProtocolError) as caught:
        typed_values(job(("Text", "secret words")), ResultShape.INVOICE, 9999, [])
    assert "a197aade" in str(caught.value)
    assert "billed" in str(caught.value)
    assert "secret" not in str(caught.value)
