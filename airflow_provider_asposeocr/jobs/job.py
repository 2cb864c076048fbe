"""A job at the service, as a task follows it."""

from __future__ import annotations

from airflow_provider_asposeocr.api.endpoints import Endpoint
from airflow_provider_asposeocr.api.values import Value


class OcrJob(Value, frozen=True):
    """
    A job at the service.

    :param endpoint: where it was submitted.
    :param ocr_task_id: its id.
    :param started_at: when, in seconds since the epoch.
    :param deadline: until when to wait for it, likewise; ``None`` for ever.
    :param seconds: how long it took, where its trigger has seen it completed.
    """

    endpoint: Endpoint
    ocr_task_id: str
    started_at: float
    deadline: float | None
    seconds: float | None = None

    @property
    def ids(self) -> dict[str, str]:
        """What the log calls it by."""
        return {"endpoint": self.endpoint.name, "ocr_task_id": self.ocr_task_id}
