"""
Many documents in one task: the loop that submits, asks, fetches and writes, all side by side.

It keeps at most ``max_concurrency`` jobs at the service and asks for each when that pays. A job's place is free the
moment it is found to have ended; its result is written meanwhile. What a call learns of the service holds for all: they
wait behind one gate. What each document has come to is remembered before and after each submission, so that a later try
submits only what is not there yet.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Any

from msgspec.structs import replace

from airflow_provider_asposeocr.api.pacing import BatchPolls
from airflow_provider_asposeocr.api.polling import PollVerdict
from airflow_provider_asposeocr.batches.beginning import MOST_ATTEMPTS, Start, resubmits_in_doubt
from airflow_provider_asposeocr.batches.deliveries import Deliveries
from airflow_provider_asposeocr.batches.documents import BatchDocument, DocumentStatus
from airflow_provider_asposeocr.batches.endings import JobSoFar, Verdict, verdict_on_answer, verdict_on_failure
from airflow_provider_asposeocr.batches.ends import Ends
from airflow_provider_asposeocr.batches.gate import BatchGate
from airflow_provider_asposeocr.batches.intents import BatchIntent
from airflow_provider_asposeocr.batches.memory import BatchMemory
from airflow_provider_asposeocr.batches.plan import BatchPlan
from airflow_provider_asposeocr.batches.progress import Progress
from airflow_provider_asposeocr.batches.service import BatchService
from airflow_provider_asposeocr.batches.todo import ToDo
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrAmbiguousSubmissionError,
    AsposeOcrAuthError,
    AsposeOcrError,
    AsposeOcrInterruptedError,
    AsposeOcrRequestError,
    AsposeOcrServiceError,
)

log = logging.getLogger(__name__)

_LONGEST_PAUSE = 0.5
"""Seconds. How long the loop sleeps at a stretch, so that it notices a kill."""
_FLUSH_INTERVAL = 5.0
"""Seconds after which what was done stands in the journal."""
_REFUSALS_IN_A_ROW = 8
"""So many documents refused by the service, and none accepted between: so it would be for all others."""


class BatchRun:
    """
    One try at a batch, or a part of it between two deferrals.

    :param plan: what to do.
    :param memory: what is remembered.
    :param start: what there is to do.
    :param began_at: when the try began, in seconds since the epoch.
    :param header: what is remembered of the batch as a whole, where this goes on after a deferral.
    :param over: the ids of jobs that are known to have ended, as those that woke the worker.
    :param report: is told the facts of the progress now and then.
    """

    def __init__(
        self,
        plan: BatchPlan,
        memory: BatchMemory,
        start: Start,
        *,
        began_at: float,
        header: Mapping[str, Any] | None = None,
        over: Collection[str] = (),
        report: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> None:
        header = header or {}
        self._plan = plan
        self._memory = memory
        self._over = frozenset(over)
        self._report_to = report
        self.progress = Progress(start.total, began_at)
        self.progress.counts.update(start.counts)
        self.progress.ready_before = int(header.get("ready_before", self.progress.ready))
        self.progress.calls = start.calls
        self.progress.submissions = start.submissions
        self.to_do = ToDo(memory, start.offset, start.waiting)
        self.polls = BatchPolls.from_json(header.get("polls"), plan.calls_per_document)
        self.ends = Ends(plan, memory, self.progress, header.get("ends"))
        longest = plan.schedule.longest
        self.gate = BatchGate(plan.schedule.interval / 2, 3 * longest, 30 * longest)
        self._gate_before = header.get("gate")
        self._jobs: dict[str, JobSoFar] = {}
        self._attempts: dict[int, tuple[int, int]] = {}
        """By document: how often its submission was refused, and how many calls had gone well then."""
        self._submitting = 0
        self._refused_in_a_row = 0
        self._busy: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._broken: BaseException | None = None
        self.killed = False
        """Set by ``on_kill``."""

    @property
    def running(self) -> list[BatchDocument]:
        """The documents whose jobs are waited for."""
        return [job.document for job in self._jobs.values()]

    def stop_if_killed(self) -> None:
        """
        Refuse to submit what nobody waits for any more.

        :raises AsposeOcrInterruptedError: where ``killed`` was set.
        """
        if self.killed:
            raise AsposeOcrInterruptedError("The task's process was told to end. Nothing was sent.")

    async def run(self, service: BatchService, pause_after: float | None) -> bool:
        """
        Work until all is done, or until all that is left is waiting for longer than ``pause_after``.

        :param service: does it.
        :param pause_after: seconds; ``None`` to wait in the worker.
        :returns: whether nothing is left to wait for; if not, its jobs are running and remembered.
        """
        self._service = service
        patience = math.inf if pause_after is None else pause_after
        self.ends.begin(service)
        self.gate.go_on(self._gate_before, service.now())
        self._deliveries = Deliveries(self._plan, service, self.ends, lambda: self.killed)
        self._flushed_at = now = service.now()
        self.progress.began_at = min(self.progress.began_at, now)
        ahead = await service.blocking(lambda: self._memory.slots.set_right(now))
        for document in self._memory.slots.documents.values():
            if document.status is DocumentStatus.RUNNING:
                # A wake goes on with its try, which may have begun with jobs of an earlier one.
                is_earlier = document.number in ahead or (document.submitted_at or 0.0) < self.progress.began_at
                self._follow(document, earlier=is_earlier)
            else:
                self.to_do.again.append(document)
        try:
            while not self._ending and (self.has_more or self._jobs or self._busy):
                self._news.clear()
                self._start_due()
                next_due = self._next_due()
                now = service.now()
                quiet = max(next_due or now, now) - self.ends.moved_at
                if not self._busy and (self._waits_in_vain(now) or quiet >= patience):
                    return False
                await self._rest(next_due)
                await self._keep_up()
        finally:
            await self._settle()
        return True

    @property
    def _ending(self) -> bool:
        return self.killed or self._broken is not None or (self.ends.stopped is not None and self._plan.fail_fast)

    @property
    def has_more(self) -> bool:
        """Whether there is more to submit."""
        return self.ends.stopped is None and len(self.to_do) > 0

    def _waits_in_vain(self, now: float) -> bool:
        """Whether the service is away for so long that this is not worth a slot."""
        return self.hopeless_wait(now) is not None and (not self._jobs or self.gate.poll_at() > now)

    def hopeless_wait(self, now: float) -> float | None:
        """
        Return for how many seconds to come back later, where waiting is not worth a slot.

        :param now: the time.
        """
        return self.gate.hopeless_wait(now, submits=self.has_more)

    def _start_due(self) -> None:
        """Start the submissions there is room for and the polls that are due."""
        now = self._service.now()
        while self.has_more and self._has_room and self.gate.submit_at() <= now:
            if self._submissions_are_used_up():
                break
            document = self.to_do.take()
            if document is None:
                break
            self._submitting += 1
            self.gate.submitting(now)
            self._start(self._submit(document))
        self.polls.follow_to_the_end(None if self.has_more else self._plan.max_concurrency)
        if self.gate.poll_at() <= now:
            # After a failure one goes first.
            for key in self.polls.take_due(now, 1 if self.gate.polls.failures else None):
                self.gate.polls.enter()
                self._start(self._ask(self._jobs[key]))

    @property
    def _has_room(self) -> bool:
        """Results that are not written yet must not pile up, least of all where the storage does not take them."""
        most = self._plan.max_concurrency
        return self._submitting + len(self._jobs) < most and self._deliveries.keep_up_with(most)

    def _submissions_are_used_up(self) -> bool:
        most = self._plan.max_submissions
        if most is None or self.progress.submissions + self._submitting < most:
            return False
        if self._submitting == 0:
            self.ends.stop(f"max_submissions={most} is reached: {len(self.to_do)} documents are not submitted")
        return True

    def _next_due(self) -> float | None:
        """When something can be started, where no answer is waited for."""
        now = self._service.now()
        due = self.polls.next_due(now)
        times = [] if due is None else [max(due, self.gate.poll_at())]
        if self.has_more and self._has_room and not self._submissions_are_used_up():
            times.append(max(self.gate.submit_at(), now))
        return min((time for time in times if math.isfinite(time)), default=None)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._busy.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        """Let no error get lost: its document would be waited for until the end of time."""
        self._busy.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None and self._broken is None:
            self._broken = error
        self._news.set()

    async def _rest(self, until: float | None) -> None:
        """Sleep until something is due, or something under way is done."""
        now = self._service.now()
        pause = min(max(0.0, (until or math.inf) - now), _LONGEST_PAUSE)
        timer = asyncio.get_running_loop().call_later(pause, self._news.set)
        await self._news.wait()
        timer.cancel()

    async def _keep_up(self) -> None:
        """Write the journal and report the progress, not too often."""
        now = self._service.now()
        if now - self._flushed_at >= _FLUSH_INTERVAL:
            self._flushed_at = now
            self._start(self.ends.flush())
        if self.progress.is_due(now):
            facts = self.progress.facts(now, len(self._jobs))
            self._start(self._service.blocking(lambda: self._report_to(facts)))

    async def _settle(self) -> None:
        """Let what is under way come to its end, as a POST that is out must be remembered, and keep everything."""
        while self._busy:
            await asyncio.wait(self._busy)
        try:
            # Those that no POST was made for are in no slot yet.
            await self._service.blocking(lambda: self._memory.settle(self.to_do.again))
            await self._service.blocking(self.ends.keep)
        except Exception as error:  # noqa: BLE001 - raised below, after what broke first
            self._broken = self._broken or error
        if self._broken is not None:
            raise self._broken

    # Submissions

    async def _submit(self, document: BatchDocument) -> None:
        began = self._service.now()
        before = document.status
        fresh = replace(document.afresh(), fingerprint=self._plan.fingerprint, run=self._memory.run)
        intent = BatchIntent(fresh, self._memory.slots.keep, self.stop_if_killed, self._service.now)
        try:
            await self._service.submit(fresh, intent)
        except Exception as error:
            if intent.store_error is not None:
                raise
            if isinstance(error, AsposeOcrError):
                if self.killed and not intent.in_doubt:
                    self.to_do.again.append(fresh)
                    return
                await self._not_accepted(intent, error, began)
                return
            self.gate.submissions.went_nowhere()
            wrapped = AsposeOcrError(f"{type(error).__name__}: {error}")
            await self.ends.failed(intent.document, wrapped, in_doubt=intent.in_doubt)
        else:
            self._refused_in_a_row = 0
            self.gate.accepted(self._service.now())
            self.progress.submissions += 1
            self.progress.moved(before, DocumentStatus.RUNNING)
            self._attempts.pop(document.number, None)
            self.ends.moved_at = self._service.now()
            self._follow(intent.document, earlier=False)
        finally:
            self._submitting -= 1

    async def _not_accepted(self, intent: BatchIntent, error: AsposeOcrError, began: float) -> None:
        """Say whether a document waits, behind the gate, or has failed."""
        document = intent.document
        if isinstance(error, AsposeOcrAuthError):
            # So it would be for all others.
            raise error
        ambiguous = isinstance(error, AsposeOcrAmbiguousSubmissionError) or intent.in_doubt
        if ambiguous:
            self.progress.submissions += 1
        if not (ambiguous or isinstance(error, AsposeOcrServiceError)):
            self.gate.submissions.went_nowhere()
            if isinstance(error, AsposeOcrRequestError):
                self._refused_in_a_row += 1
                if (refused := self._refused_in_a_row) >= _REFUSALS_IN_A_ROW:
                    self.ends.stop(f"the service has refused {refused} documents in a row, and accepted none")
            await self.ends.failed(document, error)
            return
        self.gate.failed(error, began, self._service.now(), submission=True)
        tried, successes = self._attempts.get(document.number, (0, self.gate.successes))
        # Where no others go well meanwhile, it is not the document's own affair.
        tried += ambiguous or self.gate.successes > successes
        self._attempts[document.number] = (tried, self.gate.successes)
        if ambiguous and not resubmits_in_doubt(self._plan, document):
            await self.ends.failed(document, error, in_doubt=True)
            return
        if tried >= MOST_ATTEMPTS and not ambiguous:
            await self.ends.failed(document, error)
            return
        self.to_do.again.append(replace(document, status=DocumentStatus.WAITING))

    # Jobs

    def _follow(self, document: BatchDocument, *, earlier: bool) -> None:
        """Wait for a document's job."""
        key = str(document.number)
        self._jobs[key] = job = JobSoFar(document, earlier)
        started = document.submitted_at or self.progress.began_at
        self.polls.follow(key, started, self._deadline(job), over=document.ocr_task_id in self._over)

    async def _ask(self, job: JobSoFar) -> None:
        key, began = str(job.document.number), self._service.now()
        self.progress.calls += 1
        try:
            task = await self._service.ask(job.document)
        except AsposeOcrError as error:
            now = self._service.now()
            verdict = verdict_on_failure(error, job, self.gate.successes, MOST_ATTEMPTS)
            if verdict is None:
                self.gate.failed(error, began, now, submission=False)
                log.info("Poll failed, asking again: %s", error)
                wait = self._plan.schedule.interval * 2 ** min(job.failures, 5)
                self.polls.not_answered(key, max(now + wait, self.gate.polls.closed_until))
                return
            self.gate.polls.went_nowhere()
            self.polls.forget(key)
            await self._ended(job, verdict)
            return
        self.gate.answered()
        job.failures = 0
        verdict = verdict_on_answer(task, job, began, self._deadline(job), self._plan)
        if verdict is None:
            self.polls.not_ended(key)
            return
        if verdict.ask_again_in is not None:
            self.polls.not_answered(key, self._service.now() + verdict.ask_again_in)
            return
        if verdict.what in (PollVerdict.COMPLETED, PollVerdict.ERROR):
            self.polls.ended(key)
        else:
            self.polls.forget(key)
        await self._ended(job, verdict)

    def _deadline(self, job: JobSoFar) -> float:
        if self._plan.timeout is None:
            return math.inf
        # Each try has the whole time-out: one that follows a crash is not punished for it.
        return max(job.document.submitted_at or 0.0, self.progress.began_at) + self._plan.timeout

    async def _ended(self, job: JobSoFar, verdict: Verdict) -> None:
        """Deliver the result of a job, or remember what became of it. Its place is free from here on."""
        document = job.document
        del self._jobs[str(document.number)]
        self.ends.moved_at = self._service.now()
        self._news.set()
        if verdict.what is PollVerdict.COMPLETED and verdict.task is not None:
            job.tell_time(self._plan.endpoint.name, self.ends.moved_at)
            await self._deliveries.deliver(document, verdict.task)
            return
        if self.killed:
            return
        if verdict.what is PollVerdict.ERROR:
            document = replace(document, errors=document.errors + 1)
        if verdict.what is PollVerdict.NOT_EXIST and job.earlier:
            log.warning(
                "An earlier try submitted %s as job %s, which the service does not know any more; submitting anew, "
                "which is billed again.",
                document.image,
                document.ocr_task_id,
            )
            self.to_do.again.append(document)
            return
        cancelled = False
        if verdict.what is PollVerdict.TIMED_OUT and self._plan.cancel_on_timeout:
            cancelled = await self._cancelled(document)
        failure = verdict.failure(self._plan.endpoint.name, document, cancelled=cancelled)
        if isinstance(failure, AsposeOcrAuthError):
            # So it would be for all others.
            raise failure
        if verdict.goes_on and not cancelled:
            await self.ends.left_running(document, failure)
        else:
            await self.ends.failed(document, failure)

    async def _cancelled(self, document: BatchDocument) -> bool:
        try:
            await self._service.cancel(document)
        except AsposeOcrError as error:
            log.warning("Job %s could not be cancelled and goes on: %s", document.ocr_task_id, error)
            return False
        return True
