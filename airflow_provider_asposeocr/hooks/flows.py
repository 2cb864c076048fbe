"""
What the hooks can do with a job, as conversations: which steps there are, and not how a step is taken.

Each function here is a method of both hooks: the synchronous one runs it over ``requests``, the asynchronous one over
``aiohttp``. Who knows one hook knows the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from airflow_provider_asposeocr import metrics
from airflow_provider_asposeocr.api.answers import TaskStatus
from airflow_provider_asposeocr.api.checks import checked_ocr_task_id, endpoint_named
from airflow_provider_asposeocr.api.conversations import (
    ConnectionWanted,
    Flow,
    Pause,
    SubmissionJournal,
    conversation,
    repeated,
)
from airflow_provider_asposeocr.api.endpoints import Endpoint
from airflow_provider_asposeocr.api.exchanges import Call
from airflow_provider_asposeocr.api.job_failures import JobFailure
from airflow_provider_asposeocr.api.polling import Poller, PollOutcome, PollSchedule, PollVerdict, is_transient
from airflow_provider_asposeocr.api.results import OcrTask
from airflow_provider_asposeocr.api.retrying import retry_policy
from airflow_provider_asposeocr.api.waiting import time_limit
from airflow_provider_asposeocr.connection import ServiceConnection
from airflow_provider_asposeocr.events import Event, warned
from airflow_provider_asposeocr.exceptions import AsposeOcrError, AsposeOcrProtocolError, AsposeOcrRequestError
from airflow_provider_asposeocr.hooks.connecting import ConnectedHook
from airflow_provider_asposeocr.storage.result_files import result_file

T = TypeVar("T")

LAST_POLL = 10.0
"""Seconds that a poll at the deadline may take."""
LONGEST_FETCH = 600.0
"""Seconds within which the result of a job that is known to be completed must be fetched."""
LONGEST_CANCEL_CALL = 120.0
"""Seconds within which a job must be cancelled, repeats included."""
_without_status_path: set[ServiceConnection] = set()
"""The services that were found to know jobs, but not the path for their states alone."""


def get_task(
    hook: ConnectedHook,
    endpoint: str | Endpoint,
    ocr_task_id: str,
    *,
    retry_limit: int | None = None,
    deadline: float | None = None,
) -> Flow[OcrTask]:
    """
    Ask for a job, with its results once it is completed.

    Source: "Fetching image regions", docs.aspose.cloud/ocr/fetch-regions/, and the like pages of the other endpoints.

    :param endpoint: where it was submitted.
    :param ocr_task_id: its id.
    :param retry_limit: instead of the hook's; a poll loop, which counts failures itself, passes 0.
    :param deadline: until when the whole answer must have come, in seconds since the epoch; ``None`` for ever.
    :raises AsposeOcrError: where no answer came.
    """
    yield from _looked_up(endpoint, ocr_task_id)
    row = hook.row(endpoint)
    call = hook.service().api_root.task(row, checked_ocr_task_id(ocr_task_id), result_file).by(deadline)
    return (yield from said(hook, call, retry_limit))


def get_status(
    hook: ConnectedHook,
    endpoint: str | Endpoint,
    ocr_task_id: str,
    *,
    retry_limit: int | None = None,
    deadline: float | None = None,
) -> Flow[OcrTask]:
    """
    Ask for a job's state, without its results. Source: the vendor's API reference, ``Utilities/GetTaskStatus``.

    A gateway may not know that path: then the job is asked for on its own, and so are all later ones of this process.

    :param endpoint: where it was submitted; trial jobs answer on their own path only.
    :param ocr_task_id: its id.
    :param retry_limit: instead of the hook's; a poll loop, which counts failures itself, passes 0.
    :param deadline: until when the whole answer must have come, in seconds since the epoch; ``None`` for ever.
    :raises AsposeOcrError: where no answer came.
    """
    yield from _looked_up(endpoint, ocr_task_id)
    row = hook.row(endpoint)
    service = hook.service()
    if service not in _without_status_path:
        call = service.api_root.status(row, checked_ocr_task_id(ocr_task_id)).by(deadline)
        try:
            return (yield from said(hook, call, retry_limit))
        except AsposeOcrRequestError as error:
            if error.status != 404 or row.status_path == row.name:
                raise
    call = service.api_root.status(row, checked_ocr_task_id(ocr_task_id), own_path=True).by(deadline)
    task = yield from said(hook, call, retry_limit)
    if task.status is not TaskStatus.NOT_EXIST and service not in _without_status_path:
        # Only now: a service may answer 404 for a job that it does not know.
        _without_status_path.add(service)
        sentence = "%s has no %s: jobs are asked for on their own path."
        warned(hook.log, Event.SERVICE_WITHOUT_STATUS, sentence, service.host, row.status_path, host=service.host)
    return task


def cancel(
    hook: ConnectedHook, endpoint: str | Endpoint, ocr_task_id: str, *, deadline: float | None = None
) -> Flow[None]:
    """
    Cancel a job.

    :param endpoint: where it was submitted.
    :param ocr_task_id: its id.
    :param deadline: until when, in seconds since the epoch; by default in two minutes.
    :raises AsposeOcrError: where the service did not confirm it.
    """
    yield from _looked_up(endpoint, ocr_task_id)
    row = hook.row(endpoint)
    by = time.time() + LONGEST_CANCEL_CALL if deadline is None else deadline
    call = hook.service().api_root.cancel(row, checked_ocr_task_id(ocr_task_id)).by(by)
    return (yield from said(hook, call))


def cancel_unless_ended(
    hook: ConnectedHook, endpoint: str | Endpoint, ocr_task_id: str, *, deadline: float | None = None
) -> Flow[bool]:
    """
    Cancel a job, and say whether that was to be done: one that has ended is left, as its result is paid for.

    :param endpoint: where it was submitted.
    :param ocr_task_id: its id.
    :param deadline: until when both must be done, in seconds since the epoch; by default in two minutes each.
    :raises AsposeOcrError: where its state could not be asked, and it is not cancelled, or the service did not confirm.
    """
    asked_by = time.time() + LONGEST_CANCEL_CALL if deadline is None else deadline
    task = yield from get_status(hook, endpoint, ocr_task_id, deadline=asked_by)
    if task.status in (TaskStatus.COMPLETED, TaskStatus.ERROR):
        return False
    yield from cancel(hook, endpoint, ocr_task_id, deadline=deadline)
    return True


def wait(
    hook: ConnectedHook,
    endpoint: str | Endpoint,
    ocr_task_id: str,
    *,
    schedule: PollSchedule | None = None,
    timeout: float | None = 3600.0,
) -> Flow[OcrTask]:
    """
    Wait for a job and return it with its results.

    :param endpoint: where it was submitted.
    :param ocr_task_id: its id.
    :param schedule: when to ask; by default first after 2 s, then a quarter longer each time, at most every 10 s.
    :param timeout: seconds to wait at most; ``None`` for ever.
    :raises AsposeOcrTaskError: the job ended as ``Error``.
    :raises AsposeOcrTaskNotFoundError: the service does not know the job.
    :raises AsposeOcrTimeoutError: it did not end in time; it goes on at the service.
    """
    started_at, limit = time.time(), time_limit(timeout)
    poller = Poller(schedule or PollSchedule(), started_at, None if limit is None else started_at + limit)
    outcome = yield from follow(hook, endpoint, ocr_task_id, poller, poller.first(started_at))
    if outcome.verdict is PollVerdict.COMPLETED and outcome.task is not None:
        if hook.polls_bring_results:
            return outcome.task
        return (yield from get_task(hook, endpoint, ocr_task_id, deadline=time.time() + LONGEST_FETCH))
    name = endpoint_named(endpoint).name
    error = JobFailure.of(outcome).as_error(endpoint=name, ocr_task_id=ocr_task_id)
    metrics.failed(error, name)
    raise error


def text_of(hook: ConnectedHook, endpoint: str | Endpoint, ocr_task_id: str, timeout: float | None) -> Flow[str]:
    """
    Wait for a job and return its text; a blank page has an empty one.

    :param endpoint: where it was submitted.
    :param ocr_task_id: its id.
    :param timeout: seconds to wait at most; ``None`` for ever.
    :raises AsposeOcrError: as :func:`wait`; and where the job, which is billed, brought no text, or none of UTF-8.
    """
    task = yield from wait(hook, endpoint, ocr_task_id, timeout=timeout)
    try:
        text = task.text
    except AsposeOcrError as error:
        error.about(endpoint=endpoint_named(endpoint).name, ocr_task_id=ocr_task_id)
        raise
    if text is None:
        raise AsposeOcrProtocolError(
            "The job ended as Completed and is billed, but brought no text. It can be asked for again by its id for 24 "
            "hours.",
            endpoint=endpoint_named(endpoint).name,
            ocr_task_id=ocr_task_id,
        )
    return text


def follow(
    hook: ConnectedHook,
    endpoint: str | Endpoint,
    ocr_task_id: str,
    poller: Poller,
    outcome: PollOutcome,
    *,
    until: float | None = None,
    sleep: Callable[[float], Any] | None = None,
) -> Flow[PollOutcome]:
    """
    Poll a job until there is nothing more to ask, or ``until``.

    :param endpoint: where it was submitted.
    :param ocr_task_id: its id.
    :param poller: decides after each poll.
    :param outcome: the decision to begin with, such as ``poller.first(now)``.
    :param until: seconds since the epoch: a poll that falls after it is left to the caller.
    :param sleep: how to wait; a coroutine function for the asynchronous hook.
    :returns: a final outcome, or the wait that would go beyond ``until``.
    """
    while not outcome.is_final:
        if until is not None and time.time() + outcome.delay > until:
            break
        yield Pause(outcome.delay, sleep or hook.sleep_between_polls)
        outcome = yield from ask(hook, endpoint, ocr_task_id, poller)
    return outcome


def ask(hook: ConnectedHook, endpoint: str | Endpoint, ocr_task_id: str, poller: Poller) -> Flow[PollOutcome]:
    """
    Poll a job once. In the synchronous hook the answer of a completed one brings its results.

    :param endpoint: where it was submitted.
    :param ocr_task_id: its id.
    :param poller: decides what the answer, or the failure, means.
    """
    poll = get_task if hook.polls_bring_results else get_status
    asked_at, deadline = time.time(), poller.deadline
    try:
        # Its time-out is needed here; a look-up that fails is a failed poll.
        yield from _looked_up(endpoint, ocr_task_id)
        if deadline is not None and asked_at >= deadline:
            # The last poll falls on the deadline itself, and must be able to bring an answer.
            deadline = asked_at + _last_poll(hook)
        task = yield from poll(hook, endpoint, ocr_task_id, retry_limit=0, deadline=deadline)
        return poller.on_answer(task, time.time())
    except AsposeOcrError as error:
        if is_transient(error) and poller.deadline is not None and asked_at < poller.deadline <= time.time():
            return (yield from _ask_once_more(hook, endpoint, ocr_task_id, poller))
        return _failed(hook, poller, error)


def _ask_once_more(
    hook: ConnectedHook, endpoint: str | Endpoint, ocr_task_id: str, poller: Poller
) -> Flow[PollOutcome]:
    """Nothing is ended on an answer that the deadline cut: the job may be done. What is completed is fetched."""
    is_completed = False
    try:
        yield from _looked_up(endpoint, ocr_task_id)
        by = time.time() + _last_poll(hook)
        task = yield from get_status(hook, endpoint, ocr_task_id, retry_limit=0, deadline=by)
        is_completed = task.status is TaskStatus.COMPLETED
        if is_completed and hook.polls_bring_results:
            by = time.time() + LONGEST_FETCH
            task = yield from get_task(hook, endpoint, ocr_task_id, retry_limit=0, deadline=by)
        return poller.on_answer(task, time.time())
    except AsposeOcrError as error:
        if is_completed and is_transient(error):
            # Not a time-out, after which the job would be cancelled.
            return PollOutcome(PollVerdict.GAVE_UP, error=error)
        return _failed(hook, poller, error)


def _last_poll(hook: ConnectedHook) -> float:
    """For how many seconds the poll at the deadline may wait for its answer."""
    return min(LAST_POLL, hook.service().timeout)


def _failed(hook: ConnectedHook, poller: Poller, error: AsposeOcrError) -> PollOutcome:
    outcome = poller.on_failure(error, time.time())
    if not outcome.is_final and poller.is_worth_a_warning:
        warned(
            hook.log,
            Event.POLL_FAILED,
            "Poll failed (%d in a row), asking again in %.1f s: %s",
            poller.failures,
            outcome.delay,
            error,
            endpoint=error.endpoint,
            ocr_task_id=error.ocr_task_id,
            failures=poller.failures,
        )
    return outcome


def said(
    hook: ConnectedHook,
    call: Call[T],
    retry_limit: int | None = None,
    *,
    resubmit_on_ambiguity: bool = False,
    journal: SubmissionJournal | None = None,
) -> Flow[T]:
    """
    Make a call under the retry policy.

    :param call: which.
    :param retry_limit: instead of the hook's.
    :param resubmit_on_ambiguity: whether to send a document again that may have been accepted, and billed, already.
    :param journal: is told of each POST of a submission.
    :raises AsposeOcrError: where no good answer came.
    """
    limit = hook.retry_limit if retry_limit is None else retry_limit
    attempt = partial(conversation, call, hook, journal)
    if limit == 0:
        # A poll: counted by its loop, and too frequent for a controller of its own.
        return attempt()
    return repeated(attempt, retry_policy(limit, resubmit_on_ambiguity=resubmit_on_ambiguity))


def _looked_up(endpoint: str | Endpoint, ocr_task_id: str) -> Flow[None]:
    """Have the connection: a look-up that fails is a failure of this call, such as of one poll of many."""
    try:
        yield ConnectionWanted()
    except AsposeOcrError as error:
        error.about(endpoint=endpoint_named(endpoint).name, ocr_task_id=ocr_task_id)
        raise
