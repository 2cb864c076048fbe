"""What is said of a job that did not end well: each verdict has its error, which says what becomes of the bill."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.api.job_failures import JobFailure
from airflow_provider_asposeocr.api.polling import PollOutcome, PollVerdict
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAuthError,
    AsposeOcrRateLimitError,
    AsposeOcrRequestError,
    AsposeOcrServiceError,
    AsposeOcrTaskError,
    AsposeOcrTaskNotFoundError,
    AsposeOcrTimeoutError,
)
from tests.unit.api.exchanges import JOB

PENDING = OcrTask(JOB, TaskStatus.PENDING)


def error_of(outcome, **more):
    about = {"endpoint": "DetectRegions", "ocr_task_id": JOB, "image": "s3://scans/page.png"}
    return JobFailure.of(outcome).as_error(**about, **more)


def error_for(*facts, submits=True, **more_facts):
    return JobFailure(*facts, **more_facts).as_error(endpoint="DetectRegions", ocr_task_id=JOB, submits=submits)


@pytest.mark.parametrize(
    ("outcome", "kind", "is_permanent", "words"),
    [
        (
            PollOutcome(PollVerdict.ERROR, task=OcrTask(JOB, TaskStatus.ERROR, messages=("too dark", "too small"))),
            AsposeOcrTaskError,
            False,
            ["too dark; too small", "A retry submits the document again, which is billed again"],
        ),
        (
            PollOutcome(PollVerdict.ERROR, task=OcrTask(JOB, TaskStatus.ERROR)),
            AsposeOcrTaskError,
            False,
            ["gave no reason"],
        ),
        (
            PollOutcome(PollVerdict.NOT_EXIST, task=OcrTask(JOB, TaskStatus.NOT_EXIST)),
            AsposeOcrTaskNotFoundError,
            False,
            ["older than 24 hours", "A retry submits the document again, which is billed again"],
        ),
        (
            PollOutcome(PollVerdict.TIMED_OUT, task=PENDING),
            AsposeOcrTimeoutError,
            False,
            ["did not end in time. It was cancelled."],
        ),
        (
            PollOutcome(PollVerdict.TIMED_OUT, error=AsposeOcrServiceError("HTTP 503.")),
            AsposeOcrTimeoutError,
            False,
            ["The last poll said: HTTP 503. It was cancelled."],
        ),
        (
            PollOutcome(PollVerdict.GAVE_UP, error=AsposeOcrServiceError("HTTP 503.", retry_after=7)),
            AsposeOcrServiceError,
            False,
            ["too many failures in a row", "HTTP 503.", "left in place", "goes on with it and is not billed again"],
        ),
        (
            PollOutcome(PollVerdict.REFUSED, error=AsposeOcrRequestError("HTTP 403.")),
            AsposeOcrRequestError,
            True,
            ["HTTP 403."],
        ),
        (
            PollOutcome(PollVerdict.REFUSED, error=AsposeOcrAuthError("No such client.")),
            AsposeOcrAuthError,
            True,
            ["No such client.", "left in place", "fetched by its id for 24 hours", "submits the document again"],
        ),
    ],
)
def test_class_permanence_and_words(outcome, kind, is_permanent, words):
    """Each verdict has its error, which names the job and says what becomes of it and of the bill."""
    error = error_of(outcome, aftermath="It was cancelled.")
    assert type(error) is kind
    assert isinstance(error, AirflowException)
    assert isinstance(error, AirflowFailException) == is_permanent
    for word in [*words, JOB, "s3://scans/page.png", "DetectRegions"]:
        assert word in str(error)
    assert (error.ocr_task_id, error.image, error.endpoint) == (JOB, "s3://scans/page.png", "DetectRegions")


@pytest.mark.parametrize("verdict", [PollVerdict.ERROR, PollVerdict.NOT_EXIST])
def test_who_submits_nothing_promises_no_submission(verdict):
    """A sensor's error says which task is to be cleared."""
    error = error_for(verdict, submits=False)
    assert "A retry submits nothing" in str(error)
    assert "clear the task that submitted the document" in str(error)
    assert not error.resubmits


def test_messages_of_the_service_stay_apart():
    task = OcrTask(JOB, TaskStatus.ERROR, messages=("too dark", "too small"))
    assert error_of(PollOutcome(PollVerdict.ERROR, task=task)).messages == ("too dark", "too small")


def test_a_notice_of_a_waiting_job_is_no_failed_poll():
    task = OcrTask(JOB, TaskStatus.PROCESSING, messages=("The queue is long",))
    error = error_of(PollOutcome(PollVerdict.TIMED_OUT, task=task))
    assert "poll failed" not in str(error)


@pytest.mark.parametrize("seconds", [None, 30])
def test_giving_up_passes_on_what_the_service_asked(seconds):
    outcome = PollOutcome(PollVerdict.GAVE_UP, error=AsposeOcrRateLimitError("busy", retry_after=seconds))
    assert error_of(outcome).retry_after == seconds


def test_giving_up_without_the_error_at_hand():
    """What a trigger's event brings to the worker: words and a number."""
    error = error_for(PollVerdict.GAVE_UP, "busy", retry_after=5)
    assert (type(error), error.retry_after) == (AsposeOcrServiceError, 5)


def test_refusal_without_the_error_at_hand_is_permanent():
    error = error_for(PollVerdict.REFUSED, "HTTP 403")
    assert isinstance(error, AirflowFailException)
    assert "HTTP 403" in str(error)
    assert "24 hours" in str(error)


@pytest.mark.parametrize("verdict", [verdict for verdict in PollVerdict if verdict is not PollVerdict.COMPLETED])
def test_every_verdict_names_the_job(verdict):
    error = error_for(verdict)
    assert JOB in str(error)
    assert "  " not in str(error)
    assert ".." not in str(error)
