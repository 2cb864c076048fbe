"""
The XCom of a completed job: plain JSON that any backend keeps.

Airflow keeps it as a whole, and each of its parts once more under a key of its own (``multiple_outputs``). So a long
text stands in it once only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_asposeocr.api.endpoints import Endpoint, ResultShape
from airflow_provider_asposeocr.api.results import OcrResult, OcrTask
from airflow_provider_asposeocr.api.settings import Settings
from airflow_provider_asposeocr.api.values import Value

DEFAULT_MAX_XCOM_BYTES = 48 * 1024
REPEATED_TEXT_BYTES = 8 * 1024
"""Up to so many bytes of text may stand in an XCom in several places, for those who look in another one."""


class Entry(Value, frozen=True):
    """
    One entry of ``results``, delivered.

    :param came: the result, or the type alone of one without content.
    :param uri: of its file, if it was written to one.
    """

    came: OcrResult | str
    uri: str | None

    @property
    def type(self) -> str:
        """The service's name of its type."""
        return self.came if isinstance(self.came, str) else self.came.type

    def text(self, longest: int | None, warnings: list[str]) -> str | None:
        """
        Return what may stand in the XCom of it: ``None`` for what is no text, did not come or is too long.

        :param longest: how many bytes that may be; ``None`` for any.
        :param warnings: is told where the text is not quite what came.
        """
        if isinstance(self.came, str) or not self.came.kind.is_text:
            return None
        if longest is not None and self.came.size > longest:
            return None
        content = self.came.read()
        place = "its file holds what came" if self.uri else "set output_path to keep what came"
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            text = content.decode("utf-8-sig", errors="replace")
            warnings.append(
                f"A result of type {self.type} is not UTF-8 text ({error.reason} at byte {error.start}): what cannot "
                f"be read is replaced by \N{REPLACEMENT CHARACTER} here; {place}."
            )
        if "\0" in text:
            # PostgreSQL's JSONB, in which Airflow keeps XComs, refuses it.
            text = text.replace("\0", "")
            warnings.append(f"A result of type {self.type} holds NUL characters, which are left out here; {place}.")
        return text


def job_xcom(
    task: OcrTask,
    endpoint: Endpoint,
    entries: Sequence[Entry],
    *,
    settings: Settings | None,
    longest_text: int | None,
    warnings: list[str],
) -> dict[str, Any]:
    """
    Return the XCom of a completed job.

    :param task: the job.
    :param endpoint: where it was submitted.
    :param entries: its results, delivered, in the service's order.
    :param settings: what it was submitted with, where that is known.
    :param longest_text: how many bytes of a text may stand in it; ``None`` for any.
    :param warnings: what a user should know; more may be added.
    """
    texts = [entry.text(longest_text, warnings) for entry in entries]
    results = [_told(entry, text) for entry, text in zip(entries, texts, strict=True)]
    files = [entry.uri for entry in entries if entry.uri is not None]
    xcom: dict[str, Any] = {
        "ocr_task_id": task.id,
        "endpoint": endpoint.name,
        "text": _joined(entries, texts),
        "results": results,
        "file": files[0] if files else None,
        "files": files,
        "warnings": warnings,
    }
    if endpoint.result_shape is ResultShape.PER_REGION and settings is not None:
        xcom["regions"] = _regions(entries, texts, settings, warnings)
    # What stands in `text`, or as rectangles in `regions`.
    elsewhere = "Other" if endpoint.result_shape is ResultShape.RECTANGLES else "Text" if xcom["text"] else ""
    repeated = [result for result in results if result["type"] == elsewhere and "text" in result]
    if sum(len(result["text"].encode()) for result in repeated) > REPEATED_TEXT_BYTES:
        for result in repeated:
            del result["text"]
    return xcom


def _told(entry: Entry, text: str | None) -> dict[str, Any]:
    told = {"type": entry.type, "file": entry.uri, "text": text}
    return {name: value for name, value in told.items() if value is not None}


def _joined(entries: Sequence[Entry], texts: Sequence[str | None]) -> str | None:
    """All texts as one, if there are any and each may stand in the XCom."""
    came = [
        text
        for entry, text in zip(entries, texts, strict=True)
        if entry.type == "Text" and isinstance(entry.came, OcrResult)
    ]
    known = [text for text in came if text is not None]
    return "\n".join(known) if came and len(known) == len(came) else None


def _regions(
    entries: Sequence[Entry], texts: Sequence[str | None], settings: Settings, warnings: list[str]
) -> list[dict[str, Any]]:
    """Each region with its text, in ascending order of ``order``, as the service returns them."""
    regions = sorted(getattr(settings, "regions", ()), key=lambda region: region.order)
    wanted = settings.result_parts[0]
    found = [(entry, text) for entry, text in zip(entries, texts, strict=True) if entry.type == wanted]
    if len(found) != len(regions):
        warnings.append(
            f"{len(regions)} regions were sent, {len(found)} results came back: which belongs to which is unknown, "
            "they stand in `results`."
        )
        return [_region(region, None) for region in regions]
    warnings += [
        f"Region {position} {region.rect.corners} came back without a result."
        for position, (region, (entry, _)) in enumerate(zip(regions, found, strict=True))
        if isinstance(entry.came, str)
    ]
    return [_region(region, text) for region, (_, text) in zip(regions, found, strict=True)]


def _region(region: Any, text: str | None) -> dict[str, Any]:
    return {"rect": region.rect.corners, "order": region.order, "text": text}
