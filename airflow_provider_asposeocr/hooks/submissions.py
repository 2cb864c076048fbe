"""A document, checked and ready to be sent."""

from __future__ import annotations

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
