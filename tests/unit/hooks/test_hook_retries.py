"""What is repeated, how often and after how long; what never is: a submission that may have been accepted."""

from __future__ import annotations

import itertools

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout
from requests.adapters import HTTPAdapter

from airflow_provider_asposeocr.api.results import TaskStatus
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAmbiguousSubmissionError,
    AsposeOcrAuthError,
    AsposeOcrError,
    AsposeOcrProtocolError,
    AsposeOcrRateLimitError,
    AsposeOcrRequestError,
    AsposeOcrServiceError,
    AsposeOcrTaskError,
    AsposeOcrTaskNotFoundError,
)
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook
from tests.unit.hooks.conftest import JOB, TEXT, answer, sha256, task_answer

ENDPOINT = "RecognizeImage"
TRANSIENT = [
    {"kind": "status", "status": 429},
    {"kind": "status", "status": 408},
    *({"kind": "status", "status": status} for status in (500, 502, 503, 504)),
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "truncate"},
    {"kind": "wrong_content_type"},
    {"kind": "not_json"},
    {"kind": "unknown_task_status"},
]


def named(fault):
    return str(fault.get("status") or fault["kind"])


def times(failures, fault, flavour):
    """How many calls must go wrong for so many failures: aiohttp repeats a GET that was reset once by itself."""
    return failures * (2 if flavour == "aiohttp" and fault["kind"].startswith("reset") else 1)


@pytest.fixture
def job(sync_hook, png):
    """A job that has ended."""
    job = sync_hook.submit(ENDPOINT, png)
    sync_hook.wait(ENDPOINT, job)
    return job


class TestSubmission:
    @pytest.mark.parametrize("status", [429, 503])
    def test_refused_is_repeated(self, sync_hook, emulator, png, status):
        emulator.add_faults([{"kind": "status", "status": status, "method": "POST", "path": ENDPOINT, "count": 2}])
        sync_hook.submit(ENDPOINT, png)
        calls = emulator.calls()
        assert (calls.count("POST", ENDPOINT), calls.accepted) == (3, 1)
        assert len(sync_hook.slept) == 2
        assert all(0.5 <= wait <= 2 for wait in sync_hook.slept)

    def test_refused_for_ever(self, hook, emulator, png):
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
        emulator.add_faults([{**fault, "method": "POST", "path": ENDPOINT}])
        with pytest.raises(AsposeOcrAmbiguousSubmissionError, match="may have accepted and billed") as caught:
            hook.submit(ENDPOINT, png)
        assert isinstance(caught.value, AirflowFailException)
        assert "resubmit_on_ambiguity=True" in str(caught.value)
        assert caught.value.endpoint == ENDPOINT
        calls = emulator.calls()
        assert (calls.count("POST", ENDPOINT), calls.accepted) == (1, accepted)

    def test_maybe_accepted_is_repeated_where_the_user_says_so(self, sync_hook, emulator, png):
        emulator.add_faults([{"kind": "reset_after", "method": "POST", "path": ENDPOINT}])
        job = sync_hook.submit(ENDPOINT, png, resubmit_on_ambiguity=True)
        assert emulator.calls().accepted_by_image == {sha256(png): 2}
        assert sync_hook.wait(ENDPOINT, job).text == TEXT

    @pytest.mark.parametrize("status", [400, 403, 404])
    def test_refused_for_good_is_not_repeated(self, hook, emulator, png, status):
        emulator.add_faults([{"kind": "status", "status": status, "path": ENDPOINT}])
        with pytest.raises(AsposeOcrRequestError):
            hook.submit(ENDPOINT, png, resubmit_on_ambiguity=True)
        assert emulator.calls().count("POST", ENDPOINT) == 1

    @pytest.mark.parametrize("kind", [{"kind": "status", "status": 500}, {"kind": "reset_before"}])
    def test_token_that_does_not_come_at_once(self, sync_hook, emulator, png, kind):
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
        def script(received):
            received.peer.recv(100_000)
            received.reset()

        raw_server(script)
        with pytest.raises(AsposeOcrServiceError, match="was not accepted and not billed") as caught:
            new_hook(retry_limit=0).submit(ENDPOINT, big_png)
        assert caught.value.certainly_not_accepted

    def test_broken_after_the_whole_document_was_read(self, hook, raw_server, big_png):
        def script(received):
            assert len(received.body()) > len(big_png)
            received.reset()

        server = raw_server(script)
        with pytest.raises(AsposeOcrAmbiguousSubmissionError, match="after the whole document was sent"):
            hook.submit(ENDPOINT, big_png)
        assert len(server.requests) == 1

    def test_no_answer_in_time(self, hook, raw_server, png):
        def script(received):
            received.body()
            received.peer.recv(1)  # until the client goes away

        server = raw_server(script, extra={"timeout": 0.15})
        with pytest.raises(AsposeOcrAmbiguousSubmissionError, match="did not answer in time"):
            hook.submit(ENDPOINT, png)
        assert len(server.requests) == 1

    @pytest.mark.parametrize("polite", [True, False])
    def test_401_in_mid_upload(self, sync_hook, raw_server, big_png, polite):
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


class TestAsking:
    @pytest.mark.parametrize("fault", TRANSIENT, ids=named)
    def test_is_repeated(self, hook, flavour, emulator, job, fault):
        emulator.add_faults([{**fault, "method": "GET", "count": times(2, fault, flavour)}])
        assert hook.get_task(ENDPOINT, job).text == TEXT
        assert len(hook.slept) == 2
        emulator.add_faults([{**fault, "method": "GET", "count": times(1, fault, flavour)}])
        assert hook.get_status(job).status is TaskStatus.COMPLETED
        assert len(hook.slept) == 3

    @pytest.mark.parametrize("fault", TRANSIENT, ids=named)
    def test_for_ever(self, hook, flavour, emulator, job, fault):
        emulator.add_faults([{**fault, "method": "GET", "count": None}])
        before = emulator.calls().total
        with pytest.raises((AsposeOcrServiceError, AsposeOcrProtocolError)) as caught:
            hook.get_task(ENDPOINT, job)
        assert emulator.calls().total - before == times(4, fault, flavour)
        assert not isinstance(caught.value, AirflowFailException)
        assert (caught.value.ocr_task_id, caught.value.endpoint) == (job, ENDPOINT)

    def test_cancel_is_repeated(self, hook, emulator, job):
        emulator.add_faults([{"kind": "status", "status": 500, "method": "DELETE"}, {"kind": "reset_before"}])
        hook.cancel(ENDPOINT, job)
        assert emulator.calls().count("DELETE", ENDPOINT) == 3

    def test_refusal_that_is_far_too_long_is_still_a_refusal(self, hook, raw_server):
        server = raw_server(lambda received: answer(404, b"<p>no</p>" * 100_000))
        with pytest.raises(AsposeOcrRequestError, match="HTTP 404"):
            hook.get_status(JOB)
        assert len(server.requests) == 1

    def test_refusal_that_breaks_off_is_still_a_refusal(self, hook, raw_server):
        server = raw_server(lambda received: answer(403, b"no", content_length="10", connection="close"))
        with pytest.raises(AsposeOcrRequestError, match="HTTP 403"):
            hook.get_status(JOB)
        assert len(server.requests) == 1


class Journal:
    """Notes what it is told."""

    def __init__(self):
        self.told = []

    def about_to_send(self):
        self.told.append("sends")

    def certainly_not_accepted(self):
        self.told.append("refused")


class TestJournal:
    """A POST is noted right before it goes out, and taken back where it certainly was not accepted."""

    @pytest.fixture
    def told(self, connection, png):
        """What a submission told the journal, and how it ended."""

        def submit(**kwargs):
            hook = AsposeOcrHook(connection, sleep=lambda seconds: None)
            journal = Journal()
            try:
                hook.send(hook.prepare(ENDPOINT, png), journal=journal, **kwargs)
            except (AsposeOcrError, AirflowTaskTimeout, KeyboardInterrupt) as error:
                return [*journal.told, type(error)]
            return journal.told

        return submit

    @pytest.fixture
    def adapted(self, connection):
        """Lets something see each submission before it goes out over the connection's session."""
        session = AsposeOcrHook(connection).get_conn()
        usual = session.get_adapter("http://")

        class SeesSubmissions(HTTPAdapter):
            def send(self, request, *args, **kwargs):
                if request.method == "POST" and ENDPOINT in request.url:
                    self.see(request)
                return super().send(request, *args, **kwargs)

        def adapt(see):
            adapter = SeesSubmissions()
            adapter.see = see
            session.mount("http://", adapter)

        yield adapt
        session.mount("http://", usual)

    def test_accepted(self, told):
        assert told() == ["sends"]

    @pytest.mark.parametrize(
        "fault",
        [{"kind": "status", "status": 503}, {"kind": "status", "status": 429}, {"kind": "expire_token"}],
        ids=named,
    )
    def test_refused_and_accepted(self, told, emulator, fault):
        emulator.add_faults([{**fault, "method": "POST", "path": ENDPOINT}])
        assert told() == ["sends", "refused", "sends"]

    @pytest.mark.parametrize("status", [400, 404, 302])
    def test_refused(self, told, emulator, status):
        emulator.add_faults([{"kind": "status", "status": status, "method": "POST", "path": ENDPOINT}])
        assert told() == ["sends", "refused", AsposeOcrRequestError]

    @pytest.mark.parametrize("fault", [{"kind": "reset_after"}, {"kind": "status", "status": 500}], ids=named)
    def test_maybe_accepted(self, told, emulator, fault):
        emulator.add_faults([{**fault, "method": "POST", "path": ENDPOINT}])
        assert told() == ["sends", AsposeOcrAmbiguousSubmissionError]
        emulator.add_faults([{**fault, "method": "POST", "path": ENDPOINT}])
        assert told(resubmit_on_ambiguity=True) == ["sends", "sends"]

    def test_no_token(self, told, emulator):
        emulator.add_faults([{"kind": "status", "status": 401, "path": "connect/token"}])
        assert told() == [AsposeOcrAuthError]

    def test_no_connection(self, define_connection, png):
        define_connection(host="http://127.0.0.1:9", login="a", password="b", extra='{"trial": true}')
        hook = AsposeOcrHook(sleep=lambda seconds: None, retry_limit=1)
        journal = Journal()
        with pytest.raises(AsposeOcrServiceError):
            hook.send(hook.prepare("RecognizeImageTrial", png), journal=journal)
        assert journal.told == ["sends", "refused"] * 2

    @pytest.mark.parametrize("interruption", [AirflowTaskTimeout, KeyboardInterrupt])
    @pytest.mark.parametrize(
        ("parts", "end"),
        [
            pytest.param(None, ["sends"], id="the whole body is out"),
            pytest.param(2, ["sends", "refused"], id="the prefix and the one chunk of the document are out"),
            pytest.param(3, ["sends"], id="the end is out"),
        ],
    )
    def test_interrupted(self, told, adapted, interruption, parts, end):
        """Airflow's `execution_timeout` cuts in anywhere."""

        def interrupted(request):
            for _ in itertools.islice(request.body, parts):
                pass
            raise interruption

        adapted(interrupted)
        assert told() == [*end, interruption]

    def test_interrupted_before_it_connects_after_one_that_was_refused(self, told, adapted, emulator):
        emulator.add_faults([{"kind": "status", "status": 503, "method": "POST", "path": ENDPOINT}])
        posts = 0

        def interrupted_at_the_second(request):
            nonlocal posts
            posts += 1
            if posts == 2:
                raise KeyboardInterrupt

        adapted(interrupted_at_the_second)
        assert told() == ["sends", "refused", "sends", "refused", KeyboardInterrupt]


class TestRefusedCredentials:
    """What was billed is said where it is known."""

    @pytest.mark.parametrize("path", ["connect/token", ENDPOINT])
    def test_of_a_submission(self, hook, emulator, png, path):
        emulator.add_faults([{"kind": "status", "status": 401, "path": path, "count": 2}])
        with pytest.raises(AsposeOcrAuthError, match=r"check login and password.*Nothing was accepted or billed"):
            hook.submit(ENDPOINT, png)

    def test_while_polling(self, hook, emulator, job):
        emulator.add_faults([{"kind": "status", "status": 401, "method": "GET", "count": 2}])
        with pytest.raises(AsposeOcrAuthError, match=rf"{job} is left in place.*by its id for 24 hours") as caught:
            hook.wait(ENDPOINT, job)
        assert "Nothing was accepted" not in str(caught.value)


class TestWaiting:
    @pytest.mark.parametrize("fault", TRANSIENT, ids=named)
    def test_survives_five_failures_in_a_row(self, hook, flavour, emulator, job, fault):
        emulator.add_faults([{**fault, "method": "GET", "count": times(5, fault, flavour)}])
        assert hook.wait(ENDPOINT, job).text == TEXT
        # The poll loop has waits of its own.
        assert hook.slept == []

    @pytest.mark.parametrize("fault", TRANSIENT, ids=named)
    def test_gives_up_after_the_sixth(self, hook, flavour, emulator, job, fault):
        emulator.add_faults([{**fault, "method": "GET", "count": times(6, fault, flavour)}])
        before = emulator.calls().total
        with pytest.raises(AsposeOcrServiceError, match="Polling gave up") as caught:
            hook.wait(ENDPOINT, job)
        assert emulator.calls().total - before == times(6, fault, flavour)
        assert "The job is left in place at the service; a retry goes on with it" in str(caught.value)
        assert caught.value.ocr_task_id == job
        assert not isinstance(caught.value, AirflowFailException)
        assert emulator.calls().count("DELETE", ENDPOINT) == 0

    def test_an_answer_in_between_starts_the_count_anew(self, new_hook, raw_server):
        replies = iter([*[answer(500)] * 5, task_answer("Pending"), *[answer(500)] * 5, task_answer("NotExist")])
        raw_server(lambda received: next(replies))
        with pytest.raises(AsposeOcrTaskNotFoundError):
            new_hook().wait(ENDPOINT, JOB)

    def test_the_text_is_in_no_log(self, hook, emulator, job, caplog, capsys):
        emulator.add_faults([{"kind": "status", "status": 500, "method": "GET"}])
        with caplog.at_level("DEBUG"):
            assert hook.wait(ENDPOINT, job).text == TEXT
        said = capsys.readouterr()
        assert TEXT not in caplog.text + said.out + said.err

    @pytest.mark.parametrize("status", [400, 403, 404, 405])
    def test_ends_at_once_where_it_is_refused(self, hook, emulator, job, status):
        emulator.add_faults([{"kind": "status", "status": status, "method": "GET"}])
        before = emulator.calls().total
        with pytest.raises(AsposeOcrRequestError, match=f"HTTP {status}") as caught:
            hook.wait(ENDPOINT, job)
        assert emulator.calls().total - before == 1
        assert isinstance(caught.value, AirflowFailException)

    def test_ends_where_a_fresh_token_is_refused(self, hook, emulator, job):
        emulator.add_faults([{"kind": "expire_token", "count": 2}])
        before = emulator.calls().total
        with pytest.raises(AsposeOcrAuthError) as caught:
            hook.wait(ENDPOINT, job)
        assert emulator.calls().total - before == 2
        assert caught.value.ocr_task_id == job

    def test_unknown_status_is_named(self, hook, emulator, job):
        emulator.add_faults([{"kind": "unknown_task_status", "task_status": "Suspended", "count": None}])
        with pytest.raises(AsposeOcrServiceError, match="'Suspended'"):
            hook.wait(ENDPOINT, job)

    def test_error_with_messages(self, hook, emulator, sync_hook, png):
        emulator.add_faults([{"kind": "error", "messages": ["The page is blank.", "Turn it over."], "method": "POST"}])
        job = sync_hook.submit(ENDPOINT, png)
        with pytest.raises(AsposeOcrTaskError, match=r"The page is blank.; Turn it over.") as caught:
            hook.wait(ENDPOINT, job)
        assert caught.value.messages == ("The page is blank.", "Turn it over.")
        assert caught.value.ocr_task_id == job

    def test_completed_with_warnings(self, hook, emulator, sync_hook, png):
        emulator.add_faults([{"kind": "warnings", "warnings": ["Low contrast."], "messages": ["Done."]}])
        task = hook.wait(ENDPOINT, sync_hook.submit(ENDPOINT, png))
        assert (task.status, task.text, task.notices) == (TaskStatus.COMPLETED, TEXT, ["Low contrast.", "Done."])

    def test_lost_job(self, hook, emulator, job):
        emulator.add_faults([{"kind": "not_exist", "method": "GET"}])
        with pytest.raises(AsposeOcrTaskNotFoundError):
            hook.wait(ENDPOINT, job)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"text"', b"{}", b'{"taskStatus": 1}', b"\xff\xfe", b"{" * 99])
def test_answers_that_are_none(new_hook, raw_server, body):
    raw_server(lambda received: answer(200, body))
    hook = new_hook(retry_limit=0)
    with pytest.raises(AsposeOcrProtocolError):
        hook.get_status(JOB)
    with pytest.raises(AsposeOcrError):
        hook.get_task(ENDPOINT, JOB)
