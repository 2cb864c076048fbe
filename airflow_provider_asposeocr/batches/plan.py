"""What a batch is to do."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from airflow_provider_asposeocr.api.checks import parse_settings
from airflow_provider_asposeocr.api.endpoints import Endpoint
from airflow_provider_asposeocr.api.pacer import DEFAULT_CALLS_PER_DOCUMENT
from airflow_provider_asposeocr.api.polling import REPLICA_LAG, PollSchedule
from airflow_provider_asposeocr.api.settings import Settings
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.storage.outputs import expected_extensions

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

OnExisting = Literal["skip", "overwrite", "fail"]


class BatchPlan(Value, frozen=True):
    """
    What a batch is to do.

    :param endpoint: where to.
    :param settings: as the user gave them.
    :param regions: for RecognizeRegions: the same for each document.
    :param folder: where the results go.
    :param storage_conn_id: the Airflow connection of the storage of the documents.
    :param on_existing: what becomes of a document whose result is there.
    :param max_concurrency: how many jobs are at the service at once.
    :param timeout: seconds to wait for one job; ``None`` for ever.
    :param fail_fast: whether the first failure ends the batch.
    :param resubmit_on_ambiguity: whether to submit again what may have been billed already.
    :param resubmit_failed_jobs: whether to submit again, in each try, what ended as ``Error`` twice.
    :param resubmit_on_clear: whether a clear reads anew what this task instance has read.
    :param cancel_on_timeout: whether to cancel a job that does not end in time.
    :param max_tries: of the task instance: a user's clear raises it, a retry does not.
    :param max_submissions: how many submissions there may be in all tries.
    :param max_failures: with how many failed documents no more are submitted.
    :param calls_per_document: how many polls per job to aim at.
    :param schedule: when to ask again after a failed poll.
    :param doubt_patience: for how many seconds after its submission a job that is ``NotExist`` is not believed to be.
    """

    endpoint: Endpoint
    settings: Any
    regions: Any
    folder: ObjectStoragePath
    storage_conn_id: str | None = None
    on_existing: OnExisting = "skip"
    max_concurrency: int = 16
    timeout: float | None = 3600.0
    fail_fast: bool = False
    resubmit_on_ambiguity: bool = False
    resubmit_failed_jobs: bool = False
    resubmit_on_clear: bool = False
    cancel_on_timeout: bool = True
    max_tries: int = 0
    max_submissions: int | None = None
    max_failures: int | None = None
    calls_per_document: float = DEFAULT_CALLS_PER_DOCUMENT
    schedule: PollSchedule = msgspec.field(default_factory=PollSchedule)
    doubt_patience: float = REPLICA_LAG

    @property
    def overwrite(self) -> bool:
        """Whether files of other runs may be replaced."""
        return self.on_existing == "overwrite"

    @property
    def typed_settings(self) -> Settings:
        """
        The settings, checked.

        :raises AsposeOcrInputError: where they are wrong.
        """
        return parse_settings(self.endpoint, self.settings, self.regions)

    @property
    def extensions(self) -> list[str]:
        """Those of the files of each document."""
        return expected_extensions(self.endpoint, self.typed_settings)

    @property
    def fingerprint(self) -> str:
        """A digest of the endpoint and the settings: jobs of others are not gone on with."""
        wire = json.dumps(self.typed_settings.to_wire(), sort_keys=True)
        return hashlib.sha256(f"{self.endpoint.name}\n{wire}".encode()).hexdigest()[:16]
