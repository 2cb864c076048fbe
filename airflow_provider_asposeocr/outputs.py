"""
A completed job's results as files and as an XCom.

File names come from our own table of result types, never from the service. A file is written under a temporary name
beside its final one and renamed, so that a half-written file never bears the final name.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_provider_asposeocr.api.endpoints import Endpoint, ResultShape
from airflow_provider_asposeocr.exceptions import AsposeOcrError, AsposeOcrInputError
from airflow_provider_asposeocr.hooks.lineage import LOCAL_PROTOCOLS, open_untracked, result_written
from airflow_provider_asposeocr.hooks.result_files import ResultFile

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_asposeocr.api.results import OcrResult, OcrTask
    from airflow_provider_asposeocr.api.settings import Settings

log = logging.getLogger(__name__)

DEFAULT_MAX_XCOM_BYTES = 48 * 1024
_BLOCK = 256 * 1024


@dataclass(frozen=True, slots=True)
class OutputFiles:
    """
    Where the results of one document go.

    :param folder: the folder.
    :param stem: the files' name without extension.
    :param single_name: the name to use where there is one file only, as the user gave it.
    :param overwrite: whether to replace files of other jobs.
    """

    folder: ObjectStoragePath
    stem: str
    single_name: str | None
    overwrite: bool = False

    def named(self, extensions: Sequence[str]) -> list[ObjectStoragePath]:
        """
        Return the path of each result.

        :param extensions: of the results, in order. Equal ones are numbered.
        """
        if len(extensions) == 1:
            return [self.folder / (self.single_name or f"{self.stem}{extensions[0]}")]
        paths, seen = [], dict.fromkeys(extensions, 0)
        for extension in extensions:
            seen[extension] += 1
            number = f"-{seen[extension]}" if extensions.count(extension) > 1 else ""
            paths.append(self.folder / f"{self.stem}{number}{extension}")
        return paths

    def refuse_existing(self, extensions: Sequence[str], image: str) -> None:
        """
        Refuse to submit a document whose results would replace files of another job.

        :param extensions: of the expected results.
        :param image: the document, for the message.
        :raises AsposeOcrInputError: naming the file.
        """
        if self.overwrite:
            return
        for path in self.named(extensions):
            if path.exists():
                raise AsposeOcrInputError(
                    f"{path} exists already. Set overwrite=True to replace it, or another output_path. "
                    "Nothing was sent.",
                    image=image,
                )


def output_files(
    output_path: Any, image: str | None, ocr_task_id: str | None, storage_conn_id: str | None, overwrite: bool
) -> OutputFiles:
    """
    Return where the results of a document go.

    :param output_path: a folder (ends with a slash, exists as one, or has no extension) or a file.
    :param image: the document's path, whose name the files in a folder take.
    :param ocr_task_id: the job's id, which they take where there is no image.
    :param storage_conn_id: the Airflow connection of the storage.
    :param overwrite: whether to replace files of other jobs.
    """
    from airflow_provider_asposeocr.hooks.documents import storage_path  # noqa: PLC0415

    text = str(output_path)
    path = storage_path(output_path, storage_conn_id)
    name = PurePosixPath(text).name
    if text.endswith("/") or not PurePosixPath(name).suffix or path.is_dir():
        stem = PurePosixPath(image.rstrip("/")).stem if image else ""
        return OutputFiles(path, stem or ocr_task_id or "result", None, overwrite)
    return OutputFiles(path.parent, PurePosixPath(name).stem, name, overwrite)


def expected_extensions(endpoint: Endpoint, settings: Settings) -> list[str]:
    """
    Return the extensions of the files that a submission will bring.

    :param endpoint: where to.
    :param settings: its settings.
    """
    from airflow_provider_asposeocr.api.results import result_type_named  # noqa: PLC0415

    extensions = [result_type_named(part).extension for part in settings.result_parts]
    if endpoint.result_shape is ResultShape.PER_REGION:
        return extensions * len(getattr(settings, "regions", ()))
    return extensions


def require_output_path(settings: Settings, image: str) -> None:
    """
    Refuse binary results that have nowhere to go.

    :param settings: of the submission.
    :param image: the document, for the message.
    :raises AsposeOcrInputError: before anything is submitted.
    """
    from airflow_provider_asposeocr.api.results import result_type_named  # noqa: PLC0415

    binary = [part for part in settings.result_parts if not result_type_named(part).is_text]
    if binary:
        raise AsposeOcrInputError(
            f"A result of type {' and '.join(binary)} is a file and does not go into XCom: set output_path to a folder "
            "or file on any storage. Nothing was sent.",
            image=image,
        )


def deliver(
    task: OcrTask,
    endpoint: Endpoint,
    *,
    settings: Settings | None,
    files: OutputFiles | None,
    max_xcom_bytes: int = DEFAULT_MAX_XCOM_BYTES,
) -> dict[str, Any]:
    """
    Write a completed job's results where they belong, and return its XCom.

    :param task: the job, with its results.
    :param endpoint: where it was submitted.
    :param settings: what it was submitted with, where that is known: a sensor knows no regions.
    :param files: where results go; ``None`` for XCom only.
    :param max_xcom_bytes: with ``files``, larger texts stand in their file only.
    :raises AsposeOcrError: naming the job, whose result can be fetched again for 24 hours.
    """
    try:
        written = _write(task, files) if files else [None] * len(task.results)
        results = [_entry(result, uri, max_xcom_bytes) for result, uri in zip(task.results, written, strict=True)]
        if not files:
            _recommend_output_path(task, max_xcom_bytes)
        warnings = list(task.notices)
        xcom: dict[str, Any] = {
            "ocr_task_id": task.id,
            "endpoint": endpoint.name,
            "text": _text(results),
            "results": results,
            "warnings": warnings,
        }
        if endpoint.result_shape is ResultShape.RECTANGLES:
            from airflow_provider_asposeocr.api.results import rectangles  # noqa: PLC0415

            xcom["regions"] = rectangles(task)
        elif endpoint.result_shape is ResultShape.PER_REGION and settings is not None:
            xcom["regions"] = _regions(results, settings, warnings)
    except AsposeOcrError as error:
        error.about(endpoint=endpoint.name, ocr_task_id=task.id)
        raise
    for warning in warnings:
        log.warning("%s job %s: %s", endpoint.name, task.id, warning)
    return xcom


def _write(task: OcrTask, files: OutputFiles) -> list[str]:
    paths = files.named([result.kind.extension for result in task.results])
    for result, path in zip(task.results, paths, strict=True):
        if path.exists() and not files.overwrite and not _same_content(result.content, path):
            raise AsposeOcrInputError(
                f"{path} exists already, with other content: it is not replaced. The job is billed and completed; set "
                "overwrite=True or another output_path, and a retry fetches its result again."
            )
        write_file(result.content, path)
        log.info("Result of type %s (%d bytes) of job %s is in %s", result.type, result.size, task.id, path)
    return [str(path) for path in paths]


def write_file(content: BinaryIO, path: ObjectStoragePath) -> None:
    """
    Write a file under a temporary name and rename it.

    :param content: what; read from its start, in blocks.
    :param path: where. Its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not (isinstance(content, ResultFile) and path.protocol in LOCAL_PROTOCOLS and content.move_to(path.path)):
        _copy(content, path)
    result_written(path)


def _copy(content: BinaryIO, path: ObjectStoragePath) -> None:
    partial = path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
    content.seek(0)
    try:
        with open_untracked(partial, "wb") as file:
            while block := content.read(_BLOCK):
                file.write(block)
        path.fs.mv(partial.path, path.path)
    except BaseException:
        if partial.exists():
            partial.unlink()
        raise


def _same_content(content: BinaryIO, path: ObjectStoragePath) -> bool:
    content.seek(0)
    with open_untracked(path, "rb") as file:
        while True:
            block = content.read(_BLOCK)
            if file.read(len(block) or 1) != block:
                return False
            if not block:
                return True


def _entry(result: OcrResult, uri: str | None, max_xcom_bytes: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": result.type}
    if uri is not None:
        entry["file"] = uri
    if result.kind.is_text and (uri is None or result.size <= max_xcom_bytes):
        entry["text"] = result.text
    elif uri is None:
        raise AsposeOcrInputError(
            f"The service sent a result of type {result.type} ({result.size} bytes), which does not go into XCom, and "
            "there is no output_path. The job is billed and completed: set output_path, and a retry fetches it."
        )
    return entry


def _text(results: Iterable[Mapping[str, Any]]) -> str | None:
    texts = [entry.get("text") for entry in results if entry["type"] == "Text"]
    return "\n".join(text for text in texts if text is not None) if texts and None not in texts else None


def _regions(results: Sequence[Mapping[str, Any]], settings: Settings, warnings: list[str]) -> list[dict[str, Any]]:
    """Each region with its text, in ascending order of ``order``, as the service returns them."""
    regions = sorted(getattr(settings, "regions", ()), key=lambda region: region.order)
    entries = [entry for entry in results if entry["type"] == settings.result_parts[0]]
    if len(entries) != len(regions):
        warnings.append(
            f"{len(regions)} regions were sent, {len(entries)} results came back: which belongs to which is unknown, "
            "they stand in `results`."
        )
        entries = [{}] * len(regions)
    return [
        {"rect": region.rect.corners, "order": region.order, "text": entry.get("text")}
        for region, entry in zip(regions, entries, strict=True)
    ]


def _recommend_output_path(task: OcrTask, max_xcom_bytes: int) -> None:
    size = sum(result.size for result in task.results)
    if size > max_xcom_bytes:
        log.warning(
            "The results of job %s are %d bytes of XCom. Set output_path to keep large texts in files, "
            "with their URI in the XCom.",
            task.id,
            size,
        )
