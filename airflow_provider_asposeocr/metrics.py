"""
The metrics of this provider, through Airflow's own stats: whatever that is set up for (StatsD, OpenTelemetry) has them.

What each of them means, and what to alert on, stands in ``docs/metrics.md``. No call here raises: nothing that is paid
for fails for what is only to be looked at.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow_provider_asposeocr.exceptions import AsposeOcrCancelledError, AsposeOcrError, AsposeOcrInterruptedError

try:
    from airflow.sdk.observability.stats import Stats
except ImportError:  # Airflow 2.11
    from airflow.stats import Stats

log = logging.getLogger(__name__)

SUBMISSIONS = "aspose_ocr.submissions"
CALLS = "aspose_ocr.calls"
JOB_SECONDS = "aspose_ocr.job_seconds"
FAILURES = "aspose_ocr.failures"
BATCH = "aspose_ocr.batch"
"""What the names of the gauges of a batch begin with."""
BATCH_GAUGES = ("completed", "skipped", "failed", "running", "submissions", "calls")


def submitted(endpoint: str) -> None:
    """
    Count a submission that was accepted, or may have been.

    :param endpoint: where to.
    """
    _tell("incr", SUBMISSIONS, tags={"endpoint": endpoint})


def called(endpoint: str) -> None:
    """
    Count a call, however it ends.

    :param endpoint: of the job that it is about.
    """
    _tell("incr", CALLS, tags={"endpoint": endpoint})


def completed(endpoint: str, seconds: float) -> None:
    """
    Tell how long a job took.

    :param endpoint: where it was submitted.
    :param seconds: from its submission until it was known to be completed.
    """
    # Whatever unit the backend has its timers in, it knows that of a timedelta.
    _tell("timing", JOB_SECONDS, timedelta(seconds=seconds), tags={"endpoint": endpoint})


def failed(error: AsposeOcrError, endpoint: str) -> None:
    """
    Count a document that a try ends without a result; an error that passes several hands, once.

    :param error: why.
    :param endpoint: where it was, or was to be, submitted.
    """
    if error.is_counted or isinstance(error, AsposeOcrCancelledError | AsposeOcrInterruptedError):
        # Who ends a task has not failed.
        return
    error.is_counted = True
    _tell("incr", FAILURES, tags={"endpoint": error.endpoint or endpoint, "error": type(error).__name__})


def batch_progress(facts: Mapping[str, Any], tags: Mapping[str, str]) -> None:
    """
    Show how far a batch is.

    :param facts: by the names of ``BATCH_GAUGES``.
    :param tags: whose it is.
    """
    for name in BATCH_GAUGES:
        _tell("gauge", f"{BATCH}.{name}", facts[name], tags=dict(tags))


def _tell(method: str, *args: Any, tags: dict[str, str]) -> None:
    try:
        getattr(Stats, method)(*args, tags=tags)
    except Exception as error:  # noqa: BLE001 - of whatever backend: a task does not fail for it
        log.debug("The metric %s could not be told: %s: %s", args[0], type(error).__name__, error)
