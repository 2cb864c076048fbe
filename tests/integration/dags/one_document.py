"""
One document per run, a DAG for every way to wait: ``trigger(dag_id, conf={"image": path, "output": folder})``.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeImageOperator
from airflow_provider_asposeocr.retry_policy import AsposeOcrRetryPolicy

DEFERRABLE = {"deferrable": True, "defer_after": 0}
WRITING = {"output_path": "{{ dag_run.conf['output'] }}/"}
# Jobs of the connection `ocr` end when the test says so, those of `ocr_endless` never.
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
    "writing": WRITING,
    "writing_deferrable": {**WRITING, **DEFERRABLE},
    "writing_anew_on_clear": {**WRITING, "resubmit_on_clear": True},
    "resubmitting": {"resubmit_on_ambiguity": True},
    "with_retry_policy": {"retry_policy": AsposeOcrRetryPolicy(delay=timedelta(seconds=1))},
}

for name, arguments in VARIANTS.items():
    defaults = {"aspose_ocr_conn_id": "ocr", "retries": 2, "retry_delay": timedelta(0)}
    with DAG(name, default_args={**defaults, "poll_interval": 0.4, "poll_interval_max": 0.4}):
        AsposeOcrRecognizeImageOperator(task_id="read", image="{{ dag_run.conf['image'] }}", **arguments)
