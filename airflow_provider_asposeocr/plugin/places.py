"""
Which files the page may read: those that the task itself names, where it was told to write them.

The page reads with the rights of the API server and of Airflow's connections, for people who may have fewer. So a file
is read only if the XCom (or the manifest of the batch) names it **and** it lies where the task's ``output_path`` says,
as Airflow has kept that when it rendered the task's fields: who can edit an XCom cannot edit those. Nothing of a path
ever comes from the address of the page. A document must be one by its first bytes; a result must be called like one.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from airflow.providers.common.compat.sdk import conf
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from airflow_provider_asposeocr.api.formats import DJVU_FORMATS, IMAGE_FORMATS, PDF_FORMATS
from airflow_provider_asposeocr.api.images import ImageFacts
from airflow_provider_asposeocr.api.results import FILE_EXTENSIONS
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.plugin.refusals import NotShownError
from airflow_provider_asposeocr.storage.documents import Document, document, storage_path
from airflow_provider_asposeocr.storage.lineage import LOCAL_PROTOCOLS, open_untracked
from airflow_provider_asposeocr.storage.outputs import names_a_place

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

DRAWABLE = (*IMAGE_FORMATS, *PDF_FORMATS, *DJVU_FORMATS)
MANIFEST_NAME = "manifest*.jsonl"
_CUT = "Truncated. "
"""How a field begins that was too long for Airflow to keep."""
_SHORT_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(/.*)?", re.ASCII | re.DOTALL)
"""A URI without an authority, such as ``file:/x``."""
_DROPPED = (
    "Airflow has not kept where this task reads and writes: it drops the rendered fields of older runs "
    "([core] max_num_rendered_ti_fields_per_task). What stands in the XCom is shown; the files are where they were."
)


@dataclass(frozen=True, slots=True)
class _Spelt:
    """A path or URI as text: its scheme, what is behind it, and a connection's id that stands between them."""

    scheme: str
    path: str
    conn_id: str = field(default="", compare=False)

    @classmethod
    def of(cls, uri: str) -> _Spelt:
        scheme, divider, rest = uri.partition("://")
        if not divider and (short := _SHORT_URI.match(uri)):
            # What opens files takes it for a URI as well, and not for the name of a file.
            return cls(short[1].lower(), short[2]) if short[2] else cls(uri, "")
        if not divider:
            return cls("file", os.path.abspath(uri))  # noqa: PTH100 - resolves no links
        if scheme in LOCAL_PROTOCOLS:
            return cls("file", rest)
        authority, slash, path = rest.partition("/")
        conn_id, _, authority = authority.rpartition("@")
        return cls(scheme, authority + slash + path, conn_id)


class Places(Value, frozen=True):
    """
    Where one task instance reads and writes.

    :param fields: its rendered template fields.
    """

    UNSAID: ClassVar[tuple[str, ...]] = ("fields",)

    fields: Mapping[str, Any]

    def result(self, uri: Any, *, extensions: frozenset[str] = FILE_EXTENSIONS) -> ObjectStoragePath:
        """
        Return the file of a result.

        :param uri: as the XCom or the manifest names it.
        :param extensions: what it may end with.
        :raises NotShownError: where it is not below the task's ``output_path``, or no file of a result.
        """
        root = self._output_path()
        name = str(uri) if isinstance(uri, str) else ""
        if posixpath.splitext(name)[1].lower() not in extensions or not _is_plain(name):
            raise NotShownError("The XCom names something that is no file of a result: it is not read.")
        relative = _below(_Spelt.of(name), _Spelt.of(root))
        folder, single = (root, "") if relative is not None else posixpath.split(root.rstrip("/"))
        if relative is None:
            # output_path is a file: its name, or that with other extensions.
            relative = _below(_Spelt.of(name), _Spelt.of(folder)) or ""
            stem, extension = posixpath.splitext(single)
            is_one_of_it = relative.startswith(f"{stem}.") or relative.startswith(f"{stem}-")
            if "/" in relative or not is_one_of_it or extension.lower() not in extensions:
                raise NotShownError("The XCom names a file that is not below the task's output_path: it is not read.")
        with _said("The result's storage"):
            path = storage_path(folder.rstrip("/") or "/", self._output_connection()) / relative
        return self._readable(path, folder)

    def manifest(self, uri: Any) -> ObjectStoragePath:
        """
        Return the manifest of a batch.

        :param uri: as the XCom names it.
        :raises NotShownError: as :meth:`result`.
        """
        if not fnmatchcase(posixpath.basename(str(uri)), MANIFEST_NAME):
            raise NotShownError("The XCom names something that is no manifest: it is not read.")
        return self.result(uri, extensions=frozenset({".jsonl"}))

    def manifest_of_progress(self, map_index: int) -> str:
        """
        Return the URI of the manifest of a batch that has not ended well.

        :param map_index: of the task instance.
        """
        name = f"manifest-{map_index}.jsonl" if map_index >= 0 else "manifest.jsonl"
        return f"{self._output_path().rstrip('/')}/{name}"

    def document(self) -> tuple[Document, ImageFacts]:
        """
        Return the task's document, and what its first bytes tell.

        :raises NotShownError: where it is not known, not there, or neither an image nor a PDF.
        """
        return self._opened(*_path_and_connection(self._field("image")))

    def document_of_batch(self, image: Any) -> tuple[Document, ImageFacts]:
        """
        Return one document of a batch.

        :param image: as the manifest names it.
        :raises NotShownError: as :meth:`document`, or where the task was not told to read it.
        """
        if not isinstance(image, str) or not _is_plain(image) or not _is_named(image, self.fields.get("images")):
            raise NotShownError("The manifest names a document that the task was not told to read: it is not read.")
        return self._opened(image, None)

    def _opened(self, image: str, conn_id: str | None) -> tuple[Document, ImageFacts]:
        if not _is_plain(image):
            raise NotShownError("The document's path is none that the page reads.")
        conn_id = conn_id or self._connection("storage_conn_id")
        with _said("The document"):
            path = storage_path(image, conn_id)
            if _is_local(path):
                _require_local(path.path)
            found = document(image, conn_id)
            return found, found.facts(DRAWABLE)

    def _readable(self, path: ObjectStoragePath, folder: str) -> ObjectStoragePath:
        if not _is_local(path):
            return path
        real, root = os.path.realpath(path.path), os.path.realpath(_Spelt.of(folder).path)
        if real != root and not real.startswith(f"{root.rstrip('/')}/"):
            raise NotShownError("The file is a link that leads out of the task's output_path: it is not read.")
        _require_local(real)
        if not os.path.isfile(real):  # noqa: PTH113 - as above
            raise NotShownError(
                f"{path.path} is not on the disk of the API server. Results on a shared storage can be shown here."
            )
        return path

    def _output_path(self) -> str:
        path, _ = _path_and_connection(self._field("output_path"))
        if not names_a_place(path):
            raise NotShownError("The task has no output_path: it has written no files.")
        return path

    def _output_connection(self) -> str | None:
        return self._connection("output_storage_conn_id") or self._connection("storage_conn_id")

    def _connection(self, name: str) -> str | None:
        _, own = _path_and_connection(self.fields.get("output_path"))
        value = self.fields.get(name)
        return value if isinstance(value, str) and value and value != "None" else own

    def _field(self, name: str) -> Any:
        if not self.fields:
            raise NotShownError(_DROPPED)
        value = self.fields.get(name)
        if isinstance(value, str) and value.startswith(_CUT):
            raise NotShownError(f"`{name}` was too long for Airflow to keep ([core] max_templated_field_length).")
        if value is None:
            raise NotShownError(f"The task does not say its `{name}`.")
        return value


def opened(path: ObjectStoragePath) -> Any:
    """
    Open a file for reading.

    :param path: of :class:`Places`.
    :raises NotShownError: where it is not there, or its storage not well.
    """
    with _said("The file"):
        return open_untracked(path, "rb")


def begun(content: Iterator[bytes]) -> Iterator[bytes]:
    """
    Return the same content with its first block read: what cannot be read is said while there is no answer yet.

    :param content: of a file, in blocks.
    :raises NotShownError: where it is not there any more, or its storage not well.
    """
    with _said("The file"):
        first = next(content, b"")
    return chain((first,), content)


def beginning_of(path: ObjectStoragePath, most: int) -> tuple[str, bool]:
    """
    Return the text of a file, and whether that is all.

    :param path: of :class:`Places`.
    :param most: bytes to read.
    :raises NotShownError: where it is not there, or its storage not well.
    """
    with _said("The file"), open_untracked(path, "rb") as file:
        content = _read(file, most + 1)
    return content[:most].decode("utf-8-sig", errors="replace"), len(content) <= most


def _read(file: BinaryIO, most: int) -> bytes:
    blocks, left = [], most
    while left > 0 and (block := file.read(left)):
        blocks.append(block)
        left -= len(block)
    return b"".join(blocks)


@contextmanager
def _said(what: str) -> Iterator[None]:
    """Say whatever a storage raises in a sentence without its words: they may hold what is not the user's to see."""
    try:
        yield
    except NotShownError:
        raise
    except FileNotFoundError as error:
        raise NotShownError(f"{what} is not there any more, or not where the API server can see it.") from error
    except AsposeOcrInputError as error:
        raise NotShownError(
            f"{what} is not there any more, not where the API server can see it, or neither an image nor a PDF."
        ) from error
    except Exception as error:
        raise NotShownError(f"{what} cannot be read from here ({type(error).__name__}).", status=502) from error


def _is_local(path: ObjectStoragePath) -> bool:
    """Whether it is on this disk: by what opens it, for there are several ways to spell that (``local://``)."""
    return isinstance(path.fs, LocalFileSystem)


def _is_plain(path: str) -> bool:
    """Whether a path goes nowhere but down, and through one storage: ``zip://x::file:///y`` opens another inside."""
    if not path or "\0" in path or ("::" in path and "://" in path):
        return False
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        # No file is called so.
        return False
    return not any(part == ".." for part in path.replace("\\", "/").split("/"))


def _below(path: _Spelt, root: _Spelt) -> str | None:
    """The part of a path behind its root."""
    start = f"{root.path.rstrip('/')}/"
    if path.scheme != root.scheme or not path.path.startswith(start):
        return None
    return posixpath.normpath(path.path[len(start) :].lstrip("/"))


def _is_named(image: str, images: Any) -> bool:
    """
    Whether a batch was told to read a document, with such a connection. Of a list that was too long to keep, the
    manifest knows more.
    """
    own: str | None = None
    if isinstance(images, Mapping):
        images, own = _path_and_connection(images.get("folder", images))
    if isinstance(images, list):
        return image in images
    if not isinstance(images, str) or not images:
        return False
    found = _Spelt.of(image)
    if images.startswith((_CUT, "[", "{")):
        if images.startswith(_CUT):
            return not found.conn_id or f"{found.conn_id}@" in images
        return any(f"{mark}{image}{mark}" in images for mark in "'\"")
    start = images.partition("*")[0].partition("?")[0].partition("[")[0]
    folder, begins = (images, "") if start == images else posixpath.split(start)
    root = _Spelt.of(folder or ".")
    if found.conn_id not in ("", own, root.conn_id):
        return False
    relative = _below(found, root)
    return found == root or (relative is not None and relative.startswith(begins))


def _path_and_connection(value: Any) -> tuple[str, str | None]:
    """A rendered path: text, or what Airflow makes of an ``ObjectStoragePath``."""
    if isinstance(value, Mapping):
        conn_id = value.get("conn_id")
        return str(value.get("path") or ""), str(conn_id) if conn_id else None
    return (value, None) if isinstance(value, str) else ("", None)


def _require_local(path: str) -> None:
    """Keep to the folders that the administrator has named."""
    allowed = str(conf.get("aspose_ocr", "result_page_local_folders", fallback="") or "").strip()
    if not allowed:
        return
    real = os.path.realpath(path)
    folders = [os.path.realpath(each.strip()) for each in allowed.split(",") if each.strip() not in ("", "none")]
    if not any(real == folder or real.startswith(f"{folder.rstrip('/')}/") for folder in folders):
        raise NotShownError(
            "The page may not read this folder of the API server's disk: the administrator has not named it in "
            "[aspose_ocr] result_page_local_folders.",
            status=403,
        )
