"""A submission may be accepted where the last byte of its body was handed to the wire; nothing else decides it."""

from __future__ import annotations

import os

import pytest

from airflow_provider_asposeocr.exceptions import AsposeOcrAmbiguousSubmissionError, AsposeOcrServiceError
from tests.unit.hooks.faults import ENDPOINT
from tests.unit.raw_server import JOB, answer

CLEAR = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
ALERT = b"\x15\x03\x03\x00\x02\x02\x28"
"""A TLS record: a fatal alert, handshake_failure."""


@pytest.fixture
def tls_server(raw_server, tls):
    """Starts a server that speaks TLS, as the connection expects."""
    return lambda script: raw_server(script, tls.server(), extra={"verify": tls.authority})


@pytest.mark.parametrize("said", [CLEAR, ALERT], ids=["in clear", "an alert"])
def test_a_tls_error_after_the_whole_document_leaves_it_ambiguous(sync_hook, tls_server, png, said):
    def script(received):
        assert len(received.body()) > len(png)
        # Past TLS: what a middlebox says that has lost its mind.
        os.write(received.peer.fileno(), said)

    server = tls_server(script)
    with pytest.raises(AsposeOcrAmbiguousSubmissionError, match="after the whole document was sent"):
        sync_hook.submit(ENDPOINT, png)
    assert len(server.requests) == 1


@pytest.mark.parametrize("said", [CLEAR, ALERT], ids=["in clear", "an alert"])
def test_a_tls_error_before_the_whole_document_is_no_submission(sync_hook, tls_server, big_png, said):
    def script(received):
        if len(server.requests) > 1:
            return answer(200, JOB)
        received.peer.recv(100_000)
        os.write(received.peer.fileno(), said)
        received.reset()
        return None

    server = tls_server(script)
    assert sync_hook.submit(ENDPOINT, big_png) == JOB
    assert len(server.requests) == 2
    assert len(sync_hook.slept) == 1


def test_a_host_of_another_certificate_was_sent_nothing(sync_hook, raw_server, tls, png):
    server = raw_server(lambda received: answer(200, JOB), tls.server(), extra={"trial": True})
    sync_hook.hook.retry_limit = 0
    with pytest.raises(AsposeOcrServiceError, match=r"certificate .*not accepted and not billed"):
        sync_hook.submit(ENDPOINT, png)
    assert server.requests == []
