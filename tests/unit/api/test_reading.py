"""The streaming reader agrees with ``json`` and ``base64`` on every answer, however it is cut and escaped."""

from __future__ import annotations

import base64
import codecs
import io
import json
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asposeocr.api.reading import MAX_JSON_BYTES, SMALL_ANSWER, TaskReader
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.api.texts import service_text
from airflow_provider_asposeocr.exceptions import AsposeOcrProtocolError
from tests.unit.api.exchanges import API, IMAGE, JOB, TRIAL, as_json, response_object

NOISE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "results", "type", 'd"a', "x\\"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def in_pieces(answer: bytes, cuts: list[int], **limits: int) -> OcrTask:
    """Read an answer, however much of it is held back until more or its end comes: that changes nothing."""
    kinds = set()
    for small_answer in (64, SMALL_ANSWER, 0):
        try:
            task = read_in_pieces(answer, cuts, small_answer=small_answer, **limits)
        except AsposeOcrProtocolError as error:
            kinds.add("error")
            refused = error
        else:
            kinds.add(repr((task, contents(task))))
    assert len(kinds) == 1
    if kinds == {"error"}:
        raise refused
    return task


def read_in_pieces(answer: bytes, cuts: list[int], **limits: int) -> OcrTask:
    reader = TaskReader(**limits)
    edges = [0, *sorted(cut % (len(answer) + 1) for cut in cuts), len(answer)]
    for start, end in pairwise(edges):
        reader.feed(answer[start:end])
    return reader.close()


def straightforward(answer: bytes) -> list[tuple[str, bytes]]:
    return [
        (service_text(entry["type"], 100), base64.b64decode(entry["data"]))
        for entry in json.loads(answer)["results"]
        if entry.get("data") is not None
    ]


@st.composite
def json_strings(draw: st.DrawFn, text: str) -> str:
    """A JSON string of the text in which any character may be written as an escape."""
    ways = draw(st.lists(st.sampled_from(["plain", "plain", "plain", "u", "U", "short"]), min_size=1, max_size=7))
    spelled = []
    for at, character in enumerate(text):
        way = ways[at % len(ways)]
        if way in "uU" and ord(character) < 0x10000:
            spelled.append(f"\\u{ord(character):04x}" if way == "u" else f"\\u{ord(character):04X}")
        elif way == "short" and character == "/":
            spelled.append("\\/")
        else:
            spelled.append(json.dumps(character)[1:-1])
    return '"' + "".join(spelled) + '"'


@st.composite
def base64_of(draw: st.DrawFn, content: bytes) -> str:
    """Base64 with white space anywhere in it."""
    text = base64.b64encode(content).decode()
    for at in sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)), reverse=True):
        text = text[:at] + draw(st.sampled_from(["\n", "\r\n", " ", "\t", "    "])) + text[at:]
    return text


@st.composite
def objects(draw: st.DrawFn, properties: dict[str, str]) -> str:
    """A JSON object of these properties (name to JSON text) and some others, in any order and spelling."""
    noise = draw(st.dictionaries(st.sampled_from(["pages", "", 'd"', "Data"]), NOISE.map(json.dumps), max_size=2))
    blank = draw(st.sampled_from(["", " ", "\r\n\t"]))
    pairs = draw(st.permutations([*properties.items(), *noise.items()]))
    written = [f"{blank}{draw(json_strings(name))}{blank}:{blank}{value}" for name, value in pairs]
    return "{" + ",".join(written) + blank + "}"


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    entries = []
    for content in draw(st.lists(st.none() | st.binary(max_size=40), max_size=3)):
        data = "null" if content is None else draw(json_strings(draw(base64_of(content))))
        entries.append(draw(objects({"type": draw(json_strings(draw(st.text(max_size=5)))), "data": data})))
    properties = {
        "id": '"a job"',
        "taskStatus": '"Completed"',
        "responseStatusCode": draw(st.sampled_from(["null", '"Ok"'])),
        "results": "[" + ",".join(entries) + "]",
        "error": "null",
    }
    return draw(objects(properties)).encode()


def contents(task: OcrTask) -> list[tuple[str, bytes]]:
    return [(result.type, result.read()) for result in task.results]


@given(answers(), st.lists(st.integers(0, 10_000), max_size=6))
def test_agrees_with_json_and_base64(answer, cuts):
    """An answer is read as `json` and `base64` read it, in whatever pieces it comes."""
    task = in_pieces(answer, cuts)
    assert contents(task) == straightforward(answer)
    assert [result.size for result in task.results] == [len(content) for _, content in straightforward(answer)]


@given(answers())
def test_byte_by_byte(answer):
    """An answer that comes byte by byte is read just the same."""
    assert contents(in_pieces(answer, list(range(len(answer))))) == straightforward(answer)


@given(answers(), st.integers(0, 10_000))
def test_cut_anywhere_is_a_protocol_error(answer, at):
    with pytest.raises(AsposeOcrProtocolError):
        in_pieces(answer[: at % len(answer)], [])


def test_cut_at_every_position():
    """An answer that breaks off at any position is a protocol error."""
    answer = as_json(response_object(("Text", b"All men live enveloped"), ("Pdf", b"%PDF-1.7"), error={"messages": []}))
    for at in range(len(answer)):
        with pytest.raises(AsposeOcrProtocolError):
            in_pieces(answer[:at], [])


@pytest.mark.parametrize("at", ["id", "taskStatus", "results", "error"])
@pytest.mark.parametrize("blank", ["\n", "\r\n  "])
def test_indented_and_in_other_orders(at, blank):
    """Indented answers and those in another order are read the same."""
    answer = response_object(("Text", b"whale"))
    ordered = {at: answer.pop(at), **answer}
    text = json.dumps(ordered, indent=2).replace("\n", blank).encode()
    assert contents(in_pieces(text, [3, 30, 60])) == [("Text", b"whale")]


@pytest.mark.parametrize(
    "data", [r"a\/b\u002B\u002b+++", r"\u0051\u0051==", r"QQ==\n", r"\r\nQQ\t==", "Q Q = =", "QQ==    ", "    ", ""]
)
def test_spellings_of_data(data):
    """All spellings of Base64 in a JSON string are read, wherever the answer is cut."""
    answer = f'{{"taskStatus": "Completed", "results": [{{"type": "Text", "data": "{data}"}}]}}'.encode()
    for cut in range(len(answer)):
        assert contents(in_pieces(answer, [cut])) == straightforward(answer)


@pytest.mark.parametrize(
    "data",
    [
        "Q",
        "QQ",
        "QQ=",
        "Q===",
        "QQ==QQ==",
        "QQ==QUFB",
        "QUFB=",
        "====",
        "Q-_=",
        "é===",
        r"\u00e9==",
        r"\ud800",
        r"\x41",
        r"\u00zz",
        r"QQ\"==",
    ],
)
def test_data_that_is_not_base64(data):
    """Data that is not Base64 is a protocol error, which does not tell the data."""
    answer = f'{{"taskStatus": "Completed", "results": [{{"type": "Text", "data": "{data}"}}]}}'.encode()
    for cut in range(len(answer)):
        with pytest.raises(AsposeOcrProtocolError) as bad:
            in_pieces(answer, [cut])
        assert data not in str(bad.value)


class CountingFile(io.BytesIO):
    """Counts how often it is written to."""

    writes = 0

    def write(self, content):
        self.writes += 1
        return super().write(content)


@pytest.mark.parametrize(
    ("character", "escape"), [("+", r"\u002B"), ("+", r"\u002b"), ("/", r"\/"), ("A", r"\u0041"), ("z", "z\\r\\n")]
)
def test_escaped_data_is_decoded_in_pieces_as_large_as_plain(character, escape):
    """Serializers write `+` as an escape: it must not cost a decoding of its own."""
    content = bytes(range(256)) * 2000
    data = base64.b64encode(content).decode().replace(character, escape)
    answer = f'{{"taskStatus": "Completed", "results": [{{"type": "Pdf", "data": "{data}"}}]}}'.encode()
    file = CountingFile()
    reader = TaskReader(lambda: file)
    pieces = range(0, len(answer), 65_537)
    for at in pieces:
        reader.feed(answer[at : at + 65_537])
    assert reader.close().results[0].read() == content
    assert file.writes <= 2 * len(pieces)


def test_data_elsewhere_is_left_alone():
    answer = as_json({"data": "not Base64!", **response_object(("Text", b"x")), "more": {"results": [{"data": "!"}]}})
    assert contents(in_pieces(answer, [])) == [("Text", b"x")]


def test_results_go_into_the_files_given():
    made = []

    def new_file():
        made.append(io.BytesIO())
        return made[-1]

    reader = TaskReader(new_file)
    reader.feed(as_json(response_object(("Text", b"one"), ("Pdf", b"two"))))
    task = reader.close()
    assert [result.content for result in task.results] == made
    assert [file.getvalue() for file in made] == [b"one", b"two"]


class TestLimits:
    def test_of_all_results_together(self):
        """All results together are bounded."""
        answer = as_json(response_object(("Text", b"x" * 60), ("Text", b"y" * 40)))
        assert len(in_pieces(answer, [], result_limit=100).results) == 2
        with pytest.raises(AsposeOcrProtocolError, match="larger than the limit"):
            in_pieces(answer, [], result_limit=99)

    def test_of_everything_else(self):
        """Everything but results is bounded."""
        reader = TaskReader()
        reader.feed(b'{"id": "' + b"x" * (MAX_JSON_BYTES - 8))
        with pytest.raises(AsposeOcrProtocolError, match=f"over {MAX_JSON_BYTES} bytes"):
            reader.feed(b"x")

    def test_large_results_do_not_count_as_json(self):
        content = bytes(range(256)) * (MAX_JSON_BYTES // 128)
        assert contents(in_pieces(as_json(response_object(("Pdf", content))), [1000])) == [("Pdf", content)]

    def test_of_depth(self):
        """The depth of an answer is bounded."""
        with pytest.raises(AsposeOcrProtocolError, match="nested"):
            in_pieces(as_json(response_object(deep=json.loads("[" * 40 + "]" * 40))), [])


def test_a_byte_order_mark_before_an_answer_is_left_away():
    answer = codecs.BOM_UTF8 + as_json(response_object(("Text", b"whale")))
    for cut in range(6):
        assert contents(in_pieces(answer, [cut])) == [("Text", b"whale")]


@pytest.mark.parametrize("most", [0, 64, SMALL_ANSWER])
def test_a_byte_order_mark_alone_is_no_answer(most):
    reader = TaskReader(small_answer=most)
    reader.feed(codecs.BOM_UTF8)
    with pytest.raises(AsposeOcrProtocolError):
        reader.close()


class TestStates:
    """What asks for a state alone keeps nothing of the results."""

    def test_results_are_passed_over(self):
        """Whatever their data holds, and wherever the answer is cut."""
        data = [r"QUJD\/\u002B", "not Base64 at all", r"with \"quotes\" and \\\\", ""]
        entries = ", ".join(f'{{"type": "Text", "data": "{text}"}}' for text in data)
        answer = f'{{"results": [{entries}], "taskStatus": "Completed", "error": {{"warnings": ["w"]}}}}'.encode()
        for cut in range(len(answer)):
            reader = TaskReader(None, small_answer=0)
            reader.feed(answer[:cut])
            reader.feed(answer[cut:])
            task = reader.close()
            assert (task.status, task.results, task.warnings) == ("Completed", (), ("w",))

    def test_a_small_answer_brings_no_results_either(self):
        reader = TaskReader(None)
        reader.feed(as_json(response_object(("Text", b"whale"))))
        assert reader.close().results == ()

    @pytest.mark.parametrize("call", [API.status(IMAGE, JOB), API.status(TRIAL, JOB)], ids=["paid", "trial"])
    def test_memory_does_not_grow_with_the_results(self, call):
        piece = base64.b64encode(bytes(192 * 1024))
        reader = call.request.new_reader()
        tracemalloc.start()
        try:
            reader.feed(b'{"taskStatus": "Completed", "results": [{"type": "Pdf", "data": "')
            for _ in range(100):
                reader.feed(piece)
            reader.feed(b'"}]}')
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert call.read(reader).results == ()
        assert peak < 4 * len(piece)

    def test_what_is_passed_over_is_bounded(self):
        reader = TaskReader(None, result_limit=1000)
        with pytest.raises(AsposeOcrProtocolError, match="larger than the limit"):
            reader.feed(b'{"results": [{"data": "' + b"A" * 10_000)
