"""Batches in one task: ``trigger(dag_id, conf={"images": folder, "output": folder})``."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_asposeocr.operators.batch import AsposeOcrBatchOperator

COMMON = {
    "images": "{{ dag_run.conf['images'] }}",
    "output_path": "{{ dag_run.conf['output'] }}",
    "deferrable": True,
    "defer_after": 1,
    "poll_interval": 1,
    "poll_interval_max": 1,
}

with DAG("many_in_one_task", default_args={"retries": 3, "retry_delay": timedelta(0)}):
    AsposeOcrBatchOperator(task_id="read", aspose_ocr_conn_id="ocr_batch", max_concurrency=125, **COMMON)

with DAG("few_in_one_task", default_args={"retries": 0}):
    AsposeOcrBatchOperator(task_id="read", aspose_ocr_conn_id="ocr_held", max_concurrency=6, **COMMON)
