"""What is repeated of all calls but submissions, how often and after how long."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAuthError,
    AsposeOcrError,
    AsposeOcrProtocolError,
    AsposeOcrRequestError,
    AsposeOcrServiceError,
    AsposeOcrTaskError,
    AsposeOcrTaskNotFoundError,
)
from tests.unit.either_hook import TEXT
from tests.unit.hooks.faults import ENDPOINT, TRANSIENT, named, times
from tests.unit.raw_server import (
    JOB,
    answer,
    task_answer,
)


class TestAsking:
    @pytest.mark.parametrize("fault", TRANSIENT, ids=named)
    def test_is_repeated(self, hook, flavour, emulator, job, fault):
        """A question that failed for now is repeated."""
        emulator.add_faults([{**fault, "method": "GET", "count": times(2, fault, flavour)}])
        assert hook.get_task(ENDPOINT, job).text == TEXT
        assert len(hook.slept) == 2
        emulator.add_faults([{**fault, "method": "GET", "count": times(1, fault, flavour)}])
        assert hook.get_status("RecognizeImage", job).status is TaskStatus.COMPLETED
        assert len(hook.slept) == 3

    @pytest.mark.parametrize("fault", TRANSIENT, ids=named)
    def test_for_ever(self, hook, flavour, emulator, job, fault):
        """A question that fails for ever ends in an error that a retry may mend."""
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
        server = raw_server(lambda received: answer(400, b"<p>no</p>" * 100_000))
        with pytest.raises(AsposeOcrRequestError, match="HTTP 400"):
            hook.get_status("RecognizeImage", JOB)
        assert len(server.requests) == 1

    def test_refusal_that_breaks_off_is_still_a_refusal(self, hook, raw_server):
        server = raw_server(lambda received: answer(403, b"no", content_length="10", connection="close"))
        with pytest.raises(AsposeOcrRequestError, match="HTTP 403"):
            hook.get_status("RecognizeImage", JOB)
        assert len(server.requests) == 1


class TestRefusedCredentials:
    """What was billed is said where it is known."""

    @pytest.mark.parametrize("path", ["connect/token", ENDPOINT])
    def test_of_a_submission(self, hook, emulator, png, path):
        """Of a submission, nothing was accepted or billed."""
        emulator.add_faults([{"kind": "status", "status": 401, "path": path, "count": 2}])
        with pytest.raises(AsposeOcrAuthError, match=r"check login and password.*Nothing was accepted or billed"):
            hook.submit(ENDPOINT, png)

    def test_while_polling(self, hook, emulator, job):
        """While polling, the job is left in place."""
        emulator.add_faults([{"kind": "status", "status": 401, "method": "GET", "count": 2}])
        with pytest.raises(AsposeOcrAuthError, match=rf"{job} is left in place.*by its id for 24 hours") as caught:
            hook.wait(ENDPOINT, job)
        assert "Nothing was accepted" not in str(caught.value)


class TestWaiting:
    @pytest.mark.parametrize("fault", TRANSIENT, ids=named)
    def test_survives_five_failures_in_a_row(self, hook, flavour, emulator, job, fault):
        """A wait survives five failures in a row."""
        emulator.add_faults([{**fault, "method": "GET", "count": times(5, fault, flavour)}])
        assert hook.wait(ENDPOINT, job).text == TEXT
        # The poll loop has waits of its own.
        assert hook.slept == []

    @pytest.mark.parametrize("fault", TRANSIENT, ids=named)
    def test_gives_up_after_the_sixth(self, hook, flavour, emulator, job, fault):
        """A wait gives up after the sixth failure in a row, and leaves the job in place."""
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
    def test_ends_at_once_where_it_is_refused(self, hook, flavour, emulator, job, status):
        """A wait ends at once where a poll is refused; where it asks for the state alone, on the job's path too."""
        emulator.add_faults([{"kind": "status", "status": status, "method": "GET", "count": None}])
        before = emulator.calls().total
        with pytest.raises(AsposeOcrRequestError, match=f"HTTP {status}") as caught:
            hook.wait(ENDPOINT, job)
        assert emulator.calls().total - before == (2 if (flavour, status) == ("aiohttp", 404) else 1)
        assert isinstance(caught.value, AirflowFailException)

    def test_ends_where_a_fresh_token_is_refused(self, hook, emulator, job):
        """A wait ends where a fresh token is refused."""
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
        """A job that ended as an error tells the messages of the service."""
        emulator.add_faults([{"kind": "error", "messages": ["The page is blank.", "Turn it over."], "method": "POST"}])
        job = sync_hook.submit(ENDPOINT, png)
        with pytest.raises(AsposeOcrTaskError, match=r"The page is blank.; Turn it over.") as caught:
            hook.wait(ENDPOINT, job)
        assert caught.value.messages == ("The page is blank.", "Turn it over.")
        assert caught.value.ocr_task_id == job

    def test_completed_with_warnings(self, hook, emulator, sync_hook, png):
        """A job that completed with warnings is completed, and tells them."""
        emulator.add_faults([{"kind": "warnings", "warnings": ["Low contrast."], "messages": ["Done."]}])
        task = hook.wait(ENDPOINT, sync_hook.submit(ENDPOINT, png))
        assert (task.status, task.text, task.notices) == (TaskStatus.COMPLETED, TEXT, ["Low contrast.", "Done."])

    def test_lost_job(self, hook, emulator, job):
        """A job that the service has lost is not found."""
        emulator.add_faults([{"kind": "not_exist", "method": "GET"}])
        with pytest.raises(AsposeOcrTaskNotFoundError):
            hook.wait(ENDPOINT, job)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"text"', b"{}", b'{"taskStatus": 1}', b"\xff\xfe", b"{" * 99])
def test_answers_that_are_none(new_hook, raw_server, body):
    """What is no answer is one of our errors."""
    raw_server(lambda received: answer(200, body))
    hook = new_hook(retry_limit=0)
    with pytest.raises(AsposeOcrProtocolError):
        hook.get_status("RecognizeImage", JOB)
    with pytest.raises(AsposeOcrError):
        hook.get_task(ENDPOINT, JOB)
