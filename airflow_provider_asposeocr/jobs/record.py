"""
What a task knows of its submission: what was asked for, the job's id, and what it has written.

Pure values; where they are kept across tries is :mod:`airflow_provider_asposeocr.jobs.memory`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from msgspec.structs import asdict, fields, replace

from airflow_provider_asposeocr.api.endpoints import Endpoint
from airflow_provider_asposeocr.api.settings import Settings
from airflow_provider_asposeocr.api.values import Value

_LONGEST_LIST = 32 * 1024
"""Characters of URIs that a record keeps: Airflow's task state store is for small values."""


class SubmissionRecord(Value, frozen=True):
    """
    One submission.

    :param endpoint: where to.
    :param settings: a digest of the settings, regions among them.
    :param document: a digest of the document's content; empty where it was not read.
    :param image: the document's path or URI; ``None`` where it has none.
    :param max_tries: of the task instance: a user's clear raises it, a retry does not.
    :param ocr_task_id: the job's id; ``None`` while there is none.
    :param submitted_at: seconds since the epoch.
    :param in_doubt: whether nobody knows if the service has accepted it: the id has not come back, or not yet.
    :param failed_jobs: how many jobs of this very submission have ended as ``Error``, one after the other.
    :param files: URIs of what this task instance has written: its own, which it may replace.
    """

    endpoint: str
    settings: str
    document: str
    image: str | None
    max_tries: int
    ocr_task_id: str | None = None
    submitted_at: float = 0.0
    in_doubt: bool = False
    failed_jobs: int = 0
    files: tuple[str, ...] = ()

    def why_not_for(self, other: SubmissionRecord) -> str | None:
        """
        Say why this submission does not serve another one, or ``None`` where it does.

        A document that cannot be read any more is the same if its name is: what was paid for needs it no longer.

        :param other: what is to be submitted now; its ``document`` is empty where that cannot be read.
        """
        if self.endpoint != other.endpoint:
            return f"the endpoint was {self.endpoint} then"
        if self.settings != other.settings:
            return "its settings changed since"
        if other.document and self.document != other.document:
            return "the document changed since"
        if not other.document and (self.image is None or self.image != other.image):
            return f"the document was {self.image} then"
        return None

    def was_cleared_for(self, other: SubmissionRecord) -> bool:
        """
        Say whether a user has cleared the task since.

        :param other: what is to be submitted now.
        """
        return self.max_tries != other.max_tries

    def without_job(self, *, failed: bool = False) -> SubmissionRecord:
        """
        Return what is left to know once its job is gone.

        :param failed: whether that ended as ``Error``.
        """
        return replace(self, ocr_task_id=None, in_doubt=False, failed_jobs=self.failed_jobs + int(failed))

    def with_files(self, files: tuple[str, ...]) -> SubmissionRecord:
        """
        Return it with files that this task instance has written.

        :param files: their URIs.
        """
        kept, left = [], _LONGEST_LIST
        for uri in dict.fromkeys((*files, *self.files)):
            left -= len(uri)
            if left < 0:
                break
            kept.append(uri)
        return replace(self, files=tuple(kept))

    @property
    def is_worth_keeping(self) -> bool:
        """Whether it says anything to a later try."""
        return bool(self.ocr_task_id or self.in_doubt or self.failed_jobs or self.files)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {**asdict(self), "files": list(self.files)}

    @classmethod
    def from_json(cls, kept: Any) -> SubmissionRecord | None:
        """
        Return what :meth:`to_json` described, or ``None`` where that is not one.

        :param kept: anything.
        """
        if not isinstance(kept, Mapping):
            return None
        known = {each.name: kept[each.name] for each in fields(cls) if each.name in kept}
        try:
            return cls(**{**known, "files": tuple(known.get("files") or ())})
        except TypeError:
            return None


def settings_digest(endpoint: Endpoint, settings: Settings) -> str:
    """
    Return a digest of how a document is to be read.

    :param endpoint: where.
    :param settings: how.
    """
    asked = json.dumps([endpoint.name, settings.to_wire()], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()
