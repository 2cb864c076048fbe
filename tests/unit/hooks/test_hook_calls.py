"""Both hooks against the emulator: the calls, the token, the regions, the trial."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.api.results import rectangles
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAuthError,
    AsposeOcrError,
    AsposeOcrInputError,
    AsposeOcrRequestError,
    AsposeOcrTaskNotFoundError,
    AsposeOcrTimeoutError,
)
from airflow_provider_asposeocr.hooks.aspose_ocr import AsposeOcrHook
from tests.unit.either_hook import TEXT, sha256
from tests.unit.raw_server import (
    JOB,
    answer,
    nobody_listens,
    task_answer,
    token_answer,
)


def test_submit_wait_and_read(hook, emulator, png):
    """A document is submitted, waited for and read, for one token and one bill."""
    job = hook.submit("RecognizeImage", png, {"language": "English"})
    task = hook.wait("RecognizeImage", job)
    assert (task.id, task.status, task.text) == (job, TaskStatus.COMPLETED, TEXT)
    assert hook.get_task("RecognizeImage", job).text == TEXT
    state = hook.get_status("RecognizeImage", job)
    assert (state.status, state.results) == (TaskStatus.COMPLETED, ())
    calls = emulator.calls()
    assert calls.token_calls == 1
    assert calls.accepted_by_image == {sha256(png): 1}
    assert hook.slept == []


def test_what_was_set_is_what_is_sent(sync_hook, emulator, png):
    job = sync_hook.submit("recognizeimage", png, {"resultType": "TextAndHocr", "make_skew_correct": False})
    task = sync_hook.wait("RecognizeImage", job)
    assert [result.type for result in task.results] == ["Text", "Hocr"]


def test_cancelled_job_is_unknown(hook, emulator, png):
    job = hook.submit("RecognizeImage", png)
    assert hook.cancel("RecognizeImage", job) is None
    with pytest.raises(AsposeOcrTaskNotFoundError, match=f"does not know RecognizeImage job {job}"):
        hook.wait("RecognizeImage", job)
    assert emulator.calls().count("DELETE", "RecognizeImage") == 1


def test_unknown_job(hook):
    """An unknown job does not exist, and to wait for it is an error."""
    assert hook.get_status("RecognizeImage", JOB).status is TaskStatus.NOT_EXIST
    with pytest.raises(AsposeOcrTaskNotFoundError, match="older than 24 hours") as caught:
        hook.wait("RecognizeImage", JOB)
    assert (caught.value.ocr_task_id, caught.value.endpoint) == (JOB, "RecognizeImage")


@pytest.mark.parametrize("job", ["", "../../x", "a b", "x" * 65, "a197aade-bba9&id=2", None])
def test_what_is_no_job_id_is_not_sent(hook, emulator, job):
    for call in (
        lambda: hook.get_task("RecognizeImage", job),
        lambda: hook.get_status("RecognizeImage", job),
        lambda: hook.cancel("RecognizeImage", job),
    ):
        with pytest.raises(AsposeOcrInputError, match="is not a job id"):
            call()
    assert (emulator.calls().total, emulator.calls().token_calls) == (0, 0)


def test_unknown_endpoint(hook, emulator, png):
    """An unknown endpoint is refused with the list of the known ones."""
    with pytest.raises(AsposeOcrInputError, match=r"Unknown endpoint 'RecogniseImage'. Allowed: RecognizeImage"):
        hook.submit("RecogniseImage", png)
    assert emulator.calls().total == 0


def test_job_that_does_not_end_in_time(hook, raw_server):
    """To wait too long for a job is an error, and cancels nothing."""
    server = raw_server(lambda _: task_answer("Processing"))
    with pytest.raises(AsposeOcrTimeoutError, match="did not end in time") as caught:
        hook.wait("RecognizeImage", JOB, timeout=0.05)
    assert caught.value.ocr_task_id == JOB
    # Never cancelled by itself.
    assert {received.method for received in server.requests} == {"GET"}


def test_wait_asks_for_nothing_more_once_the_job_ended(hook, flavour, emulator, png):
    job = hook.submit("RecognizeImage", png)
    while hook.get_status("RecognizeImage", job).status is not TaskStatus.COMPLETED:
        pass
    polls = emulator.calls().count("GET", "Utilities/GetTaskStatus")
    hook.wait("RecognizeImage", job)
    calls = emulator.calls()
    # Synchronously the last poll brings the result; a trigger asks for the state only.
    assert calls.count("GET", "RecognizeImage") == 1
    assert calls.count("GET", "Utilities/GetTaskStatus") - polls == (0 if flavour == "requests" else 1)


def test_detected_regions_are_recognized(hook, emulator, png):
    job = hook.submit("DetectRegions", png)
    found = rectangles(hook.wait("DetectRegions", job))
    assert found
    assert all(len(rectangle) == 4 for rectangle in found)
    job = hook.submit("RecognizeRegions", png, regions=found)
    task = hook.wait("RecognizeRegions", job)
    assert len(task.results) == len(found)
    assert TEXT in (task.text or "")


def test_regions_in_an_order_of_their_own(hook, raw_server, png):
    """Regions are sent with the order they were given."""
    server = raw_server(lambda received: answer(200, JOB))
    hook.submit(
        "RecognizeRegions",
        png,
        regions=[{"rect": [0, 0, 5, 5], "order": 2}, {"rect": [5, 5, 9, 9], "order": 1}],
    )
    assert [b'"order": 2' in received.body() for received in server.requests] == [True]


class TestTrialConnection:
    @pytest.fixture
    def hook(self, emulator, define_connection, new_hook):
        define_connection(host=emulator.url, extra={"trial": True})
        return new_hook()

    def test_goes_to_the_trial_endpoint_without_a_token(self, hook, emulator, png):
        job = hook.submit("RecognizeImage", png)
        task = hook.wait("RecognizeImage", job)
        assert task.status is TaskStatus.COMPLETED
        assert hook.get_status("RecognizeImage", job).status is TaskStatus.COMPLETED
        hook.cancel("RecognizeImage", job)
        calls = emulator.calls()
        assert calls.token_calls == 0
        assert {name.split()[1] for name in calls.by_endpoint} == {"RecognizeImageTrial"}

    @pytest.mark.parametrize("endpoint", ["DetectRegions", "RecognizeRegions"])
    def test_others_have_none(self, hook, emulator, png, endpoint):
        """Endpoints without an evaluation endpoint are refused."""
        with pytest.raises(AsposeOcrInputError, match=f"{endpoint} has no evaluation endpoint"):
            hook.submit(endpoint, png, regions=[[0, 0, 5, 5]] if endpoint == "RecognizeRegions" else None)
        assert emulator.calls().total == 0

    def test_connection_sentence(self, hook, emulator):
        """The sentence says that the evaluation endpoint answers."""
        assert hook.test_connection() == (True, f"The evaluation endpoint at {emulator.url} answers.")

    def test_connection_sentence_where_nothing_listens(self, define_connection, new_hook):
        """The sentence says that nothing listens, without a repeat."""
        define_connection(host=nobody_listens(), extra={"trial": True})
        hook = new_hook()
        works, sentence = hook.test_connection()
        assert not works
        assert "refused the connection" in sentence
        # A user waits for the sentence.
        assert hook.slept == []


def test_trial_endpoint_can_be_named_with_any_connection(hook, emulator, png):
    job = hook.submit("RecognizeImageTrial", png)
    assert hook.wait("RecognizeImageTrial", job).status is TaskStatus.COMPLETED
    assert hook.get_status("RecognizeImageTrial", job).status is TaskStatus.COMPLETED
    assert emulator.calls().token_calls == 0


class TestToken:
    def test_is_kept_for_all_hooks_of_the_process(self, connection, new_hook, emulator):
        """One token serves all hooks of the process."""
        for _ in range(3):
            new_hook(connection).get_status("RecognizeImage", JOB)
        AsposeOcrHook(connection).get_status("RecognizeImage", JOB)
        assert emulator.calls().token_calls == 1

    def test_expired_on_the_way_is_refreshed_once(self, hook, emulator, png):
        """A token that expired on the way is refreshed once."""
        job = hook.submit("RecognizeImage", png)
        emulator.add_faults([{"kind": "expire_token", "method": "GET"}])
        assert hook.wait("RecognizeImage", job).text == TEXT
        assert emulator.calls().token_calls == 2
        assert hook.slept == []

    def test_expired_at_the_submission_is_refreshed_and_nothing_doubled(self, hook, emulator, png):
        """A token that expired at the submission is refreshed, and the document is accepted once."""
        hook.get_status("RecognizeImage", JOB)
        emulator.add_faults([{"kind": "expire_token", "method": "POST"}])
        hook.submit("RecognizeImage", png)
        calls = emulator.calls()
        assert (calls.token_calls, calls.accepted, calls.count("POST", "RecognizeImage")) == (2, 1, 2)

    def test_refused_even_when_fresh(self, hook, emulator, png):
        """A fresh token that is refused is an error of the credentials."""
        emulator.add_faults([{"kind": "expire_token", "count": None}])
        for call in (lambda: hook.get_status("RecognizeImage", JOB), lambda: hook.submit("RecognizeImage", png)):
            with pytest.raises(AsposeOcrAuthError, match="HTTP 401") as caught:
                call()
            assert isinstance(caught.value, AirflowFailException)
        assert emulator.calls().accepted == 0
        assert hook.slept == []

    def test_short_lived_token_is_renewed_in_time(self, new_hook, raw_server):
        now_and_then = iter([token_answer("first", expires_in=0.1), token_answer("second")])

        def script(received):
            return next(now_and_then) if "token" in received.target else task_answer("Pending")

        server = raw_server(script, tokens=False)
        hook = new_hook()
        hook.get_status("RecognizeImage", JOB)
        while [received.headers.get("authorization") for received in server.requests][-1] != "Bearer second":
            hook.get_status("RecognizeImage", JOB)
        assert sum("token" in received.target for received in server.requests) == 2

    @pytest.mark.parametrize(
        ("reply", "says"),
        [
            (answer(200, "<html>"), "holds no access token"),
            (answer(200, {"access_token": ""}), "holds no access token"),
            (answer(200, {"token": "x"}), "holds no access token"),
            (answer(404, "no such page"), "HTTP 404"),
            (answer(302, "", location="https://login.example.com/?state=1"), "redirects to"),
        ],
    )
    def test_endpoint_that_gives_none(self, new_hook, raw_server, reply, says):
        """A token endpoint that gives no token is named in the error."""
        raw_server(lambda _: reply, tokens=False)
        with pytest.raises(AsposeOcrError, match=says):
            new_hook(retry_limit=0).get_status("RecognizeImage", JOB)

    @pytest.mark.parametrize("status", [400, 401, 403])
    def test_endpoint_that_refuses(self, new_hook, raw_server, status):
        """A token endpoint that refuses is asked once."""
        server = raw_server(lambda _: answer(status, {"error": "invalid_client"}), tokens=False)
        with pytest.raises(AsposeOcrAuthError, match="invalid_client"):
            new_hook().get_status("RecognizeImage", JOB)
        assert len(server.requests) == 1

    def test_request_is_the_documented_one(self, new_hook, raw_server):
        server = raw_server(
            lambda received: token_answer() if "token" in received.target else task_answer(), tokens=False
        )
        new_hook().get_status("RecognizeImage", JOB)
        token, status = server.requests
        assert (token.method, token.target) == ("POST", "/connect/token")
        assert token.headers["content-type"] == "application/x-www-form-urlencoded"
        assert "authorization" not in token.headers
        assert token.body() == (
            b"grant_type=client_credentials&client_id=test-client&client_secret=correct+horse+battery+staple"
        )
        assert (status.method, status.target) == ("GET", f"/v5.0/ocr/Utilities/GetTaskStatus?id={JOB}")
        assert status.headers["authorization"] == "Bearer a-token"


@pytest.mark.parametrize("status", [400, 403, 404, 405, 415])
def test_permanent_refusal_of_a_call(hook, flavour, emulator, png, status):
    """A permanent refusal ends a call at once, and its reason is told; a state is asked for on the job's path too."""
    for call in (
        lambda: hook.submit("RecognizeImage", png),
        lambda: hook.get_task("RecognizeImage", JOB),
        lambda: hook.cancel("RecognizeImage", JOB),
        lambda: hook.wait("RecognizeImage", JOB),
    ):
        emulator.clear_faults()
        fault = {"kind": "status", "status": status, "body": "not like this"}
        emulator.add_faults([{**fault, "path": "RecognizeImage"}, {**fault, "path": "Utilities/*"}])
        with pytest.raises(AsposeOcrRequestError, match=f"HTTP {status}: not like this") as caught:
            call()
        assert caught.value.status == status
        assert isinstance(caught.value, AirflowFailException)
    assert hook.slept == []
    assert emulator.calls().total == (5 if (flavour, status) == ("aiohttp", 404) else 4)


def test_errors_name_what_they_are_about(hook, emulator, tmp_path, png):
    image = tmp_path / "scan.png"
    image.write_bytes(png)
    emulator.add_faults([{"kind": "status", "status": 403, "path": "RecognizeImage"}])
    with pytest.raises(AsposeOcrRequestError) as caught:
        hook.submit("RecognizeImage", str(image))
    assert (caught.value.image, caught.value.endpoint) == (str(image), "RecognizeImage")
    emulator.add_faults([{"kind": "status", "status": 403, "path": "RecognizeImage"}])
    with pytest.raises(AsposeOcrRequestError) as caught:
        hook.get_task("RecognizeImage", JOB)
    assert (caught.value.ocr_task_id, caught.value.endpoint) == (JOB, "RecognizeImage")
    assert JOB in str(caught.value)
