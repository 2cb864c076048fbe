"""
The names of what our log tells, and how it is told: a sentence for people, and behind it a constant name with fields
for whoever searches or counts.

On Airflow 3 the logs of operators, hooks and triggers are structured: there the name and the fields stand beside the
sentence, as ``event_name`` and by their own names. Elsewhere they are the end of the line, in brackets. Fields are ids,
places, numbers and the words of errors; never a word of a document, and never a secret.
"""

from __future__ import annotations

import enum
import logging
from typing import Any


class Event(enum.StrEnum):
    """The names. They are public: alerts and dashboards depend on them."""

    JOB_SUBMITTED = "aspose_ocr.job.submitted"
    JOB_RESUMED = "aspose_ocr.job.resumed"
    JOB_REPLACED = "aspose_ocr.job.replaced"
    JOB_DEFERRED = "aspose_ocr.job.deferred"
    JOB_HANDED_BACK = "aspose_ocr.job.handed_back"
    JOB_COMPLETED = "aspose_ocr.job.completed"
    JOB_CANCELLED = "aspose_ocr.job.cancelled"
    JOB_NOT_CANCELLED = "aspose_ocr.job.not_cancelled"
    POLL_FAILED = "aspose_ocr.poll.failed"
    RESULT_WRITTEN = "aspose_ocr.result.written"
    RESULT_WARNING = "aspose_ocr.result.warning"
    DOCUMENT_WARNING = "aspose_ocr.document.warning"
    DOCUMENT_FAILED = "aspose_ocr.document.failed"
    RECORD_FAILED = "aspose_ocr.record.failed"
    TASK_INTERRUPTED = "aspose_ocr.task.interrupted"
    BATCH_PROGRESS = "aspose_ocr.batch.progress"
    BATCH_DEFERRED = "aspose_ocr.batch.deferred"
    BATCH_STOPPED = "aspose_ocr.batch.stopped"
    SERVICE_WITHOUT_STATUS = "aspose_ocr.service.without_status"
    LINEAGE_FAILED = "aspose_ocr.lineage.failed"


def _tell(log: Any, level: int, event: Event, sentence: str, args: tuple[Any, ...], fields: dict[str, Any]) -> None:
    known = {name: value for name, value in fields.items() if value is not None}
    if hasattr(log, "bind"):
        log.log(level, sentence, *args, event_name=event.value, **known)
        return
    behind = "".join(f" {name}={_plain(value)}" for name, value in known.items())
    # The line is its caller's: one above the function that called this.
    line = f"{sentence} [%s%s]"
    log.log(level, line, *args, event.value, behind, stacklevel=3)


def told(log: Any, event: Event, sentence: str, *args: Any, **fields: Any) -> None:
    """
    Write a line of level INFO.

    :param log: a logger, of the standard library or of structlog.
    :param event: its name.
    :param sentence: for people, with ``%s`` for what follows.
    :param args: what goes into the sentence.
    :param fields: for machines; those that are ``None`` are left out.
    """
    _tell(log, logging.INFO, event, sentence, args, fields)


def warned(log: Any, event: Event, sentence: str, *args: Any, **fields: Any) -> None:
    """
    Write a line of level WARNING.

    :param log: a logger, of the standard library or of structlog.
    :param event: its name.
    :param sentence: for people, with ``%s`` for what follows.
    :param args: what goes into the sentence.
    :param fields: for machines; those that are ``None`` are left out.
    """
    _tell(log, logging.WARNING, event, sentence, args, fields)


def _plain(value: Any) -> str:
    text = str(value)
    return f'"{text}"' if " " in text or not text else text
