"""What is read of an answer that is no good one: its status, at most the start of its body, and no redirect."""

from __future__ import annotations

import pytest

from airflow_provider_asposeocr.exceptions import AsposeOcrRequestError
from tests.unit.raw_server import JOB, answer

MEGABYTE = 1024 * 1024


@pytest.mark.parametrize("location", ["http://[", "http://a:b:c/", "//", "http://%ff%fe\x7f/", "x" * 6000])
def test_a_malformed_location_is_a_refusal_as_any_other(new_hook, raw_server, png, location):
    server = raw_server(lambda received: answer(302, location=location))
    hook = new_hook()
    for call in (
        lambda: hook.get_status("RecognizeImage", JOB),
        lambda: hook.submit("RecognizeImage", png),
        lambda: hook.cancel("RecognizeImage", JOB),
    ):
        with pytest.raises(AsposeOcrRequestError, match="The API root redirects to") as caught:
            call()
        assert len(str(caught.value)) < 1000
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [302, 404])
def test_the_long_body_of_a_refusal_is_left_unread(new_hook, raw_server, status):
    """Of 300 MB, no more is taken than the buffers of sockets do."""
    sent = 0

    def script(received):
        nonlocal sent
        received.peer.sendall(answer(status, location="http://elsewhere.example/", content_length="300000000"))
        for _ in range(300):
            received.peer.sendall(bytes(MEGABYTE))
            sent += 1

    server = raw_server(script)
    with pytest.raises(AsposeOcrRequestError, match=f"HTTP {status}"):
        new_hook().get_status("RecognizeImage", JOB)
    assert server.all_closed()
    assert sent < 16


@pytest.mark.parametrize("escaped", ["\\/", "\\u002F", "\\\\u002F"])
def test_an_echo_of_the_document_is_not_quoted(new_hook, raw_server, escaped):
    """However its Base64 is escaped: with `/` in every eighth place, no part of it looks long."""
    echo = "QUFBQUE" + f"{escaped}iVBORw0".join(["KGgoAAA"] * 40)
    raw_server(lambda received: answer(400, '{"detail": "not understood: ' + echo + '"}'))
    with pytest.raises(AsposeOcrRequestError, match="not understood") as caught:
        new_hook().get_status("RecognizeImage", JOB)
    assert "iVBORw0" not in str(caught.value)
