"""One document per run, and a DAG for every way to wait for it: ``trigger(dag_id, conf={"image": path})``."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeImageOperator
from airflow_provider_asposeocr.retry_policy import AsposeOcrRetryPolicy

DEFERRABLE = {"deferrable": True, "defer_after": 0}
# Jobs of the connection `ocr` take some seconds, those of `ocr_endless` never end.
ENDLESS = {"aspose_ocr_conn_id": "ocr_endless"}

VARIANTS = {
    "synchronous": {},
    "deferrable": DEFERRABLE,
    "synchronous_endless": ENDLESS,
    "deferrable_endless": {**ENDLESS, **DEFERRABLE},
    "deferrable_endless_kept": {**ENDLESS, **DEFERRABLE, "cancel_on_kill": False},
    "synchronous_timeout": {**ENDLESS, "timeout": 5, "retries": 0},
    "deferrable_timeout": {**ENDLESS, **DEFERRABLE, "timeout": 5, "retries": 0},
    "synchronous_execution_timeout": {**ENDLESS, "execution_timeout": timedelta(seconds=6), "retries": 1},
    "not_durable": {"durable": False},
    "resubmitting": {"resubmit_on_ambiguity": True},
    "with_retry_policy": {"retry_policy": AsposeOcrRetryPolicy(delay=timedelta(seconds=1))},
}

for name, arguments in VARIANTS.items():
    defaults = {"aspose_ocr_conn_id": "ocr", "retries": 2, "retry_delay": timedelta(0)}
    with DAG(name, default_args={**defaults, "poll_interval": 1, "poll_interval_max": 1}):
        AsposeOcrRecognizeImageOperator(task_id="read", image="{{ dag_run.conf['image'] }}", **arguments)
