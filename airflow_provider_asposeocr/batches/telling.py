"""The progress of a batch for people: an XCom that is there while the task runs, and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_asposeocr import metrics

KEY = "progress"
"""Of the XCom."""


def tell(context: Mapping[str, Any], facts: Mapping[str, Any], log: Any) -> None:
    """
    Show the progress of a batch.

    :param context: Airflow's task context.
    :param facts: of :meth:`~airflow_provider_asposeocr.batches.progress.Progress.facts`.
    :param log: where to say what is in the way.
    """
    ti = context["ti"]
    push = getattr(ti, "xcom_push", None)
    try:
        if push is not None:
            push(key=KEY, value=dict(facts))
        metrics.batch_progress(facts, {"dag_id": str(ti.dag_id), "task_id": str(ti.task_id)})
    except Exception as error:  # noqa: BLE001 - a batch does not fail for what is only to be looked at
        log.warning("The progress could not be shown: %s: %s", type(error).__name__, error)
