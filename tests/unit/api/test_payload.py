"""The body of a submission: what ``json.dumps`` with ``base64`` gives, in chunks, of a length known before."""

from __future__ import annotations

import base64
import io
import itertools
import json
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asposeocr.api.checks import parse_settings
from airflow_provider_asposeocr.api.payload import CHUNK_SIZE, SubmissionBody
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from tests.unit.api.exchanges import submission_body

SETTINGS = parse_settings("RecognizeImage", {"language": "Élvish", "rotate": 90})


class Dribble(io.BytesIO):
    """Answers every read with a few bytes, as an object storage may."""

    def read(self, size=-1):
        return super().read(min(size, 1000) if size >= 0 else 1000)


def body_over(file_class, document, size=None):
    opened = []

    @contextmanager
    def open_document():
        opened.append(file_class(document))
        with opened[-1]:
            yield opened[-1]

    return SubmissionBody(open_document, len(document) if size is None else size, SETTINGS), opened


def straightforward(document, settings=SETTINGS):
    sent = {"image": base64.b64encode(document).decode(), "settings": settings.to_wire()}
    return json.dumps(sent, separators=(",", ":"))


@pytest.mark.parametrize(
    "size", [*range(8), *(chunks * CHUNK_SIZE + more for chunks in (1, 2, 3) for more in (-3, -2, -1, 0, 1, 2, 3))]
)
@pytest.mark.parametrize("file_class", [io.BytesIO, Dribble])
def test_equals_json_and_base64(size, file_class):
    """The body is that of `json` and `base64`, whatever the size, in chunks of bounded size."""
    document = (bytes(range(256)) * (size // 256 + 1))[:size]
    body, _ = body_over(file_class, document)
    sent = b"".join(body)
    assert len(body) == len(sent)
    assert json.loads(sent) == json.loads(straightforward(document))
    assert max(map(len, body)) <= CHUNK_SIZE * 4 // 3


@given(st.binary(max_size=200), st.sampled_from([{}, {"language": "English"}, {"rotate": -90, "resultType": "Hocr"}]))
def test_any_document(document, settings):
    """Any document with any settings makes the same body, of the announced length."""
    typed = parse_settings("RecognizeImage", settings)
    body = submission_body(document, typed)
    assert json.loads(b"".join(body)) == json.loads(straightforward(document, typed))
    assert len(b"".join(body)) == len(body)


def test_can_be_iterated_again_and_opens_the_document_each_time():
    body, opened = body_over(io.BytesIO, b"a scan")
    first, second = b"".join(body), b"".join(body)
    assert first == second
    assert len(opened) == 2
    assert all(file.closed for file in opened)


def test_an_interrupted_iteration_closes_the_document():
    body, opened = body_over(io.BytesIO, b"x" * CHUNK_SIZE * 3)
    iteration = iter(body)
    list(itertools.islice(iteration, 2))
    iteration.close()
    assert opened[0].closed
    assert not body.is_complete
    assert len(b"".join(body)) == len(body)


@pytest.mark.parametrize("file_class", [io.BytesIO, Dribble])
@pytest.mark.parametrize(("there", "missing"), [(0, 100_000), (1, 99_999), (CHUNK_SIZE, 100_000 - CHUNK_SIZE)])
def test_a_document_that_became_shorter(file_class, there, missing):
    """A document that became shorter breaks off the submission, and says what is missing."""
    body, _ = body_over(file_class, b"x" * there, size=100_000)
    with pytest.raises(AsposeOcrInputError, match=f"{missing} of 100000 bytes are missing. Nothing was submitted"):
        b"".join(body)
    assert not body.is_complete


@pytest.mark.parametrize("file_class", [io.BytesIO, Dribble])
@pytest.mark.parametrize(("size", "more"), [(6, 1), (6, 100_000), (CHUNK_SIZE, 1), (0, 1)])
def test_a_document_that_grew_is_not_sent_in_part(file_class, size, more):
    """The body of a document that became longer does not end."""
    body, _ = body_over(file_class, b"x" * (size + more), size=size)
    sent = []
    with pytest.raises(AsposeOcrInputError, match=f"more than the {size} bytes .* Nothing was submitted"):
        sent.extend(body)
    assert len(b"".join(sent)) < len(body)
    assert not body.may_be_complete


def test_complete_is_what_was_handed_out_to_the_end():
    """The last chunk counts as sent once the consumer asks for more."""
    body = submission_body(b"a scan")
    for _ in range(2):
        iteration = iter(body)
        for _ in range(3):
            next(iteration)
            assert not body.is_complete
        assert list(iteration) == []
        assert body.is_complete
