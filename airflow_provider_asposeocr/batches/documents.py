"""One document of a batch, as it is remembered and as it stands in the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException
from msgspec.structs import replace

from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.exceptions import AsposeOcrAmbiguousSubmissionError, AsposeOcrError


class DocumentStatus(StrEnum):
    """What a document of a batch has come to."""

    WAITING = "Waiting"
    """Nothing was sent."""
    SUBMITTING = "Submitting"
    """A POST is out: if the task dies now, nobody knows whether the service accepted it."""
    RUNNING = "Running"
    """Its job is at the service. With an error: it is left there, and the next try goes on with it."""
    COMPLETED = "Completed"
    SKIPPED = "Skipped"
    """An earlier run has read it, and neither it nor the settings have changed since."""
    FAILED = "Failed"
    """With an error that another try may mend."""
    REFUSED = "Refused"
    """With an error that no other try can mend."""


DONE = frozenset({DocumentStatus.COMPLETED, DocumentStatus.SKIPPED})
"""Whose result is there."""
_ALWAYS = ("image", "ocr_task_id", "status", "files", "warnings", "error", "seconds", "submitted_at", "run")
"""What a line of the manifest has always; the rest is for ourselves and stands where it says something."""


class BatchDocument(Value, frozen=True):
    """
    One document of a batch: a line of the manifest.

    :param image: its path or URI.
    :param status: what it has come to.
    :param ocr_task_id: the id of its job.
    :param files: the URIs of its results, or of those that an earlier submission of the same task brought.
    :param warnings: of the service.
    :param error: why it failed.
    :param seconds: from its submission to its result.
    :param submitted_at: seconds since the epoch.
    :param run: the task instance it belongs to.
    :param number: its place in the list of the batch.
    :param name: where its results go below the output folder, without extension.
    :param version: tells whether the file changed: its ETag, or its size and time.
    :param fingerprint: of the endpoint and the settings.
    :param submissions: how often it was accepted, or may have been, in this run.
    :param errors: how often its job ended as ``Error`` in this run.
    :param read_by: the task instance that has read it, where it is skipped.
    :param places: of each of ``files``, which page or region it is of, from 1; 0 where that is not known. Empty where
        there is one file of a type.
    """

    image: str
    status: DocumentStatus = DocumentStatus.WAITING
    ocr_task_id: str | None = None
    files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str | None = None
    seconds: float | None = None
    submitted_at: float | None = None
    run: str | None = None
    number: int = 0
    name: str | None = None
    version: str | None = None
    fingerprint: str | None = None
    submissions: int = 0
    errors: int = 0
    read_by: str | None = None
    places: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the document as plain JSON, a line of the manifest."""
        plain: dict[str, Any] = {}
        for name in _FIELDS:
            value = getattr(self, name)
            if value or name in _ALWAYS:
                plain[name] = list(value) if isinstance(value, tuple) else value
        plain["status"] = self.status.value
        return plain

    @property
    def reader(self) -> str | None:
        """The task instance that has read it."""
        return self.read_by if self.status is DocumentStatus.SKIPPED else self.run

    @property
    def stage(self) -> int:
        """How far its submission is: a job that runs in one file has ended in the file of who has fetched it."""
        return 2 if self.status in DONE else int(self.status is not DocumentStatus.RUNNING)

    @property
    def age(self) -> tuple[float, int]:
        """Which of two lines about it is the later one: by when it was submitted, and how far that has come."""
        return float(self.submitted_at or 0.0), self.stage

    def failed(self, error: AsposeOcrError, *, in_doubt: bool = False) -> BatchDocument:
        """
        Return the document as it is after its submission or its job failed.

        :param error: why.
        :param in_doubt: whether it may have been accepted all the same.
        """
        if in_doubt or isinstance(error, AsposeOcrAmbiguousSubmissionError):
            status = DocumentStatus.SUBMITTING
        else:
            permanent = isinstance(error, AirflowFailException)
            status = DocumentStatus.REFUSED if permanent else DocumentStatus.FAILED
        return replace(self, status=status, error=str(error))

    def afresh(self) -> BatchDocument:
        """Return the document as one to be submitted: what was written of it is ours to replace."""
        return replace(
            self,
            status=DocumentStatus.WAITING,
            ocr_task_id=None,
            warnings=(),
            error=None,
            seconds=None,
            submitted_at=None,
        )

    @classmethod
    def remembered(cls, kept: Mapping[str, Any]) -> BatchDocument:
        """
        Return a document as it was remembered.

        :param kept: what :meth:`to_json` returned.
        :raises ValueError: where it is not such.
        """
        known = {name: kept[name] for name in _FIELDS if name in kept}
        try:
            return cls(
                **{
                    **known,
                    "status": DocumentStatus(known.get("status", DocumentStatus.WAITING)),
                    "files": tuple(known.get("files") or ()),
                    "warnings": tuple(known.get("warnings") or ()),
                    "places": tuple(known.get("places") or ()),
                }
            )
        except TypeError as error:
            raise ValueError(str(error)) from error


_FIELDS = BatchDocument.__struct_fields__
