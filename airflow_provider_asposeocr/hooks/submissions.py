"""A document, checked and ready to be sent."""

from __future__ import annotations

import hashlib
import json

from airflow_provider_asposeocr.api.endpoints import Endpoint
from airflow_provider_asposeocr.api.settings import Settings
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.storage.documents import Document


class Submission(Value, frozen=True):
    """
    A checked document, ready to be sent.

    :param endpoint: where to.
    :param document: what.
    :param settings: how, as the user asked for it: by that a later try knows it again.
    :param sent: how, as it is sent: with regions cut at the edges of the image.
    """

    endpoint: Endpoint
    document: Document
    settings: Settings
    sent: Settings

    @property
    def fingerprint(self) -> str:
        """A digest of all that makes its result: endpoint, settings and the document's content (read once for it)."""
        parts = (self.endpoint.name, json.dumps(self.settings.to_wire(), sort_keys=True), self.document.sha256())
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
