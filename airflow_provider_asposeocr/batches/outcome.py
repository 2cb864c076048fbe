"""What the task says of its batch at the end: an XCom, or an error."""

from __future__ import annotations

from typing import Any

from airflow_provider_asposeocr.batches.gate import BatchGate
from airflow_provider_asposeocr.batches.manifest import Summary
from airflow_provider_asposeocr.batches.plan import BatchPlan
from airflow_provider_asposeocr.exceptions import (
    AsposeOcrBatchError,
    AsposeOcrBatchPausedError,
    AsposeOcrBatchRefusedError,
)
from airflow_provider_asposeocr.storage.failures import KEPT

_TOLD = 3


def xcom_of(summary: Summary, plan: BatchPlan, manifest: str, calls: int, table: str | None = None) -> dict[str, Any]:
    """
    Return the XCom of a batch.

    :param summary: of its documents.
    :param plan: what was to be done.
    :param manifest: the URI of the manifest.
    :param calls: how many polls there were.
    :param table: the URI of the table, where there is one.
    """
    named = {} if table is None else {"table": table}
    return {"endpoint": plan.endpoint.name, "manifest": manifest, **named, "calls": calls, **summary.to_xcom()}


def failure_of(
    summary: Summary, plan: BatchPlan, manifest: str, *, skip: bool, stopped: str | None
) -> AsposeOcrBatchError | None:
    """
    Return the error of a batch; ``None`` where it has none.

    :param summary: of its documents.
    :param plan: what was to be done.
    :param manifest: the URI of the manifest.
    :param skip: whether failed documents are the next task's affair.
    :param stopped: why documents were left out, if so.
    """
    if not summary.failed or (skip and stopped is None):
        return None
    failed = summary.failures
    number = summary.failed if stopped is None else len(failed)
    hopeless = summary.hopeless and bool(failed or stopped)
    reasons = "; ".join(each.error or f"{each.image}: not finished" for each in failed[:_TOLD])
    more = f"; and {number - _TOLD} more" if number > _TOLD else ""
    # Where the first failures end the batch, the others have not failed.
    left = f" It ends early: {stopped}." if stopped else ""
    told = f": {reasons}{more}." if failed else "."
    kind = AsposeOcrBatchRefusedError if hopeless else AsposeOcrBatchError
    return kind(
        f"{number} of {summary.documents} documents failed, see {manifest}{told}{left} "
        + ("A retry would fail the same way." if hopeless else KEPT),
        endpoint=plan.endpoint.name,
    )


def paused(summary: Summary, plan: BatchPlan, gate: BatchGate, wait: float) -> AsposeOcrBatchPausedError:
    """
    Return the error of a batch that is to go on later.

    :param summary: of its documents.
    :param plan: what was to be done.
    :param gate: why.
    :param wait: in how many seconds, at the earliest.
    """
    left = summary.documents - summary.completed - summary.skipped
    return AsposeOcrBatchPausedError(
        f"The service wants no more for now ({gate.reason}). {left} of {summary.documents} documents have no result "
        f"yet and have not failed. {KEPT} It is worth no slot to wait: come back in {wait:.0f} s.",
        retry_after=wait,
        endpoint=plan.endpoint.name,
    )
