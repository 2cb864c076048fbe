"""
What the service answers: the response object of the queue, and a completed job's results decoded.

``TaskResponse`` is the object on the wire; ``OcrTask`` is the same with typed state and decoded results. Sources:
``fetch-detected-regions`` and ``fetch-region-recognition-result`` in the vendor's documentation, and the models of its
Python client 24.11.0. Unknown properties, unknown result types and new codes do not break a client; an unknown
``taskStatus`` does, as nobody could say whether to go on waiting.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from airflow_provider_asposeocr.exceptions import AsposeOcrProtocolError


class TaskStatus(enum.StrEnum):
    """Where a job stands in the queue. Source: seeds, "Task statuses"."""

    PENDING = "Pending"
    PROCESSING = "Processing"
    COMPLETED = "Completed"
    ERROR = "Error"
    NOT_EXIST = "NotExist"

    @property
    def is_terminal(self) -> bool:
        """Whether the job will never leave this state."""
        return self not in (TaskStatus.PENDING, TaskStatus.PROCESSING)


class ResponseStatusCode(enum.StrEnum):
    """How a request went. Source: ``ResponseStatusCode`` of the vendor's client; new ones may come."""

    OK = "Ok"
    PARTIALLY_NOT_FOUND = "PartiallyNotFound"
    NO_ANY_RESULT_DATA = "NoAnyResultData"
    RESULT_DATA_LOST = "ResultDataLost"
    TASK_NOT_FOUND = "TaskNotFound"
    NOT_READY = "NotReady"
    ERROR = "Error"


class _AnswerModel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class ResultEntry(_AnswerModel):
    """One entry of ``results`` on the wire."""

    type: str
    data: str | None = None
    """Always Base64, plain text included."""


class ErrorDetails(_AnswerModel):
    """The ``error`` of an answer. Even a completed job can carry messages and warnings."""

    messages: list[str] = []
    warnings: list[str] = []

    @field_validator("messages", "warnings", mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        return [] if value is None else value


class TaskResponse(_AnswerModel):
    """The response object of every GET, as it stands on the wire."""

    id: str | None = None
    task_status: str
    response_status_code: str | None = None
    results: list[ResultEntry] | None = None
    error: ErrorDetails | None = None


@dataclass(frozen=True, slots=True)
class ResultType:
    """
    What we know of a type in ``results[].type``.

    :param extension: of a file that holds such a result. Never taken from the service.
    :param is_text: whether it is UTF-8 text, which may stand in an XCom; else it needs a file.
    """

    extension: str
    is_text: bool


RESULT_TYPES: dict[str, ResultType] = {
    "Text": ResultType(".txt", is_text=True),
    "Pdf": ResultType(".pdf", is_text=False),
    "Hocr": ResultType(".hocr", is_text=True),
    "Csv": ResultType(".csv", is_text=True),
    "Excel": ResultType(".xlsx", is_text=False),
    "JSON": ResultType(".json", is_text=True),
    "ImagePNG": ResultType(".png", is_text=False),
    "Wav": ResultType(".wav", is_text=False),
    "WavFile": ResultType(".wav", is_text=False),
    "Other": ResultType(".json", is_text=True),
}
"""Source: the result types of the vendor's documentation and client."""
UNKNOWN_RESULT_TYPE = ResultType(".bin", is_text=False)


def result_type_named(name: str) -> ResultType:
    """Return what is known of a result type; one the service may have added is taken as binary."""
    return RESULT_TYPES.get(name, UNKNOWN_RESULT_TYPE)


@dataclass(frozen=True, slots=True)
class OcrResult:
    """
    One decoded result of a completed job.

    :param type: the service's name of it, such as ``Text`` or ``Pdf``.
    :param content: the decoded bytes, a readable file at its start. Large ones lie on disk.
    :param size: how many bytes there are.
    """

    type: str
    content: BinaryIO = field(repr=False)
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


@dataclass(frozen=True, slots=True)
class OcrTask:
    """
    A job as the service reported it.

    :param id: the job's id.
    :param status: where it stands.
    :param response_status_code: the service's code; a name of :class:`ResponseStatusCode`, or one newer than that.
    :param results: the decoded results of a completed job, in the service's order.
    :param messages: the service's messages; on a completed job they are not fatal.
    :param warnings: the service's warnings.
    """

    id: str
    status: TaskStatus
    response_status_code: str | None = None
    results: tuple[OcrResult, ...] = ()
    messages: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def notices(self) -> list[str]:
        """What the service wants a user to know of a completed job: its warnings and its non-fatal messages."""
        notices = [*self.warnings, *self.messages]
        if self.status is TaskStatus.COMPLETED and self.response_status_code not in (None, ResponseStatusCode.OK):
            notices.append(f"The service's responseStatusCode is {self.response_status_code}.")
        return notices

    def of_type(self, name: str) -> list[OcrResult]:
        """The results of one type, in the service's order."""
        return [result for result in self.results if result.type == name]

    @property
    def text(self) -> str | None:
        """The recognized text, the entries joined by newlines; ``None`` where no text was asked for."""
        texts = [result.text for result in self.of_type("Text")]
        return "\n".join(texts) if texts else None


_NO_DETAILS = ErrorDetails()


def task_from_response(response: bytes, contents: Sequence[OcrResultContent] = ()) -> OcrTask:
    """
    Return the job that a response object describes.

    :param response: the object as JSON, in which the ``data`` of each result is the position of its content.
    :param contents: the decoded contents.
    :raises AsposeOcrProtocolError: where it is not JSON, not a response object, or of an unknown ``taskStatus``.
    """
    try:
        answer = TaskResponse.model_validate_json(response)
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
            f"The answer's taskStatus is {answer.task_status!r:.60}, which the protocol does not have. "
            f"Known: {', '.join(TaskStatus)}."
        ) from None
    details = answer.error or _NO_DETAILS
    return OcrTask(
        id=answer.id or "",
        status=status,
        response_status_code=answer.response_status_code,
        results=tuple(_decoded(answer.results or (), contents)),
        messages=tuple(details.messages),
        warnings=tuple(details.warnings),
    )


@dataclass(frozen=True, slots=True)
class OcrResultContent:
    """The decoded bytes of one ``data``, and how many there are."""

    file: BinaryIO
    size: int


def _decoded(entries: Iterable[ResultEntry], contents: Sequence[OcrResultContent]) -> Iterable[OcrResult]:
    for entry in entries:
        # A `data` of null stands for no content: such an entry is a notice at most, not a result.
        if entry.data is not None:
            content = contents[int(entry.data)]
            yield OcrResult(type=entry.type, content=content.file, size=content.size)


def rectangles(task: OcrTask) -> list[list[int]]:
    """
    Return the detected regions of a completed DetectRegions job: ``[[x1, y1, x2, y2], ...]`` in pixels.

    Source: fetch-detected-regions.

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
    """The texts of a completed RecognizeRegions job, one per region in ascending order of ``order``."""
    return [result.text for result in task.of_type("Text")]
