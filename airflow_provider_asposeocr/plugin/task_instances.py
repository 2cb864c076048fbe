"""What a task instance has left in Airflow's database: its XCom, and the fields it was rendered with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.execution_time.xcom import XCom
from airflow.utils.session import create_session
from msgspec.structs import replace
from sqlalchemy import select

from airflow_provider_asposeocr.api.endpoints import ENDPOINTS
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.batches.telling import KEY as PROGRESS
from airflow_provider_asposeocr.plugin.refusals import NotShownError
from airflow_provider_asposeocr.plugin.shapes import is_batch, is_progress, is_result

RESULT = "return_value"


class TaskInstanceKey(Value, frozen=True):
    """
    Which task instance.

    :param dag_id: its DAG: the one for which the user's rights were checked.
    :param task_id: its task.
    :param run_id: its run.
    :param map_index: -1 for a task that is not mapped.
    """

    dag_id: str
    task_id: str
    run_id: str
    map_index: int


class Left(Value, frozen=True):
    """
    What a task instance has left.

    :param key: which.
    :param state: Airflow's word for where it stands.
    :param xcom: what it returned, if that is a result of ours.
    :param progress: of a batch that has not ended well.
    :param fields: its rendered template fields; empty where Airflow has dropped them.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("xcom", "progress", "fields")

    key: TaskInstanceKey
    state: str
    xcom: Mapping[str, Any] | None = None
    progress: Mapping[str, Any] | None = None
    fields: Mapping[str, Any] = msgspec.field(default_factory=dict)


def left_by(key: TaskInstanceKey) -> Left:
    """
    Read what a task instance has left.

    :param key: which.
    :raises NotShownError: where there is no such task instance, or its XCom cannot be read.
    """
    with create_session() as session:
        state = session.execute(select(TaskInstance.state).where(*_of(TaskInstance, key))).first()
        if state is None and " " in key.run_id:
            # Airflow 3.1 puts the run into the address as it is, where a plus stands for a blank. Ids have no blanks.
            key = replace(key, run_id=key.run_id.replace(" ", "+"))
            state = session.execute(select(TaskInstance.state).where(*_of(TaskInstance, key))).first()
        if state is None:
            raise NotShownError("There is no such task instance.", status=404)
        rows = session.execute(
            select(XComModel.key, XComModel.value).where(*_of(XComModel, key), XComModel.key.in_((RESULT, PROGRESS)))
        ).all()
        fields = session.scalar(
            select(RenderedTaskInstanceFields.rendered_fields).where(*_of(RenderedTaskInstanceFields, key))
        )
    values = {row.key: _value(row) for row in rows}
    xcom, progress = values.get(RESULT), values.get(PROGRESS)
    return Left(
        key,
        str(state[0] or "not started yet"),
        xcom if _is_ours(xcom) else None,
        progress if is_progress(progress) else None,
        fields if isinstance(fields, Mapping) else {},
    )


def _of(table: Any, key: TaskInstanceKey) -> tuple[Any, ...]:
    return (
        table.dag_id == key.dag_id,
        table.task_id == key.task_id,
        table.run_id == key.run_id,
        table.map_index == key.map_index,
    )


def _value(row: Any) -> Any:
    """An XCom as plain JSON: of what is made of classes, none is made."""
    value = row.value
    if XCom is not BaseXCom:
        # A backend keeps large values elsewhere, and a reference in the database.
        try:
            value = XCom.deserialize_value(row)
        except Exception as error:
            raise NotShownError(
                f"The XCom cannot be read from Airflow's XCom backend ({type(error).__name__})."
            ) from error
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _is_ours(xcom: Any) -> bool:
    return (is_batch(xcom) or is_result(xcom)) and xcom.get("endpoint") in ENDPOINTS
