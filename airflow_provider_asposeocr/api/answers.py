"""
What the service answers, as it stands on the wire: the response object of the queue.

The emulator shares these models, and Airflow is not loaded with them. Unknown properties do not break a client.
Sources: "Fetching image regions" (docs.aspose.cloud/ocr/fetch-regions/), "Fetching regions recognition result"
(docs.aspose.cloud/ocr/fetch-region-recognition-result/), and the models of the vendor's Python client 24.11.0.
"""

from __future__ import annotations

import enum
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from airflow_provider_asposeocr.api.wire_names import wire_name


class TaskStatus(enum.StrEnum):
    """
    Where a job stands in the queue.

    Source: "Fetching image regions", docs.aspose.cloud/ocr/fetch-regions/.
    """

    PENDING = "Pending"
    PROCESSING = "Processing"
    COMPLETED = "Completed"
    ERROR = "Error"
    NOT_EXIST = "NotExist"

    @property
    def is_terminal(self) -> bool:
        """Whether the job will never leave this state."""
        return self not in (TaskStatus.PENDING, TaskStatus.PROCESSING)


class ResponseStatusCode(enum.StrEnum):
    """How a request went. Source: ``ResponseStatusCode`` of the vendor's client; new ones may come."""

    OK = "Ok"
    PARTIALLY_NOT_FOUND = "PartiallyNotFound"
    NO_ANY_RESULT_DATA = "NoAnyResultData"
    RESULT_DATA_LOST = "ResultDataLost"
    TASK_NOT_FOUND = "TaskNotFound"
    NOT_READY = "NotReady"
    ERROR = "Error"


class _AnswerModel(BaseModel):
    model_config = ConfigDict(
        alias_generator=wire_name, populate_by_name=True, extra="ignore", frozen=True, defer_build=True
    )


class ResultEntry(_AnswerModel):
    """One entry of ``results`` on the wire."""

    type: str
    data: str | None = None
    """Always Base64, plain text included."""


class ErrorDetails(_AnswerModel):
    """The ``error`` of an answer. Even a completed job can carry messages and warnings."""

    messages: list[str] = []
    warnings: list[str] = []

    @field_validator("messages", "warnings", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        """Take texts of another shape, too: the state of a paid job is not lost over what is said of it."""
        values = value if isinstance(value, list) else [value]
        return [each if isinstance(each, str) else json.dumps(each) for each in values if each is not None]


class TaskResponse(_AnswerModel):
    """The response object of every GET, as it stands on the wire."""

    id: str | None = None
    task_status: str
    response_status_code: str | None = None
    results: list[ResultEntry] | None = None
    error: ErrorDetails | None = None

    @field_validator("error", mode="before")
    @classmethod
    def _details(cls, value: Any) -> Any:
        return {"messages": value} if isinstance(value, str | list) else value
