"""The retry policy for DAG authors, and what the same DAG does where Airflow knows none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAmbiguousSubmissionError,
    AsposeOcrAuthError,
    AsposeOcrCancelledError,
    AsposeOcrDeliveryError,
    AsposeOcrError,
    AsposeOcrInputError,
    AsposeOcrProtocolError,
    AsposeOcrRateLimitError,
    AsposeOcrRequestError,
    AsposeOcrServiceError,
    AsposeOcrTaskError,
    AsposeOcrTaskNotFoundError,
    AsposeOcrTimeoutError,
)
from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeImageOperator
from airflow_provider_asposeocr.retry_policy import AsposeOcrRetryPolicy

only_3_3 = pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="retry policies came with Airflow 3.3")


def decide(error: BaseException, try_number: int = 1, **kwargs: Any) -> tuple[str, float | None]:
    decision = AsposeOcrRetryPolicy(**kwargs).evaluate(error, try_number, 5)
    return decision.action.value, decision.retry_delay.total_seconds() if decision.retry_delay is not None else None


@only_3_3
@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (AsposeOcrServiceError("x"), ("retry", 30)),
        (AsposeOcrProtocolError("x"), ("retry", 30)),
        (AsposeOcrTimeoutError("x"), ("retry", 30)),
        (AsposeOcrServiceError("x", retry_after=5), ("retry", 30)),
        (AsposeOcrRateLimitError("x", retry_after=3600), ("retry", 3600)),
        (AsposeOcrTaskNotFoundError("x"), ("retry", 0)),
        (AsposeOcrTaskNotFoundError("of a sensor", resubmits=False), ("fail", None)),
        (AsposeOcrTaskError("x"), ("fail", None)),
        (AsposeOcrDeliveryError("x"), ("retry", 30)),
        (AsposeOcrError("x"), ("default", None)),
        (ValueError("of somebody else"), ("default", None)),
    ],
)
def test_decisions(error: BaseException, decision: tuple[str, float | None]) -> None:
    """Each error is retried, failed or left to Airflow, after its wait."""
    assert decide(error) == decision


@only_3_3
@pytest.mark.parametrize("try_number", [1, 2, 5, 50])
def test_waits_grow_and_are_bounded(try_number: int) -> None:
    _, waited = decide(AsposeOcrServiceError("x"), try_number)
    assert waited == min(30 * 2 ** (try_number - 1), 600)


@only_3_3
def test_failed_jobs_are_submitted_again_where_the_user_wants_it() -> None:
    assert decide(AsposeOcrTaskError("x"), resubmit_failed_jobs=True) == ("retry", 30)
    assert decide(AsposeOcrTaskError("of a sensor", resubmits=False), resubmit_failed_jobs=True) == ("fail", None)
    task = AsposeOcrRecognizeImageOperator(task_id="t", image="x.png", resubmit_failed_jobs=True)
    decision = AsposeOcrRetryPolicy().evaluate(AsposeOcrTaskError("x"), 1, 5, {"task": task})
    assert decision.action.value == "retry"


@pytest.mark.parametrize(
    "error",
    [
        AsposeOcrInputError,
        AsposeOcrAuthError,
        AsposeOcrRequestError,
        AsposeOcrAmbiguousSubmissionError,
        AsposeOcrCancelledError,
    ],
)
def test_permanent_errors_fail_on_every_airflow(error: type[AsposeOcrError]) -> None:
    assert issubclass(error, AirflowFailException)
    if AIRFLOW_V_3_3_PLUS:
        assert decide(error("x")) == ("fail", None)


def test_serialize() -> None:
    """A policy is read back as it was serialized."""
    policy = AsposeOcrRetryPolicy(delay=timedelta(seconds=5), resubmit_failed_jobs=True)
    again = AsposeOcrRetryPolicy.deserialize(policy.serialize())
    assert (again.delay, again.max_delay, again.resubmit_failed_jobs) == (policy.delay, policy.max_delay, True)


def test_the_same_task_is_accepted_by_every_airflow() -> None:
    policy = AsposeOcrRetryPolicy()
    operator = AsposeOcrRecognizeImageOperator(task_id="t", image="x.png", retry_policy=policy)
    assert getattr(operator, "retry_policy", policy) is policy
