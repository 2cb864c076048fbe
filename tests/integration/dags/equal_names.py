"""Documents of one name into one folder: ``trigger("equal_names", conf={"images": [paths], "output": folder})``."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from airflow_provider_asposeocr.operators.aspose_ocr import AsposeOcrRecognizeImageOperator


@task
def images(dag_run=None):
    return dag_run.conf["images"]


with DAG("equal_names", default_args={"aspose_ocr_conn_id": "ocr", "retries": 2, "retry_delay": timedelta(0)}):
    AsposeOcrRecognizeImageOperator.partial(
        task_id="read", output_path="{{ dag_run.conf['output'] }}/", poll_interval=0.4, poll_interval_max=0.4
    ).expand(image=images())
