"""
A completed job's results decoded, and what is known of their types.

``OcrTask`` is what the service said of a job (:mod:`airflow_provider_asposeocr.api.answers`) with typed state and
decoded results. Sources: "Fetching image regions" (docs.aspose.cloud/ocr/fetch-regions/), "Fetching regions recognition
result" (docs.aspose.cloud/ocr/fetch-region-recognition-result/), and the models of the vendor's Python client 24.11.0.
Unknown result types and new codes do not break a client; an unknown ``taskStatus`` does, as nobody could say whether to
go on waiting.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO, ClassVar

from pydantic import ValidationError

from airflow_provider_asposeocr.api.answers import (
    ErrorDetails,
    ResponseStatusCode,
    ResultEntry,
    TaskResponse,
    TaskStatus,
)
from airflow_provider_asposeocr.api.texts import MOST_TEXTS, service_text, service_texts
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.exceptions import AsposeOcrProtocolError


class ResultType(Value, frozen=True):
    """
    What we know of a type in ``results[].type``.

    :param extension: of a file that holds such a result. Never taken from the service.
    :param is_text: whether it is UTF-8 text, which may stand in an XCom; else it needs a file.
    :param also: what else a user may call such a file.
    """

    extension: str
    is_text: bool
    also: tuple[str, ...] = ()


RESULT_TYPES: dict[str, ResultType] = {
    "Text": ResultType(".txt", is_text=True, also=(".text", ".md")),
    "Pdf": ResultType(".pdf", is_text=False),
    "Hocr": ResultType(".hocr", is_text=True, also=(".html", ".htm", ".xhtml", ".xml")),
    "Csv": ResultType(".csv", is_text=True),
    "Excel": ResultType(".xlsx", is_text=False),
    "JSON": ResultType(".json", is_text=True),
    "ImagePNG": ResultType(".png", is_text=False),
    "Wav": ResultType(".wav", is_text=False),
    "WavFile": ResultType(".wav", is_text=False),
    "Other": ResultType(".json", is_text=True),
}
"""Source: "Result format", docs.aspose.cloud/ocr/result-format/, and the vendor's client."""
UNKNOWN_RESULT_TYPE = ResultType(".bin", is_text=False)
FILE_EXTENSIONS = frozenset(
    extension for kind in (*RESULT_TYPES.values(), UNKNOWN_RESULT_TYPE) for extension in (kind.extension, *kind.also)
)
"""What a path ends with that names a file for a result."""


def result_type_named(name: str) -> ResultType:
    """
    Return what is known of a result type; one the service may have added is taken as binary.

    :param name: the service's name of it.
    """
    return RESULT_TYPES.get(name, UNKNOWN_RESULT_TYPE)


class OcrResult(Value, frozen=True):
    """
    One decoded result of a completed job.

    :param type: the service's name of it, such as ``Text`` or ``Pdf``.
    :param content: the decoded bytes, a readable file at its start. Large ones lie on disk.
    :param size: how many bytes there are.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("content",)

    type: str
    content: BinaryIO
    size: int

    @property
    def kind(self) -> ResultType:
        """What is known of its type."""
        return result_type_named(self.type)

    def read(self) -> bytes:
        """All the decoded bytes."""
        self.content.seek(0)
        return self.content.read()

    @property
    def text(self) -> str:
        """
        The decoded text.

        :raises AsposeOcrProtocolError: where it is not UTF-8.
        """
        try:
            return self.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise AsposeOcrProtocolError(
                f"A result of type {self.type} ({self.size} bytes) is not UTF-8 text: {error.reason} "
                f"at byte {error.start}."
            ) from None


class OcrTask(Value, frozen=True):
    """
    A job as the service reported it.

    :param id: the job's id.
    :param status: where it stands.
    :param response_status_code: the service's code; a name of :class:`ResponseStatusCode`, or one newer than that.
    :param results: the decoded results of a completed job, in the service's order.
    :param messages: the service's messages; on a completed job they are not fatal.
    :param warnings: the service's warnings.
    :param absent: the position and the type of each entry that has no content (``data`` of null).
    """

    id: str
    status: TaskStatus
    response_status_code: str | None = None
    results: tuple[OcrResult, ...] = ()
    messages: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    absent: tuple[tuple[int, str], ...] = ()

    @property
    def entries(self) -> list[OcrResult | str]:
        """All entries in the service's order; of one without content the type alone. Regions go by the position."""
        entries: list[OcrResult | str] = list(self.results)
        for position, kind in self.absent:
            entries.insert(position, kind)
        return entries

    @property
    def notices(self) -> list[str]:
        """What the service wants a user to know of a completed job: its warnings and its non-fatal messages."""
        notices = [*self.warnings, *self.messages]
        if self.status is TaskStatus.COMPLETED and self.response_status_code not in (None, ResponseStatusCode.OK):
            notices.append(f"The service's responseStatusCode is {self.response_status_code}.")
        return notices

    def of_type(self, name: str) -> list[OcrResult]:
        """
        Return the results of one type, in the service's order.

        :param name: the service's name of the type, such as ``Pdf``.
        """
        return [result for result in self.results if result.type == name]

    @property
    def text(self) -> str | None:
        """The recognized text, the entries joined by newlines; ``None`` where no text was asked for."""
        texts = [result.text for result in self.of_type("Text")]
        return "\n".join(texts) if texts else None


_NO_DETAILS = ErrorDetails()
_LONGEST_NAME = 100


def task_from_response(response: bytes, contents: Sequence[OcrResultContent] = ()) -> OcrTask:
    """
    Return the job that a response object describes.

    :param response: the object as JSON, in which the ``data`` of each result is the position of its content.
    :param contents: the decoded contents.
    :raises AsposeOcrProtocolError: where it is not JSON, not a response object, or of an unknown ``taskStatus``.
    """
    try:
        answer = _read(response)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in found['loc']) or 'body'}: {found['msg']}"
            for found in error.errors(include_url=False, include_input=False)[:5]
        )
        raise AsposeOcrProtocolError(f"The answer is not a response object of Aspose.OCR Cloud: {faults}.") from None
    try:
        status = TaskStatus(answer.task_status)
    except ValueError:
        raise AsposeOcrProtocolError(
            f"The answer's taskStatus is {service_text(answer.task_status, 60)!r}, which the protocol does not have. "
            f"Known: {', '.join(TaskStatus)}."
        ) from None
    details = answer.error or _NO_DETAILS
    entries = answer.results or ()
    code = answer.response_status_code
    # Where there are many of both, half of them are warnings.
    messages = service_texts(details.messages, max(MOST_TEXTS // 2, MOST_TEXTS - len(details.warnings)))
    return OcrTask(
        id=service_text(answer.id or "", _LONGEST_NAME),
        status=status,
        response_status_code=None if code is None else service_text(code, _LONGEST_NAME),
        results=tuple(_decoded(entries, contents)),
        absent=tuple(
            (position, service_text(entry.type, _LONGEST_NAME))
            for position, entry in enumerate(entries)
            if entry.data is None
        ),
        messages=messages,
        warnings=service_texts(details.warnings, MOST_TEXTS - len(messages)),
    )


def _read(response: bytes) -> TaskResponse:
    try:
        return TaskResponse.model_validate_json(response)
    except ValidationError:
        # The state of a paid job is not lost over a message with half a surrogate pair, or of another encoding.
        try:
            mended = json.dumps(json.loads(response.decode("utf-8", "replace")), ensure_ascii=False)
        except (ValueError, RecursionError):
            mended = ""
        if not mended:
            raise
        return TaskResponse.model_validate_json(mended.encode("utf-8", "replace"))


class OcrResultContent(Value, frozen=True):
    """
    What one ``data`` holds, decoded.

    :param file: with the bytes, at its start.
    :param size: how many there are.
    """

    file: BinaryIO
    size: int


def _decoded(entries: Iterable[ResultEntry], contents: Sequence[OcrResultContent]) -> Iterable[OcrResult]:
    for entry in entries:
        # A `data` of null stands for no content: such an entry is a notice at most, not a result.
        if entry.data is not None:
            content = contents[int(entry.data)]
            yield OcrResult(type=service_text(entry.type, _LONGEST_NAME), content=content.file, size=content.size)


def rectangles(task: OcrTask) -> list[list[int]]:
    """
    Return the detected regions of a completed DetectRegions job: ``[[x1, y1, x2, y2], ...]`` in pixels.

    Source: "Fetching image regions", docs.aspose.cloud/ocr/fetch-regions/.

    :param task: the job, with its results.
    :raises AsposeOcrProtocolError: where the data is not a JSON array of four whole numbers each.
    """
    found: list[list[int]] = []
    for result in task.of_type("Other"):
        try:
            decoded = json.loads(result.text)
        except (ValueError, RecursionError):
            raise _not_rectangles(task, "it is not JSON") from None
        if not isinstance(decoded, list):
            raise _not_rectangles(task, f"it is a JSON {type(decoded).__name__}")
        for rectangle in decoded:
            if not (isinstance(rectangle, list) and len(rectangle) == 4 and all(_is_whole(edge) for edge in rectangle)):
                raise _not_rectangles(task, f"entry {len(found)} is not four whole numbers")
            found.append([int(edge) for edge in rectangle])
    return found


def _is_whole(number: Any) -> bool:
    if isinstance(number, bool):
        return False
    return isinstance(number, int) or (isinstance(number, float) and number.is_integer())


def _not_rectangles(task: OcrTask, why: str) -> AsposeOcrProtocolError:
    return AsposeOcrProtocolError(
        f"The detected regions of job {task.id} cannot be read: {why}. The job is billed; its result can be fetched "
        "again by its id for 24 hours.",
        ocr_task_id=task.id,
    )


def region_texts(task: OcrTask) -> list[str]:
    """
    Return the texts of a completed RecognizeRegions job, one per region in ascending order of ``order``.

    Source: "Fetching regions recognition result", docs.aspose.cloud/ocr/fetch-region-recognition-result/.

    :param task: the job, with its results.
    :raises AsposeOcrProtocolError: where one is not UTF-8.
    """
    return [result.text for result in task.of_type("Text")]
