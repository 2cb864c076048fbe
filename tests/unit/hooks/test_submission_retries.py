"""What is repeated of a submission, and what never is: one that may have been accepted."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAmbiguousSubmissionError,
    AsposeOcrRateLimitError,
    AsposeOcrRequestError,
    AsposeOcrServiceError,
)
from tests.unit.either_hook import TEXT, sha256
from tests.unit.hooks.faults import ENDPOINT, named
from tests.unit.raw_server import (
    JOB,
    answer,
)


class TestSubmission:
    @pytest.mark.parametrize("status", [429, 503])
    def test_refused_is_repeated(self, sync_hook, emulator, png, status):
        """A submission that was refused for now is repeated after a wait."""
        emulator.add_faults([{"kind": "status", "status": status, "method": "POST", "path": ENDPOINT, "count": 2}])
        sync_hook.submit(ENDPOINT, png)
        calls = emulator.calls()
        assert (calls.count("POST", ENDPOINT), calls.accepted) == (3, 1)
        assert len(sync_hook.slept) == 2
        assert all(0.5 <= wait <= 2 for wait in sync_hook.slept)

    def test_refused_for_ever(self, hook, emulator, png):
        """A submission that is refused for ever ends in an error that a retry may mend."""
        emulator.add_faults([{"kind": "status", "status": 503, "method": "POST", "path": ENDPOINT, "count": None}])
        hook.hook.retry_limit = 0
        with pytest.raises(AsposeOcrServiceError, match="HTTP 503") as caught:
            hook.submit(ENDPOINT, png)
        assert not isinstance(caught.value, AirflowFailException)
        assert (emulator.calls().count("POST", ENDPOINT), emulator.calls().accepted) == (1, 0)

    def test_retry_limit_is_the_limit(self, sync_hook, emulator, png):
        emulator.add_faults([{"kind": "status", "status": 503, "method": "POST", "path": ENDPOINT, "count": None}])
        with pytest.raises(AsposeOcrServiceError):
            sync_hook.submit(ENDPOINT, png)
        assert emulator.calls().count("POST", ENDPOINT) == 4

    @pytest.mark.parametrize(("asked", "waits"), [(0, 0.5), (7, 7), (60, 60)])
    def test_retry_after_is_honoured(self, sync_hook, emulator, png, asked, waits):
        emulator.add_faults([{"kind": "status", "status": 429, "retry_after": asked, "path": ENDPOINT}])
        sync_hook.submit(ENDPOINT, png)
        (slept,) = sync_hook.slept
        assert waits <= slept < max(waits, 1) + 1

    def test_longer_wait_than_a_worker_slot_is_for(self, sync_hook, emulator, png):
        """A longer wait than a worker slot is for is left to Airflow."""
        emulator.add_faults([{"kind": "status", "status": 429, "retry_after": 3600, "path": ENDPOINT}])
        with pytest.raises(AsposeOcrRateLimitError) as caught:
            sync_hook.submit(ENDPOINT, png)
        assert (caught.value.retry_after, sync_hook.slept) == (3600, [])
        assert emulator.calls().accepted == 0

    @pytest.mark.parametrize(
        ("fault", "accepted"),
        [
            ({"kind": "reset_before"}, 0),
            ({"kind": "reset_after"}, 1),
            ({"kind": "truncate"}, 1),
            ({"kind": "not_json"}, 1),
            ({"kind": "wrong_content_type"}, 0),
            *(({"kind": "status", "status": status}, 0) for status in (408, 500, 502, 504)),
        ],
        ids=lambda value: named(value) if isinstance(value, dict) else str(value),
    )
    def test_maybe_accepted_is_not_repeated(self, hook, emulator, png, fault, accepted):
        """A submission that may have been accepted is not repeated."""
        emulator.add_faults([{**fault, "method": "POST", "path": ENDPOINT}])
        with pytest.raises(AsposeOcrAmbiguousSubmissionError, match="may have accepted and billed") as caught:
            hook.submit(ENDPOINT, png)
        assert isinstance(caught.value, AirflowFailException)
        assert "resubmit_on_ambiguity=True" in str(caught.value)
        assert caught.value.endpoint == ENDPOINT
        calls = emulator.calls()
        assert (calls.count("POST", ENDPOINT), calls.accepted) == (1, accepted)

    def test_maybe_accepted_is_repeated_where_the_user_says_so(self, sync_hook, emulator, png):
        """A submission that may have been accepted is repeated where the user says so."""
        emulator.add_faults([{"kind": "reset_after", "method": "POST", "path": ENDPOINT}])
        job = sync_hook.submit(ENDPOINT, png, resubmit_on_ambiguity=True)
        assert emulator.calls().accepted_by_image == {sha256(png): 2}
        assert sync_hook.wait(ENDPOINT, job).text == TEXT

    @pytest.mark.parametrize("status", [400, 403, 404])
    def test_refused_for_good_is_not_repeated(self, hook, emulator, png, status):
        """A submission that was refused for good is not repeated."""
        emulator.add_faults([{"kind": "status", "status": status, "path": ENDPOINT}])
        with pytest.raises(AsposeOcrRequestError):
            hook.submit(ENDPOINT, png, resubmit_on_ambiguity=True)
        assert emulator.calls().count("POST", ENDPOINT) == 1

    @pytest.mark.parametrize("kind", [{"kind": "status", "status": 500}, {"kind": "reset_before"}])
    def test_token_that_does_not_come_at_once(self, sync_hook, emulator, png, kind):
        """A token that does not come at once is asked for again, before the submission."""
        emulator.add_faults([{**kind, "path": "connect/token"}])
        sync_hook.submit(ENDPOINT, png)
        calls = emulator.calls()
        assert (calls.token_calls, calls.accepted, calls.count("POST", ENDPOINT)) == (2, 1, 1)

    @pytest.mark.parametrize("size", [300 * 1024, 3 * 1024 * 1024])
    def test_answer_that_is_far_too_long_is_not_repeated(self, sync_hook, raw_server, png, size):
        server = raw_server(lambda received: answer(200, b"x" * size))
        with pytest.raises(AsposeOcrAmbiguousSubmissionError):
            sync_hook.submit(ENDPOINT, png)
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("status", "error", "posts"),
        [
            (500, AsposeOcrAmbiguousSubmissionError, 1),
            (404, AsposeOcrRequestError, 1),
            (503, AsposeOcrServiceError, 4),
        ],
    )
    def test_refusal_that_is_far_too_long_is_still_a_refusal(self, sync_hook, raw_server, png, status, error, posts):
        server = raw_server(lambda received: answer(status, b"<p>no</p>" * 100_000))
        with pytest.raises(error, match=f"HTTP {status}"):
            sync_hook.submit(ENDPOINT, png)
        assert len(server.requests) == posts

    def test_broken_before_the_whole_document_was_read(self, sync_hook, raw_server, big_png):
        """A submission that broke before the whole document was read is repeated."""

        def script(received):
            if received.connection <= 2:  # the first one fetched the token
                received.peer.recv(100_000)
                received.reset()
                return None
            return answer(200, JOB)

        server = raw_server(script)
        assert sync_hook.submit(ENDPOINT, big_png) == JOB
        posts = [received for received in server.requests if received._body is not None]
        assert len(posts) == 1
        assert len(sync_hook.slept) == len(server.requests) - 1 >= 1

    def test_broken_before_the_whole_document_was_read_for_ever(self, new_hook, raw_server, big_png):
        """Where every submission breaks that early, the error says that nothing was accepted."""

        def script(received):
            received.peer.recv(100_000)
            received.reset()

        raw_server(script)
        with pytest.raises(AsposeOcrServiceError, match="was not accepted and not billed") as caught:
            new_hook(retry_limit=0).submit(ENDPOINT, big_png)
        assert caught.value.certainly_not_accepted

    def test_broken_after_the_whole_document_was_read(self, hook, raw_server, big_png):
        """A submission that broke after the whole document was read is not repeated."""

        def script(received):
            assert len(received.body()) > len(big_png)
            received.reset()

        server = raw_server(script)
        with pytest.raises(AsposeOcrAmbiguousSubmissionError, match="after the whole document was sent"):
            hook.submit(ENDPOINT, big_png)
        assert len(server.requests) == 1

    def test_no_answer_in_time(self, hook, raw_server, png):
        """A submission without an answer in time is not repeated."""

        def script(received):
            received.body()
            received.peer.recv(1)  # until the client goes away

        server = raw_server(script, extra={"timeout": 0.15})
        with pytest.raises(AsposeOcrAmbiguousSubmissionError, match="did not answer in time"):
            hook.submit(ENDPOINT, png)
        assert len(server.requests) == 1

    @pytest.mark.parametrize("polite", [True, False])
    def test_401_in_mid_upload(self, sync_hook, raw_server, big_png, polite):
        """A 401 in mid-upload costs a new token, and the document is sent whole once."""
        whole: list[bool] = []

        def script(received):
            if received.headers["authorization"] == "Bearer token-1" and len(whole) < 2:
                received.peer.sendall(answer(401, {"status": 401}, connection="close"))
                whole.append(False)
                if polite:
                    received.body()
                else:
                    received.reset()
                return None
            whole.append(len(received.body()) > len(big_png))
            return answer(200, JOB)

        server = raw_server(script)
        assert sync_hook.submit(ENDPOINT, big_png) == JOB
        assert whole[-1]
        assert whole.count(True) == 1
        assert server.token_calls <= 2
        if polite:
            assert server.token_calls == 2

    def test_refused_connection_is_repeated(self, sync_hook, define_connection, png):
        define_connection(host="http://127.0.0.1:9", extra='{"trial": true}')
        with pytest.raises(AsposeOcrServiceError, match=r"refused the connection.*not accepted and not billed"):
            sync_hook.submit(ENDPOINT, png)
        assert len(sync_hook.slept) == 3
