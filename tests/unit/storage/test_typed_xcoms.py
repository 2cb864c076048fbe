"""An endpoint's own keys of the XCom: what becomes of them where a paid result cannot be read in its own way."""

from __future__ import annotations

import json

import pytest

from airflow_provider_asposeocr.exceptions import AsposeOcrProtocolError
from tests.unit.storage.outputs import JOB, QUIET, content, files_in, give, task

pytestmark = QUIET


@pytest.mark.parametrize(
    ("kind", "broken"),
    [
        ("Hocr", b"<p>"),
        ("Hocr", b"\xff\xfe"),
        ("JSON", b"once upon a time"),
        ("JSON", b'[{"x": 1e999, "text": "once"}]'),
    ],
)
def test_blocks_that_cannot_be_read_do_not_cost_the_result(storage, kind, broken):
    """Blocks are an addition: where they cannot be read, the result that was asked for is delivered with a warning."""
    xcom = give(task((kind, broken)), files_in(storage))
    assert content(xcom["file"]) == broken
    assert "blocks" not in xcom
    assert "cannot be read" in xcom["warnings"][-1]
    assert "once" not in " ".join(xcom["warnings"])


def test_rows_that_cannot_be_read_do_not_cost_the_table(storage):
    """A CSV that is not UTF-8 is delivered as it came, without rows and with a warning."""
    xcom = give(task(("Csv", b"a,\xe4\n")), files_in(storage), endpoint="RecognizeTable")
    assert content(xcom["file"]) == b"a,\xe4\n"
    assert "rows" not in xcom
    assert any("cannot be read" in warning for warning in xcom["warnings"])


@pytest.mark.parametrize(("endpoint", "key"), [("RecognizeAndParseInvoice", "invoice"), ("IdentifyFont", "style")])
def test_fields_that_cannot_be_read_are_an_error(storage, endpoint, key):
    """Where the fields are the result, an error names the paid job, and the file holds what came."""
    with pytest.raises(AsposeOcrProtocolError, match="cannot be read") as caught:
        give(task(("Text", "once upon a time")), files_in(storage), endpoint=endpoint)
    assert caught.value.ocr_task_id == JOB
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "kind", "text"),
    [
        ("RecognizeAndParseInvoice", "Text", '{"supplier_name": "a\\u0000b\\ud800", "vat": NaN, "extra": [1e999]}'),
        ("RecognizeImage", "JSON", '[{"text": "a\\u0000b"}]'),
        ("RecognizeTable", "Csv", "a\0b,c\n"),
        ("IdentifyFont", "Text", "{'style': 'a\\x00b', 'font': ['c']}"),
    ],
)
def test_values_are_such_as_every_database_takes(endpoint, kind, text):
    """NUL, half a surrogate pair and numbers without end, which Airflow's database refuses, are in no value."""
    xcom = give(task((kind, text)), endpoint=endpoint)
    told = json.dumps({key: xcom[key] for key in xcom if key in ("invoice", "blocks", "rows", "style", "fonts")})
    assert not any(refused in told for refused in ("\\u0000", "\\ud800", "NaN", "Infinity"))
    assert "ab" in told
