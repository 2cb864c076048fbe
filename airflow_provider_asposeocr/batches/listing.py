"""
Which documents a batch has: what a user's ``images`` means, on any storage, without one of them being opened.

A folder is walked, a glob is matched, a list is taken as it is. What lies below the output folder is a result, and no
document; nor is what by its name is no file that the endpoint takes, what is hidden, or what is no regular file.
"""

from __future__ import annotations

import ast
import json
import os
import posixpath
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_asposeocr.api.formats import FILE_SUFFIXES, IMAGE_FORMATS
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.batches.names import canonical, common_root
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.storage.documents import document, kind_of, storage_path
from airflow_provider_asposeocr.storage.failures import NOTHING_SENT, before_sending
from airflow_provider_asposeocr.storage.lineage import LOCAL_PROTOCOLS
from airflow_provider_asposeocr.storage.previews import EXTENSION as PREVIEW

_GLOB = frozenset("*?[")
_CHUNK = frozenset({"folder", "after", "until"})


class Listing(Value, frozen=True):
    """
    The documents of a batch.

    :param root: the folder below which the results keep the structure of the input.
    :param images: their paths or URIs, as the user would write them.
    :param versions: what tells whether a file changed, where the listing brought that.
    :param takes: of a folder: says of a place in the output folder whether a file there would be one of its documents;
        ``None`` where none would.
    """

    root: str
    images: Sequence[str]
    versions: Mapping[str, str] = msgspec.field(default_factory=dict)
    takes: Callable[[str], bool] | None = None


def listed(
    images: Any,
    storage_conn_id: str | None,
    output: ObjectStoragePath,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    formats: Sequence[str] = IMAGE_FORMATS,
) -> Listing:
    """
    Return the documents that a user means.

    :param images: a list of paths or URIs, a folder, a glob, a chunk of a folder, or a list written down as text.
    :param storage_conn_id: the Airflow connection of the storage, where it needs one.
    :param output: the folder for the results.
    :param include: patterns of paths below the root, of which one must match; none for all.
    :param exclude: patterns of which none may match.
    :param formats: the kinds of files that the endpoint takes: of a folder, the files that are named so.
    :raises AsposeOcrInputError: where there is no such folder or file, or it cannot be listed.
    """
    images = _written_down(images)
    chosen = _chooser(include, exclude)
    suffixes = _suffixes(formats)
    if isinstance(images, Mapping):
        if not set(images) <= _CHUNK or "folder" not in images:
            raise AsposeOcrInputError(f"`images` is no chunk of a folder: {sorted(images)}. {NOTHING_SENT}")
        after, until = images.get("after") or "", images.get("until")
        folder = storage_path(images["folder"], storage_conn_id)
        with before_sending(f"{images['folder']} cannot be listed"):
            return _folder(
                folder,
                _spelt(str(images["folder"]), folder),
                output,
                chosen,
                suffixes,
                lambda name: after < name and (until is None or name <= until),
            )
    if isinstance(images, str | os.PathLike | ObjectStoragePath):
        text = str(images)
        if not text.strip():
            raise AsposeOcrInputError(f"`images` is empty. {NOTHING_SENT}")
        # A name may hold what a glob is made of: what is there comes first.
        path = storage_path(images, storage_conn_id)
        with before_sending(f"{text} cannot be listed"):
            # What this process has listed before may not be true any more.
            path.fs.invalidate_cache()
            kind = kind_of(path)
            if kind == "directory":
                return _folder(path, _spelt(text, path), output, chosen, suffixes)
            if kind is not None:
                return Listing(_parent(canonical(text)), [text])
            if _GLOB & set(text):
                return _glob(path, _spelt(text, path), output, chosen)
        raise AsposeOcrInputError(f"There is no folder or file {text}. {NOTHING_SENT}")
    if not isinstance(images, Iterable) or isinstance(images, bytes | bytearray):
        raise AsposeOcrInputError(f"`images` must be a list, a folder or a glob, got {images!r:.80}. {NOTHING_SENT}")
    each = {canonical(text): text for text in reversed([_one(image) for image in images])}
    root = common_root(list(each))
    return Listing(root, [text for name, text in reversed(each.items()) if chosen(name[len(root) :].lstrip("/"))])


def _spelt(text: str, path: ObjectStoragePath) -> str:
    """A URI as the user wrote it: Airflow 2.11 leaves its connection out."""
    return (text if "://" in text else str(path)).rstrip("/")


def _one(image: Any) -> str:
    if not isinstance(image, str | os.PathLike | ObjectStoragePath) or not str(image).strip():
        raise AsposeOcrInputError(f"`images` must hold paths or URIs, got {image!r:.80}. {NOTHING_SENT}")
    return str(image)


def _written_down(images: Any) -> Any:
    """What a template renders to is text, be it of a list."""
    text = images.strip() if isinstance(images, str) else ""
    if not (text.startswith(("[", "{")) and text.endswith(("]", "}"))):
        return images
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError):
            continue
        if isinstance(found, Mapping) or (isinstance(found, list) and all(isinstance(each, str) for each in found)):
            return found
    return images


def _chooser(include: Sequence[str], exclude: Sequence[str]) -> Callable[[str], bool]:
    def matches(name: str, patterns: Sequence[str]) -> bool:
        # A pattern without a folder means files of that name in any.
        return any(fnmatchcase(name if "/" in each else posixpath.basename(name), each) for each in patterns)

    def is_chosen(name: str) -> bool:
        # What preview=True drew beside the scans of other tasks is nobody's document.
        return not name.endswith(PREVIEW) and (not include or matches(name, include)) and not matches(name, exclude)

    return is_chosen


def names_in(
    folder: ObjectStoragePath,
    output: ObjectStoragePath,
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    formats: Sequence[str] = IMAGE_FORMATS,
) -> list[str]:
    """
    Return the documents of a folder by their places in it, sorted as a chunk's ends are compared.

    :param folder: which.
    :param output: the folder for the results.
    :param include: one pattern or some, of which one must match; none for all.
    :param exclude: patterns of which none may match.
    :param formats: those that the endpoint takes.
    """
    chosen = _chooser(*((each,) if isinstance(each, str) else each for each in (include, exclude)))
    with before_sending(f"{folder} cannot be listed"):
        return sorted(name for name, _ in _walked(folder, _below(folder, output), _suffixes(formats)) if chosen(name))


def _folder(
    path: ObjectStoragePath,
    spelt: str,
    output: ObjectStoragePath,
    chosen: Callable[[str], bool],
    suffixes: Set[str],
    is_in_chunk: Callable[[str], bool] = lambda _: True,
) -> Listing:
    images, versions = [], {}
    results = _below(path, output)
    for name, version in sorted(_walked(path, results, suffixes)):
        if chosen(name) and is_in_chunk(name):
            image = f"{spelt}/{name}"
            images.append(image)
            if version:
                versions[image] = version

    root, out = (posixpath.normpath(str(each.path).rstrip("/")) for each in (path, output))

    def takes(result: str) -> bool:
        if not _is_document(posixpath.basename(result), suffixes):
            return False
        whole = posixpath.normpath(f"{out}/{result}")
        place = whole[len(root) + 1 :] if whole.startswith(f"{root}/") else ""
        return bool(place) and not _hidden(place) and chosen(place)

    # Below the folder, the output folder is left out.
    return Listing(canonical(spelt), images, versions, takes if results is None and path.fs == output.fs else None)


def _below(folder: ObjectStoragePath, output: ObjectStoragePath) -> str | None:
    """The place of the output folder below another one; ``None`` where it lies elsewhere."""
    if folder.fs != output.fs:
        return None
    root, place = (posixpath.normpath(str(path.path).rstrip("/")) for path in (folder, output))
    return place[len(root) :].lstrip("/") if place.startswith(f"{root}/") else None


def _walked(path: ObjectStoragePath, results: str | None, suffixes: Set[str]) -> Iterator[tuple[str, str | None]]:
    """The documents in a folder and below, by their place in it, with their versions. No folder is held whole."""
    if path.protocol in LOCAL_PROTOCOLS:
        yield from _walked_here(path.path.rstrip("/"), "", results, suffixes)
        return
    for name, info in entries_below(path.fs, path.path, lambda place: not _is_in(place, results)):
        if _is_document(posixpath.basename(name), suffixes):
            yield name, version_in(info)


def entries_below(fs: Any, root: str, enters: Callable[[str], bool]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """
    Return all files in a folder of a storage and below, by their place in it, with what the storage says of them. Those
    whose names begin with a dot are nobody's.

    Its own `walk` and `glob` leave out what they cannot list, as a folder that is locked or an answer that is lost: the
    list is frozen, and what is missing in it would never be read.

    :param fs: of the storage.
    :param root: the folder; one that is not there has none.
    :param enters: says of a folder, by its place, whether to look into it.
    """
    # What this process has listed before may not be true any more. (Not every `ls` has a `refresh`.)
    fs.invalidate_cache()
    root = root.rstrip("/")
    places = [""]
    while places:
        place = places.pop()
        folder = f"{root}/{place}" if place else root
        try:
            found = fs.ls(folder, detail=True)
        except FileNotFoundError:
            # It is gone since the one above was listed.
            continue
        for info in found:
            whole = str(info["name"]).rstrip("/")
            name = posixpath.basename(whole)
            # An object may bear the name of the folder.
            if name.startswith(".") or whole.strip("/") == folder.strip("/"):
                continue
            below = f"{place}/{name}" if place else name
            kind = info.get("type", "file")
            if kind == "directory" and enters(below):
                places.append(below)
            elif kind == "file":
                yield below, info


def _walked_here(root: str, place: str, results: str | None, suffixes: Set[str]) -> Iterator[tuple[str, str | None]]:
    """The same for a local folder: its file system would make a record of a kilobyte for each file."""
    with os.scandir(f"{root}/{place}" if place else root) as entries:
        for entry in entries:
            whole = f"{place}/{entry.name}" if place else entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if not _is_in(whole, results):
                    yield from _walked_here(root, whole, results, suffixes)
            elif _is_document(entry.name, suffixes) and entry.is_file():
                found = entry.stat()
                yield whole, f"{found.st_size}-{found.st_mtime:.6f}"


def _is_in(place: str, results: str | None) -> bool:
    return results is not None and (place == results or place.startswith(f"{results}/"))


def _hidden(place: str) -> bool:
    return any(part.startswith(".") for part in place.split("/"))


def _suffixes(formats: Sequence[str]) -> frozenset[str]:
    return frozenset(suffix for name in formats for suffix in FILE_SUFFIXES[name])


def _is_document(name: str, suffixes: Set[str]) -> bool:
    return PurePosixPath(name).suffix.lower() in suffixes and not name.startswith(".")


def _glob(path: ObjectStoragePath, spelt: str, output: ObjectStoragePath, chosen: Callable[[str], bool]) -> Listing:
    pattern = str(path.path)
    fixed = min(at for at, character in enumerate(pattern) if character in _GLOB)
    base = pattern[: pattern.rfind("/", 0, fixed) + 1]
    # What stands before the path in the user's spelling: a scheme, and perhaps a connection.
    bare = pattern.lstrip("/")
    head = spelt[: len(spelt) - len(bare)] if spelt.endswith(bare) else ""
    if path.protocol in LOCAL_PROTOCOLS:
        found = path.fs.glob(pattern, detail=True)
    else:
        parts = pattern[len(base) :].split("/")
        below = entries_below(path.fs, base, lambda place: _may_hold(place.split("/"), parts))
        found = {f"{base}{name}": info for name, info in below if _fits(name.split("/"), parts)}
    out = posixpath.normpath(str(output.path)) if path.fs == output.fs else None
    names = []
    versions = {}
    for name, info in found.items():
        whole = str(name)
        place = whole[len(base) :] if whole.startswith(base) else whole
        if info.get("type", "file") != "file" or _hidden(place) or (out and _is_in(whole, out)) or not chosen(place):
            continue
        image = f"{head}{whole.lstrip('/')}" if head else whole
        names.append(image)
        version = version_in(info)
        if version:
            versions[image] = version
    names.sort()
    return Listing(common_root([canonical(name) for name in names]), names, versions)


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path is what a glob means, both in their parts: ``**`` is any number of folders."""
    if not pattern or not parts:
        return not parts and all(each == "**" for each in pattern)
    if pattern[0] == "**":
        return _fits(parts, pattern[1:]) or _fits(parts[1:], pattern)
    return fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _may_hold(folder: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether what a glob means may lie in a folder."""
    for part, wanted in zip(folder, pattern, strict=False):
        if wanted == "**":
            return True
        if not fnmatchcase(part, wanted):
            return False
    return len(folder) < len(pattern)


def version_in(info: Mapping[str, Any]) -> str | None:
    """
    Return what tells whether a file changed: its ETag, or its size and time.

    :param info: what a file system says of it.
    """
    etag = info.get("ETag") or info.get("etag")
    if etag:
        return str(etag).strip('"')
    times = (info.get(name) for name in ("mtime", "LastModified", "last_modified", "updated", "created"))
    time = next((each for each in times if each), None)
    if time is None:
        return None
    return f"{info.get('size')}-{time:.6f}" if isinstance(time, float) else f"{info.get('size')}-{time}"


def version_of(image: str, storage_conn_id: str | None) -> str:
    """
    Look at a file, and return its version: a digest of its content where its storage tells neither ETag nor time. To
    read a file costs less than to have it recognized.

    :param image: a path or URI.
    :param storage_conn_id: the Airflow connection of the storage, where it needs one.
    :raises AsposeOcrInputError: where it is no regular file: a pipe would be waited for until the end of time.
    """
    path = storage_path(image, storage_conn_id)
    with before_sending(f"{image} cannot be looked at", image):
        if path.protocol in LOCAL_PROTOCOLS:
            found = Path(path.path).stat()
            if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
                raise AsposeOcrInputError(f"{image} is no regular file. {NOTHING_SENT}", image=image)
            return f"{found.st_size}-{found.st_mtime:.6f}"
        told = version_in(path.fs.info(path.path))
    return told or f"sha256-{document(image, storage_conn_id).sha256()}"


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
