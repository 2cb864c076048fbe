"""What an answer to a submission is worth that comes before the whole document was sent, or is cut after the id."""

from __future__ import annotations

import pytest

from airflow_provider_asposeocr.exceptions import AsposeOcrAmbiguousSubmissionError, AsposeOcrServiceError
from tests.unit.hooks.faults import ENDPOINT
from tests.unit.raw_server import JOB, answer

OK = b"HTTP/1.1 200 OK\r\n"
PAGE = "<html>Sign in to the guest network</html>"
BAD = {str(status): (status, "") for status in (408, 500, 502, 504)} | {"a sign-in page": (200, PAGE)}


def early(received, said):
    """Answer in the midst of the document, and hang up."""
    received.peer.recv(100_000)
    received.peer.sendall(said)


class TestEarly:
    @pytest.mark.parametrize("kind", BAD)
    def test_a_bad_answer_in_mid_document_is_no_submission(self, sync_hook, raw_server, big_png, kind):
        """The service has not got it all: it is sent again at once, and not told as perhaps billed."""
        status, said = BAD[kind]

        def script(received):
            if len(server.requests) > 1:
                return answer(200, JOB)
            return early(received, answer(status, said, connection="close"))

        server = raw_server(script)
        assert sync_hook.submit(ENDPOINT, big_png) == JOB
        assert (len(server.requests), len(sync_hook.slept)) == (2, 1)

    @pytest.mark.parametrize("kind", BAD)
    def test_it_says_so_where_repeating_does_not_help(self, sync_hook, raw_server, big_png, kind):
        status, said = BAD[kind]
        raw_server(lambda received: early(received, answer(status, said, connection="close")))
        sync_hook.hook.retry_limit = 0
        with pytest.raises(AsposeOcrServiceError, match=rf"{status}.*not accepted and not billed") as caught:
            sync_hook.submit(ENDPOINT, big_png)
        assert caught.value.certainly_not_accepted
        assert (caught.value.status or 200) == status


class TestCut:
    @pytest.mark.parametrize(
        "head",
        [
            OK + b"Content-Length: 38\r\n\r\n" + JOB.encode(),
            OK + b"Transfer-Encoding: chunked\r\n\r\n24\r\n" + JOB.encode() + b"\r\n",
            OK + b'Content-Length: 40\r\n\r\n"' + JOB.encode() + b'"',
        ],
        ids=["length", "chunked", "quoted"],
    )
    def test_an_id_that_came_whole_is_taken(self, sync_hook, raw_server, png, head):
        """Its job is paid for, whatever broke after it."""

        def script(received):
            received.body()
            received.peer.sendall(head)

        server = raw_server(script)
        assert sync_hook.submit(ENDPOINT, png) == JOB
        assert len(server.requests) == 1

    def test_an_id_after_which_nothing_ends_the_answer_is_taken(self, sync_hook, raw_server, png):
        def script(received):
            received.body()
            received.peer.sendall(OK + b"\r\n" + JOB.encode())
            received.peer.recv(1)

        raw_server(script, extra={"timeout": 0.2})
        assert sync_hook.submit(ENDPOINT, png) == JOB

    def test_half_an_id_is_none(self, sync_hook, raw_server, png):
        def script(received):
            received.body()
            received.peer.sendall(OK + b"Content-Length: 36\r\n\r\n" + JOB[:-1].encode())

        raw_server(script)
        with pytest.raises(AsposeOcrAmbiguousSubmissionError):
            sync_hook.submit(ENDPOINT, png)
