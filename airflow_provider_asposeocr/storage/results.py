"""
A completed job's results, delivered: written to their files, and told in an XCom.

The job is paid for, and its results can be fetched again. So what cannot be delivered in full is delivered in part,
with a warning; where nothing can be, the error is one that a retry can mend.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_provider_asposeocr.api.endpoints import Endpoint, ResultShape
from airflow_provider_asposeocr.api.results import OcrTask, rectangles, result_type_named
from airflow_provider_asposeocr.api.settings import Settings
from airflow_provider_asposeocr.api.typed_results import typed_values
from airflow_provider_asposeocr.events import Event, told, warned
from airflow_provider_asposeocr.exceptions import AsposeOcrDeliveryError
from airflow_provider_asposeocr.storage.failures import PAID, delivering
from airflow_provider_asposeocr.storage.lineage import result_written
from airflow_provider_asposeocr.storage.outputs import OutputFiles
from airflow_provider_asposeocr.storage.writing import create_file, same_content, write_file
from airflow_provider_asposeocr.storage.xcoms import DEFAULT_MAX_XCOM_BYTES, Entry, job_xcom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)


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
    :raises AsposeOcrDeliveryError: where nothing came, or nothing of it can be delivered.
    :raises AsposeOcrProtocolError: where what came cannot be read. Both name the job: a retry fetches its result again.
    """
    with delivering(endpoint.name, task.id):
        _refuse_nothing(task)
        warnings = [*task.notices, *_missing(task, settings)]
        uris = _write(task, files, warnings) if files else [None] * len(task.entries)
        entries = [Entry(entry, uri) for entry, uri in zip(task.entries, uris, strict=True)]
        if not files:
            _without_place(task, warnings)
            _recommend_output_path(task, max_xcom_bytes)
        xcom = job_xcom(
            task,
            endpoint,
            entries,
            settings=settings,
            longest_text=max_xcom_bytes if files else None,
            warnings=warnings,
        )
        if endpoint.result_shape is ResultShape.RECTANGLES:
            xcom["regions"] = rectangles(task)
        xcom |= typed_values(task, endpoint.result_shape, max_xcom_bytes, warnings)
    for warning in warnings:
        ids = {"endpoint": endpoint.name, "ocr_task_id": task.id}
        warned(log, Event.RESULT_WARNING, "%s job %s: %s", *ids.values(), warning, **ids)
    return xcom


def _refuse_nothing(task: OcrTask) -> None:
    if not task.results:
        said = "".join(f" {notice}" for notice in task.notices)
        raise AsposeOcrDeliveryError(
            f"The job ended as Completed and is billed, but brought no result.{said} A retry asks for it again, "
            "and nothing is billed again; where it is lost, the document must be submitted anew."
        )


def _missing(task: OcrTask, settings: Settings | None) -> list[str]:
    """Say which results were asked for, and did not come. How many of them, regions tell."""
    if settings is None:
        return []
    came = {result.type.lower() for result in task.results}
    return [
        f"A result of type {part} was asked for, and none came."
        for part in settings.result_parts
        if part.lower() not in came
    ]


def _without_place(task: OcrTask, warnings: list[str]) -> None:
    """Leave what cannot stand in an XCom at the service; where there is nothing else, that is an error."""
    binary = [result for result in task.results if not result.kind.is_text]
    if not binary:
        return
    which = " and ".join(f"{result.type} ({result.size} bytes)" for result in binary)
    if len(binary) == len(task.results):
        raise AsposeOcrDeliveryError(
            f"The service sent a result of type {which}, which does not go into XCom, and there is no output_path. "
            f"{PAID} Set output_path first."
        )
    warnings.append(
        f"The service also sent a result of type {which}, which does not go into XCom, and there is no output_path: it "
        "is left at the service, where it can be fetched by the job's id for 24 hours."
    )


def _write(task: OcrTask, files: OutputFiles, warnings: list[str]) -> list[str | None]:
    """Write each result, and return its URI; an entry without content has none, but keeps its number."""
    entries = task.entries
    extensions = [result_type_named(entry if isinstance(entry, str) else entry.type).extension for entry in entries]
    uris: list[str | None] = []
    for entry, path, beside in zip(
        entries, files.named(extensions), files.beside(task.id).named(extensions), strict=True
    ):
        if isinstance(entry, str):
            uris.append(None)
            continue
        where = path if put(entry.content, path, files) else beside
        if where is beside:
            write_file(entry.content, beside)
            warnings.append(
                f"{path} appeared while the job ran, with other content: it is not replaced (overwrite=False), and the "
                f"result is in {beside}."
            )
        facts = {"type": entry.type, "size": entry.size, "ocr_task_id": task.id, "file": where}
        sentence = "Result of type %s (%d bytes) of job %s is in %s"
        told(log, Event.RESULT_WRITTEN, sentence, *facts.values(), **facts)
        uris.append(str(where))
    return uris


def put(content: BinaryIO, path: ObjectStoragePath, files: OutputFiles) -> bool:
    """
    Write a file, and say whether it stands there: in a folder, a file of another job may be in the way.

    :param content: what.
    :param path: where; one of ``files``.
    :param files: which files may be replaced.
    :raises AsposeOcrDeliveryError: where it has no other name to go to.
    """
    if files.may_replace(path):
        write_file(content, path)
        return True
    try:
        create_file(content, path)
        return True
    except FileExistsError as error:
        # Of an earlier try, that could not tell.
        if same_content(content, path):
            result_written(path)
            return True
        if files.single_name is None:
            return False
        raise AsposeOcrDeliveryError(
            f"{path} exists already, with other content: it is not replaced. {PAID} Remove the file, or set "
            "overwrite=True or another output_path first."
        ) from error


def _recommend_output_path(task: OcrTask, max_xcom_bytes: int) -> None:
    size = sum(result.size for result in task.results)
    if size > max_xcom_bytes:
        log.warning(
            "The results of job %s are %d bytes of XCom. Set output_path to keep large texts in files, "
            "with their URI in the XCom.",
            task.id,
            size,
        )
