"""What an answer says: states, codes, messages, decoded results, detected rectangles."""

from __future__ import annotations

import pytest

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.api.reading import TaskReader
from airflow_provider_asposeocr.api.results import RESULT_TYPES, OcrTask, rectangles, region_texts, result_type_named
from airflow_provider_asposeocr.exceptions import AsposeOcrProtocolError
from tests.unit.api.exchanges import JOB, as_json, response_object


def read(answer: object) -> OcrTask:
    reader = TaskReader()
    reader.feed(answer if isinstance(answer, bytes) else as_json(answer))
    return reader.close()


@pytest.mark.parametrize("status", list(TaskStatus))
def test_statuses_in_any_order_of_properties(status):
    """Every status is read, in any order of properties."""
    answer = response_object(("Text", b"whale"), status=status.value)
    for ordered in (answer, dict(reversed(answer.items()))):
        task = read(ordered)
        assert (task.id, task.status, task.response_status_code, task.text) == (JOB, status, "Ok", "whale")


@pytest.mark.parametrize("status", ["Sleeping", "completed", ""])
def test_unknown_status_names_the_value(status):
    with pytest.raises(AsposeOcrProtocolError, match=f"taskStatus is {status!r}") as unknown:
        read(response_object(status=status))
    assert all(known.value in str(unknown.value) for known in TaskStatus)


def test_unknown_properties_types_and_codes_are_tolerated():
    answer = response_object(("Hologram", b"\x00\x01"), responseStatusCode="BrandNew", pages=[{"data": "no result"}])
    answer["results"][0]["confidence"] = {"data": [0.9]}
    answer["error"] = {"messages": None, "hints": ["x"]}
    task = read(answer)
    assert task.response_status_code == "BrandNew"
    assert [(result.type, result.read(), result.size) for result in task.results] == [("Hologram", b"\x00\x01", 2)]
    assert (task.results[0].kind.extension, task.results[0].kind.is_text) == (".bin", False)
    assert task.notices == ["The service's responseStatusCode is BrandNew."]
    assert task.text is None


def test_entries_without_content_keep_their_place():
    """An entry whose data is null is no result, but stands among the entries: regions go by the position."""
    answer = response_object(("Text", b"one"), ("Text", b""), ("Text", b"three"), ("Pdf", b""))
    answer["results"][1]["data"] = answer["results"][3]["data"] = None
    task = read(answer)
    assert [result.read() for result in task.results] == [b"one", b"three"]
    assert [entry if isinstance(entry, str) else entry.read() for entry in task.entries] == [
        b"one",
        "Text",
        b"three",
        "Pdf",
    ]


@pytest.mark.parametrize(
    ("error", "messages", "warnings"),
    [
        (None, (), ()),
        ({}, (), ()),
        ({"messages": ["m"], "warnings": ["w", "v"]}, ("m",), ("w", "v")),
        ({"messages": ["m"]}, ("m",), ()),
        ({"messages": None, "warnings": ["w"]}, (), ("w",)),
    ],
)
@pytest.mark.parametrize("status", ["Completed", "Error"])
def test_messages_and_warnings(status, error, messages, warnings):
    """Messages and warnings are kept apart, and are both notices."""
    task = read(response_object(status=status, error=error))
    assert (task.messages, task.warnings) == (messages, warnings)
    assert task.notices == [*warnings, *messages]


@pytest.mark.parametrize("missing", ["id", "responseStatusCode", "results", "error"])
def test_properties_that_may_be_missing(missing):
    """All properties but the status may be missing."""
    answer = response_object()
    del answer[missing]
    assert read(answer).status is TaskStatus.COMPLETED


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"null",
        b"[]",
        b'"Completed"',
        b"{}",
        b"<html>Bad gateway</html>",
        b'{"taskStatus": "Completed"} {"taskStatus": "Completed"}',
        {"taskStatus": None},
        {"taskStatus": ["Completed"]},
        response_object(results={"type": "Text", "data": "QQ=="}),
        response_object(results=[{"data": "QQ=="}]),
        response_object(results=[{"type": "Text", "data": 5}]),
        response_object(results=["QQ=="]),
        response_object(error=5),
        b'{"taskStatus": "Completed", "results": [{"type": "Text", "data": "QQ==" "QQ=="}]}',
        b'{"taskStatus": "\\ud800"}',
        b'{"taskStatus": "\xff"}',
        b"[" * 100_000,
        b'{"taskStatus": "Completed"]',
        b'{"task\\qStatus": "Completed"}',
    ],
)
def test_not_a_response_object(answer):
    """What is not a response object is a protocol error."""
    with pytest.raises(AsposeOcrProtocolError):
        read(answer)


def test_a_result_without_data_is_none():
    task = read(response_object(results=[{"type": "Text", "data": None}, {"type": "Text"}]))
    assert task.results == ()
    assert task.text is None


def test_text_is_joined_and_loses_its_byte_order_mark():
    task = read(response_object(("Text", "\ufeffeins".encode()), ("Pdf", b"%PDF"), ("Text", "zwölf".encode())))
    assert task.text == "eins\nzwölf"
    assert region_texts(task) == ["eins", "zwölf"]
    assert [result.read() for result in task.of_type("Pdf")] == [b"%PDF"]


def test_text_that_is_not_utf8_says_where():
    with pytest.raises(AsposeOcrProtocolError, match="not UTF-8 text: invalid start byte at byte 3") as broken:
        _ = read(response_object(("Text", b"abc\xffdef"))).text
    assert "abc" not in str(broken.value)


def test_types_are_known_by_our_own_table():
    assert all(known.extension.startswith(".") for known in RESULT_TYPES.values())
    assert {name for name in RESULT_TYPES if not result_type_named(name).is_text} == {
        "Pdf",
        "Excel",
        "ImagePNG",
        "Wav",
        "WavFile",
    }


@pytest.mark.parametrize(
    ("data", "regions"),
    [
        (b"[[0, 8, 697, 441]]", [[0, 8, 697, 441]]),
        (b"[]", []),
        (b"[[1,2,3,4],[5.0,6.0,7.0,8.0]]", [[1, 2, 3, 4], [5, 6, 7, 8]]),
    ],
)
def test_rectangles(data, regions):
    """Detected regions are rectangles of whole numbers."""
    assert rectangles(read(response_object(("Other", data)))) == regions


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not JSON"),
        (b"nothing", "not JSON"),
        (b'{"a": 1}', "a JSON dict"),
        (b"null", "a JSON NoneType"),
        (b"[[1, 2, 3, 4], [1, 2, 3]]", "entry 1 is not four whole numbers"),
        (b"[[1, 2, 3, 4.5]]", "entry 0"),
        (b"[[1, 2, 3, true]]", "entry 0"),
        (b'[[1, 2, 3, "4"]]', "entry 0"),
        (b"[[1, 2, 3, 1e999]]", "entry 0"),
        (b"[[1, 2, 3, NaN]]", "entry 0"),
        (b"[1, 2, 3, 4]", "entry 0"),
        (b"[" * 100_000, "not JSON"),
        (b"[[1, 2, 3, " + b"9" * 5000 + b"]]", "not JSON"),
    ],
)
def test_bad_rectangles(data, why):
    """Rectangles that are none are a protocol error, which says why."""
    with pytest.raises(AsposeOcrProtocolError, match=why) as bad:
        rectangles(read(response_object(("Other", data))))
    assert bad.value.ocr_task_id == JOB


def test_rectangles_that_are_not_utf8():
    """Rectangles that are not UTF-8 are a protocol error."""
    with pytest.raises(AsposeOcrProtocolError):
        rectangles(read(response_object(("Other", b"\xff\xfe"))))
