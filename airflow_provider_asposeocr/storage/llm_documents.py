"""
A result as documents for language models: ``[{"text", "metadata"}]``, what loaders of documents return.

The text stands in the XCom once: in these, and not in its other keys.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_asposeocr.api.endpoints import Endpoint, ResultShape
from airflow_provider_asposeocr.api.results import OcrResult, OcrTask
from airflow_provider_asposeocr.api.settings import Settings
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.storage.failures import NOTHING_SENT
from airflow_provider_asposeocr.storage.xcoms import Entry

_TYPES = ("Text", "Csv")
"""The result types that are text to be read; markup is none."""
_DEFAULT_LANGUAGE = "English"
"""Source: "Sending image for recognition", docs.aspose.cloud/ocr/send-image-for-recognition/."""


def require_text(settings: Settings, image: str) -> None:
    """
    Refuse a submission that will bring no text for documents.

    :param settings: of the submission.
    :param image: the document, for the message.
    :raises AsposeOcrInputError: before anything is submitted.
    """
    if not {part.lower() for part in settings.result_parts} & {kind.lower() for kind in _TYPES}:
        raise AsposeOcrInputError(
            f"as_documents=True needs a result of type {' or '.join(_TYPES)}, and the settings ask for "
            f"{' and '.join(settings.result_parts)} alone: ask for text too, such as TextAndPdf. {NOTHING_SENT}",
            image=image,
        )


def in_documents(
    xcom: dict[str, Any],
    task: OcrTask,
    endpoint: Endpoint,
    *,
    settings: Settings,
    source: str | None,
    longest_text: int | None,
) -> dict[str, Any]:
    """
    Return the XCom of a delivered job with its texts as ``documents``, and nowhere else.

    One document per text that came: one for a page, one per region of RecognizeRegions. What is blank is none. A text
    that is too long for the XCom is ``None``, and its metadata names its ``file``.

    :param xcom: of the job.
    :param task: the job, with its results.
    :param endpoint: where it was submitted.
    :param settings: with what.
    :param source: the document's path or URI, where it has one.
    :param longest_text: how many bytes of a text may stand in it; ``None`` for any.
    """
    found = [
        (entry, told)
        for entry, told in zip(task.entries, xcom["results"], strict=True)
        if isinstance(entry, OcrResult) and entry.type in _TYPES
    ]
    whole = {
        "source": source,
        "endpoint": endpoint.name,
        "ocr_task_id": xcom["ocr_task_id"],
        "language": str(getattr(settings, "language", None) or _DEFAULT_LANGUAGE),
    }
    regions = _places(xcom, task, endpoint)
    documents = []
    for number, (entry, told) in enumerate(found, 1):
        uri = told.get("file")
        text = Entry(entry, uri).text(longest_text, [])
        if text is not None and not text.strip():
            continue
        metadata = {**whole, "file": uri, "part": number if len(found) > 1 else None, **regions.get(id(entry), {})}
        documents.append(
            {"text": text, "metadata": {name: value for name, value in metadata.items() if value is not None}}
        )
    for _, told in found:
        told.pop("text", None)
    changed = {**xcom, "text": None, "documents": documents}
    if "regions" in xcom:
        changed["regions"] = [{**region, "text": None} for region in xcom["regions"]]
    if any(document["text"] is None for document in documents):
        changed["warnings"] = [
            *xcom["warnings"],
            "A text is longer than max_xcom_bytes: in `documents` it is None, and its metadata names its file.",
        ]
    return changed


def _places(xcom: dict[str, Any], task: OcrTask, endpoint: Endpoint) -> dict[int, dict[str, Any]]:
    """Where on the image the text of each entry stands, by the entry's identity; nothing where that is not certain."""
    if endpoint.result_shape is not ResultShape.PER_REGION:
        return {}
    regions = xcom.get("regions") or []
    entries = [entry for entry in task.entries if (entry if isinstance(entry, str) else entry.type) in _TYPES]
    if len(entries) != len(regions):
        return {}
    return {
        id(entry): {"rect": region["rect"], "order": region["order"]}
        for entry, region in zip(entries, regions, strict=True)
    }
