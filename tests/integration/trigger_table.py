"""What Airflow's database holds of triggers and deferrals, of which the REST API tells nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2

from tests.integration.running_airflow import RunningAirflow

TriggerRows = set[tuple[str, str]]


@contextlib.contextmanager
def trigger_table(airflow: RunningAirflow) -> Iterator[Callable[[], TriggerRows]]:
    """Tells at each call the class path and kwargs of all triggers that stand there."""
    with _cursor(airflow) as cursor:

        def rows() -> TriggerRows:
            cursor.execute("SELECT classpath, kwargs FROM trigger")
            return set(cursor.fetchall())

        yield rows


def let_deferral_expire(airflow: RunningAirflow, dag_id: str, run_id: str) -> None:
    """Set the time-out of a run's deferred task, Airflow's own, back to a minute ago: the scheduler looks every second.

    That is a minute and more behind the job's deadline, so that no test can wait for it.
    """
    with _cursor(airflow) as cursor:
        cursor.execute(
            "UPDATE task_instance SET trigger_timeout = now() - interval '1 minute' "
            "WHERE state = 'deferred' AND trigger_timeout IS NOT NULL AND dag_id = %s AND run_id = %s",
            (dag_id, run_id),
        )
        assert cursor.rowcount == 1


@contextlib.contextmanager
def _cursor(airflow: RunningAirflow) -> Iterator[Any]:
    database = psycopg2.connect(airflow.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", ""))
    database.autocommit = True
    try:
        with database.cursor() as cursor:
            yield cursor
    finally:
        database.close()
