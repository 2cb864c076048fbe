"""The body of a submission: a document as Base64, or for text to speech the text itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

from airflow_provider_asposeocr.api.endpoints import Endpoint
from airflow_provider_asposeocr.api.payload import SubmissionBody, settings_property
from airflow_provider_asposeocr.api.settings import Settings


class TextSubmissionBody(SubmissionBody):
    """
    ``{"text": "...", "settings": {...}}`` in one piece: what is to be spoken is short.

    :param open_document: opens the text, in UTF-8.
    :param size: of it, in bytes.
    :param settings: only what the user set is written. Source: ``TTSBody`` of the vendor's client 24.11.0.
    """

    def __init__(
        self, open_document: Callable[[], AbstractContextManager[BinaryIO]], size: int, settings: Settings
    ) -> None:
        super().__init__(open_document, size, settings)
        with open_document() as document:
            text = document.read().decode("utf-8-sig")
        self._whole = b'{"text":' + json.dumps(text).encode() + settings_property(settings) + b"}"

    def __len__(self) -> int:
        return len(self._whole)

    def __iter__(self) -> Iterator[bytes]:
        self.restart()
        self.may_be_complete = True
        yield self._whole
        # Reached when the consumer asks for more: it has sent all that came before.
        self.is_complete = True


def submission_body(
    endpoint: Endpoint, open_document: Callable[[], AbstractContextManager[BinaryIO]], size: int, settings: Settings
) -> SubmissionBody:
    """
    Return the body in which an endpoint takes a document.

    :param endpoint: where to.
    :param open_document: opens the document for reading.
    :param size: of the document, in bytes.
    :param settings: of the job.
    """
    kind = TextSubmissionBody if endpoint.payload == "text" else SubmissionBody
    return kind(open_document, size, settings)
