"""DAGs that know nothing of the provider: what the harness itself is tested with."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.sdk import DAG, task
from harness_toys import SleepOnceOperator, WaitForFileOperator

with DAG("toy_python"):

    @task
    def greet(name):
        print("greeting", name)
        return {"hello": name, "numbers": [1, 2.5, None]}

    greet.expand(name=["Wörld", "Moon"])

with DAG("toy_time_delta"):
    TimeDeltaSensor(task_id="wait", delta=timedelta(seconds=10), deferrable=True)

with DAG("toy_sleep"):
    SleepOnceOperator(task_id="sleep", file="{{ dag_run.conf['file'] }}", retries=1, retry_delay=timedelta(0))

with DAG("toy_file"):
    WaitForFileOperator(task_id="wait", file="{{ dag_run.conf['file'] }}")
