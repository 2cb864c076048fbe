"""
Where the results of a document go: which files on which storage, and whether they can be written.

File names come from our own table of result types, never from the service.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from airflow_provider_asposeocr.api.endpoints import Endpoint, ResultShape
from airflow_provider_asposeocr.api.results import FILE_EXTENSIONS, result_type_named
from airflow_provider_asposeocr.api.settings import Settings
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.storage.documents import storage_path
from airflow_provider_asposeocr.storage.failures import NOTHING_SENT, before_sending
from airflow_provider_asposeocr.storage.lineage import LOCAL_PROTOCOLS
from airflow_provider_asposeocr.storage.writing import ensure_writable

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

_LONGEST_NAME = 255
"""Bytes of a local file's name, on all usual file systems."""
_SHORT_ID = 8
"""Characters of a job's id that tell its file from another one's."""


class OutputFiles(Value, frozen=True):
    """
    Where the results of one document go.

    :param folder: the folder.
    :param stem: the files' name without extension; empty where only the job's id, which comes later, can be one.
    :param single_name: the name to use where there is one file only, as the user gave it.
    :param overwrite: whether to replace files of other jobs.
    :param own: URIs of files that this task instance wrote before, as its XCom names them: it may replace them.
    """

    folder: ObjectStoragePath
    stem: str
    single_name: str | None
    overwrite: bool = False
    own: frozenset[str] = frozenset()

    def may_replace(self, path: ObjectStoragePath) -> bool:
        """
        Say whether a file may be replaced, whatever is in it.

        :param path: one of :meth:`named`.
        """
        return self.overwrite or str(path) in self.own

    def named(self, extensions: Sequence[str]) -> list[ObjectStoragePath]:
        """
        Return the path of each result.

        :param extensions: of the results, in order. Equal ones are numbered.
        """
        stem = self.stem or "result"
        if len(extensions) == 1:
            return [self.folder / (self.single_name or f"{stem}{extensions[0]}")]
        paths, seen = [], dict.fromkeys(extensions, 0)
        for extension in extensions:
            seen[extension] += 1
            number = f"-{seen[extension]}" if extensions.count(extension) > 1 else ""
            paths.append(self.folder / f"{stem}{number}{extension}")
        return paths

    def beside(self, ocr_task_id: str) -> OutputFiles:
        """
        Return the files to write where others have taken the names since they were looked at.

        :param ocr_task_id: the job's id, whose beginning the names bear: another try finds its own.
        """
        # Room for the id, a number and the extension.
        stem = (self.stem or "result").encode(errors="surrogateescape")[: _LONGEST_NAME - 32].decode(errors="ignore")
        return replace(self, stem=f"{stem}.{ocr_task_id[:_SHORT_ID]}")

    def make_ready(self, extensions: Sequence[str], image: str) -> None:
        """
        See, before anything is billed, that the results can be written: no other file has their name, and the folder
        can be made and written to.

        :param extensions: of the expected results.
        :param image: the document, for the message.
        :raises AsposeOcrInputError: naming the file or folder.
        :raises AsposeOcrStorageError: the storage is not there, or not well.
        """
        with before_sending(f"The results cannot be written to {self.folder}", image):
            for path in self._known(extensions):
                if reason := self._why_not(path):
                    raise AsposeOcrInputError(f"{path} {reason} {NOTHING_SENT}", image=image)
            ensure_writable(self.folder)

    def _why_not(self, path: ObjectStoragePath) -> str | None:
        if path.protocol in LOCAL_PROTOCOLS and len(path.name.encode(errors="surrogateescape")) > _LONGEST_NAME:
            return "is too long a name for a file: set output_path to a file with a shorter one."
        if not self.may_replace(path):
            taken = path.exists()
            return "exists already. Set overwrite=True to replace it, or another output_path." if taken else None
        return "is a folder: set another output_path." if path.is_dir() else None

    def _known(self, extensions: Sequence[str]) -> Iterable[ObjectStoragePath]:
        return self.named(extensions) if self.stem or self.single_name else ()


def output_files(
    output_path: Any, image: Any, ocr_task_id: str | None, storage_conn_id: str | None, overwrite: bool
) -> OutputFiles | None:
    """
    Return where the results of a document go; ``None`` where no path was given, or a template rendered to none.

    A path is a folder if it ends with a slash, exists as one, or does not end with an extension of a result; else it is
    a file.

    :param output_path: a folder or a file.
    :param image: the document as the user named it: files in a folder take its name.
    :param ocr_task_id: the job's id, which they take where the document has no name.
    :param storage_conn_id: the Airflow connection of the storage.
    :param overwrite: whether to replace files of other jobs.
    :raises AsposeOcrInputError: where nothing opens such a path.
    :raises AsposeOcrStorageError: the storage is not there, or not well.
    """
    if not names_a_place(output_path):
        return None
    text = str(output_path)
    path = storage_path(output_path, storage_conn_id)
    name = PurePosixPath(text).name
    with before_sending(f"{text} cannot be looked at"):
        is_folder = text.endswith("/") or path.is_dir() or not (_names_a_result(name) or path.is_file())
    if is_folder:
        return OutputFiles(path, _stem_of(image) or ocr_task_id or "", None, overwrite)
    return OutputFiles(path.parent, PurePosixPath(name).stem, name, overwrite)


def names_a_place(output_path: Any) -> bool:
    """
    Say whether an output path is given at all: a template may have rendered to nothing.

    :param output_path: a folder or a file.
    """
    return output_path is not None and str(output_path).strip() not in ("", "None")


def _names_a_result(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in FILE_EXTENSIONS


def _stem_of(image: Any) -> str:
    """The name without extension of a stored document or open file. Bytes have none, and are quoted nowhere."""
    name = image if isinstance(image, str) or hasattr(image, "__fspath__") or hasattr(image, "fs") else None
    if name is None:
        name = getattr(image, "name", None)
        name = name if isinstance(name, str) else ""
    return PurePosixPath(str(name).rstrip("/")).stem


def expected_extensions(endpoint: Endpoint, settings: Settings) -> list[str]:
    """
    Return the extensions of the files that a submission will bring.

    :param endpoint: where to.
    :param settings: its settings.
    """
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
    binary = [part for part in settings.result_parts if not result_type_named(part).is_text]
    if binary:
        raise AsposeOcrInputError(
            f"A result of type {' and '.join(binary)} is a file and does not go into XCom: set output_path to a folder "
            "or file on any storage (it is not set, or its template rendered to nothing). "
            f"{NOTHING_SENT}",
            image=image,
        )
