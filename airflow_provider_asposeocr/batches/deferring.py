"""A batch that gives its worker up: which jobs its trigger watches, and when it wakes a worker again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow_provider_asposeocr.api.waiting import Waiting
from airflow_provider_asposeocr.batches.beginning import Start, header_of
from airflow_provider_asposeocr.batches.plan import BatchPlan
from airflow_provider_asposeocr.batches.run import BatchRun
from airflow_provider_asposeocr.jobs.following import DEFERRAL_SLACK
from airflow_provider_asposeocr.triggers.batch import AsposeOcrBatchTrigger

LEAST_DEFERRAL = 5.0
"""Seconds for which a worker is given up at least where the service is away."""
_WATCHED = 8
"""Jobs that one trigger watches at most."""
_ENOUGH = 0.25
"""The share of the watched jobs that must have ended to wake the worker, while there is more to submit."""
_LONGEST_NET = 30 * 24 * 3600.0
"""Seconds. Airflow's own time-out of a deferral where there is no deadline."""


def standing(run: BatchRun, plan: BatchPlan, total: int, now: float) -> dict[str, Any]:
    """
    Return what a part of a batch leaves for the next one, as plain JSON.

    :param run: that part.
    :param plan: what is to be done.
    :param total: how many documents there are.
    :param now: seconds since the epoch.
    """
    left = Start(
        total,
        dict(run.progress.counts),
        run.to_do.unread,
        run.to_do.offset,
        run.progress.submissions,
        run.progress.calls,
    )
    return dict(
        header_of(
            left,
            plan,
            began_at=run.progress.began_at,
            ready_before=run.progress.ready_before,
            ends=run.ends.to_json(),
            polls=run.polls.to_json(),
            gate=run.gate.to_json(now),
        )
    )


def taken_up(header: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return what a batch knows when it is woken.

    :param header: what it knew when it was deferred.
    :param event: what its trigger has found.
    """
    return {
        **header,
        "calls": int(header.get("calls", 0)) + int(event.get("calls") or 0),
        "polls": event.get("polls") or header.get("polls"),
    }


def start_of(header: Mapping[str, Any]) -> Start:
    """
    Return how a batch goes on.

    :param header: what it knows.
    """
    counted = {name: header[name] for name in ("total", "counts", "waiting", "offset", "submissions")}
    return Start(**counted, calls=int(header.get("calls", 0)))


def trigger_for(
    run: BatchRun, plan: BatchPlan, waiting: Waiting, aspose_ocr_conn_id: str, wait: float | None, now: float
) -> tuple[AsposeOcrBatchTrigger, timedelta]:
    """
    Return the trigger that waits until some jobs have ended, or the service may be back, and Airflow's net behind it.

    :param run: the batch, with its running jobs.
    :param plan: what is to be done.
    :param waiting: how to wait.
    :param aspose_ocr_conn_id: the Airflow connection.
    :param wait: for how many seconds the service is away, where waiting for it is not worth a slot.
    :param now: the time in seconds since the epoch.
    """
    running = {str(each.number): each for each in run.running}
    watched = run.polls.soonest(_WATCHED)
    more = run.has_more and wait is None
    likely = run.polls.pacer.likely_age or waiting.schedule.interval
    closed = run.gate.submit_at() if run.has_more else 0.0
    wake_at = max(closed, now + LEAST_DEFERRAL) if math.isfinite(closed) and closed > now else None
    if wake_at is None and not running:
        wake_at = now + LEAST_DEFERRAL
    end_time = (
        None
        if plan.timeout is None or not running
        else min(max(each.submitted_at or now, run.progress.began_at) for each in running.values()) + plan.timeout
    )
    until = max((time for time in (wake_at, end_time) if time is not None), default=now + _LONGEST_NET)
    trigger = AsposeOcrBatchTrigger(
        endpoint=plan.endpoint.name,
        aspose_ocr_conn_id=aspose_ocr_conn_id,
        ocr_task_ids=[each.ocr_task_id for each in running.values() if each.ocr_task_id],
        watched=[[key, running[key].ocr_task_id, running[key].submitted_at or now] for key, _ in watched],
        # With no more to submit, nothing is gained by fetching soon.
        enough=math.ceil(len(watched) * (_ENOUGH if more else 1.0)),
        linger=max(1.0, 0.1 * likely) if more else max(LEAST_DEFERRAL, 0.5 * likely),
        polls=run.polls.to_json(),
        calls_per_document=plan.calls_per_document,
        wake_at=wake_at,
        end_time=end_time,
        waiting=waiting.to_json(),
    )
    return trigger, timedelta(seconds=max(0.0, until - now) + DEFERRAL_SLACK)
