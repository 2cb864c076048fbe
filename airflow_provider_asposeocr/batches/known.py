"""What the runs of a task have done with the documents of a batch: what is read is not billed again."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

from msgspec.structs import replace

from airflow_provider_asposeocr.batches.documents import DONE, BatchDocument, DocumentStatus
from airflow_provider_asposeocr.batches.lines import entry_of, line_of
from airflow_provider_asposeocr.batches.listing import version_of
from airflow_provider_asposeocr.batches.memory import BatchMemory
from airflow_provider_asposeocr.batches.names import canonical
from airflow_provider_asposeocr.batches.plan import BatchPlan
from airflow_provider_asposeocr.exceptions import AsposeOcrError, AsposeOcrInputError
from airflow_provider_asposeocr.storage.documents import storage_path
from airflow_provider_asposeocr.storage.failures import NOTHING_SENT, remembering

FETCHABLE = 24 * 3600.0
"""
Seconds for which the service keeps a result. Source: "Fetching image regions", docs.aspose.cloud/ocr/fetch-regions/.
"""
_LOOKERS = 16
_LOOKED_AT_ONCE = 512
_MOST_SKEW = 60.0
"""Seconds by which the clocks of two machines may differ."""
_ONCE = 1.0
"""In seconds since the epoch: nobody knows when."""


class _Word(NamedTuple):
    """The last word about a document; what does not count for this batch has no line."""

    age: tuple[float, int]
    line: bytes | None


class Known:
    """
    The last words about documents, by canonical image. They are kept as lines: there may be very many.

    :param words: all of them.
    """

    def __init__(self, words: Mapping[str, _Word]) -> None:
        self._words = {key: word for key, word in words.items() if word.line is not None}

    def __contains__(self, key: str) -> bool:
        return key in self._words

    def __bool__(self) -> bool:
        return bool(self._words)

    def get(self, key: str) -> BatchDocument | None:
        """
        Return what a document has come to.

        :param key: its canonical image.
        """
        word = self._words.get(key)
        return BatchDocument.remembered(entry_of(word.line or b"") or {}) if word else None

    def submitted_at(self, key: str) -> float:
        """
        Return when that was submitted, in seconds since the epoch, as far as that is to be believed.

        :param key: its canonical image.
        """
        return self._words[key].age[0]


def known_before(memory: BatchMemory, plan: BatchPlan, wanted: Set[str]) -> Known:
    """
    Return what this task has done before, in this run or an earlier one.

    Several files may speak of a document: the manifests of chunks that were cut otherwise then, the journal of a run
    that failed for good. What was submitted last counts, and of one submission what it has come to, whatever the files
    are called and in whichever order they are read.

    :param memory: of the batch.
    :param plan: what to do.
    :param wanted: the canonical images that matter.
    :raises AsposeOcrInputError: where the folder holds the results of another task.
    """

    def entries() -> Iterator[dict[str, Any]]:
        for entry in memory.earlier():
            if _is_of(memory, entry):
                yield entry
            elif not plan.overwrite:
                raise AsposeOcrInputError(
                    f"{memory.folder} holds the results of another task ({entry.get('run') or ''}). Set overwrite=True "
                    f"to replace them, or give each task its own output_path. {NOTHING_SENT}"
                )

    return _last_words(entries(), memory, plan, wanted)


def _last_words(entries: Iterable[dict[str, Any]], memory: BatchMemory, plan: BatchPlan, wanted: Set[str]) -> Known:
    words: dict[str, _Word] = {}
    latest = time.time() + _MOST_SKEW
    for entry in entries:
        image = entry.get("image")
        if not isinstance(image, str) or (key := canonical(image)) not in wanted:
            continue
        with suppress(ValueError, TypeError):
            document = BatchDocument.remembered(entry)
            submitted_at, stage = document.age
            # A run that is cleared is no new one: what others have read since it first began is as new.
            is_as_new = submitted_at >= memory.since and not plan.resubmit_on_clear
            counts = not plan.overwrite or document.reader == memory.run or is_as_new
            if submitted_at > latest:
                # By a clock that was ahead. It would win over what was read since, until that time has come.
                submitted_at = _ONCE
            age = submitted_at, stage
            if key not in words or words[key].age <= age:
                words[key] = _Word(age, line_of(entry) if counts else None)
    return Known(words)


def _is_of(memory: BatchMemory, entry: Mapping[str, Any]) -> bool:
    return "/".join(str(entry.get("run") or "").split("/")[:2]) == memory.task


def taken_over(
    old: BatchDocument, document: BatchDocument, plan: BatchPlan, version: str | None
) -> BatchDocument | None:
    """
    Return a document as another has left it, where it has not changed since and was read with the same settings.

    :param old: what was left: it has been read, or its job is at the service.
    :param document: the same in this batch.
    :param plan: what to do.
    :param version: of the document, as it is now.
    :returns: ``None`` where it is to be read.
    """
    if old.fingerprint != plan.fingerprint or old.version is None or old.version != version:
        return None
    if old.status in DONE:
        return _read_by_another(old, document)
    if old.ocr_task_id and _runs(old):
        return _as_in(document, old)
    return None


def _runs(old: BatchDocument) -> bool:
    return old.status is DocumentStatus.RUNNING and (old.submitted_at or 0.0) > time.time() - FETCHABLE


def _read_by_another(old: BatchDocument, document: BatchDocument) -> BatchDocument:
    return replace(_as_in(document, old), status=DocumentStatus.SKIPPED, read_by=old.reader)


def _as_in(document: BatchDocument, old: BatchDocument) -> BatchDocument:
    """What was left, at its place in this batch; what this run has paid stays said."""
    return replace(
        old,
        image=document.image,
        number=document.number,
        name=document.name,
        run=document.run,
        error=None,
        submissions=document.submissions,
        errors=document.errors,
    )


class News:
    """
    What other runs of the task have read of a batch's documents since it began.

    What they had read before is in its list; and a job that was submitted a day before had ended by then, as the
    service keeps no result for longer.

    :param known: the last words of others about its documents.
    :param plan: what to do.
    :param since: they are no news where it was submitted before, in seconds since the epoch.
    """

    def __init__(self, known: Known, plan: BatchPlan, since: float) -> None:
        self._known = known
        self._plan = plan
        self._since = since

    @classmethod
    def since(cls, memory: BatchMemory, plan: BatchPlan) -> News:
        """
        Look for them.

        :param memory: of the batch, which has been recovered.
        :param plan: what to do.
        :raises AsposeOcrBatchError: where the storage is not well.
        """
        since = memory.since - FETCHABLE
        with remembering(f"{memory.folder} cannot be looked into"):
            told = (entry for entry in memory.earlier() if _is_of_others(memory, entry, since))
            first = next(told, None)
            if first is None:
                return cls(Known({}), plan, since)
            images = (entry.get("image") for line in memory.listed() if (entry := entry_of(line)) is not None)
            wanted = frozenset(canonical(image) for image in images if isinstance(image, str))
            return cls(_last_words(itertools.chain((first,), told), memory, plan, wanted), plan, since)

    def __bool__(self) -> bool:
        return bool(self._known)

    def told_to(
        self, left: Iterable[tuple[BatchDocument, BatchDocument]]
    ) -> Iterator[tuple[BatchDocument, BatchDocument]]:
        """
        Tell them to the documents that they are of.

        :param left: each document as it was left, and as it would begin without news.
        :returns: the same with the news.
        """
        remaining = iter(left)
        while some := list(itertools.islice(remaining, _LOOKED_AT_ONCE)):
            news = {now.number: old for _, now in some if (old := self._of(now)) is not None}
            to_see = [now.image for _, now in some if now.number in news and now.status not in DONE]
            versions = versions_of(to_see, self._plan) if to_see else {}
            for before, now in some:
                old = news.get(now.number)
                yield before, now if old is None else self._in_view_of(old, now, versions.get(now.image))

    def _of(self, document: BatchDocument) -> BatchDocument | None:
        key = canonical(document.image)
        if key not in self._known or self._known.submitted_at(key) <= self._since:
            return None
        old = self._known.get(key)
        return old if old is not None and (old.status in DONE or old.status is DocumentStatus.RUNNING) else None

    def _in_view_of(self, old: BatchDocument, document: BatchDocument, version: str | None) -> BatchDocument:
        if document.status in DONE:
            is_newer = self._known.submitted_at(canonical(document.image)) > (document.submitted_at or 0.0)
            # Its file holds what was read last.
            return _read_by_another(old, document) if is_newer and old.status in DONE else document
        if document.status is DocumentStatus.RUNNING and old.status not in DONE:
            return document
        if taken := taken_over(old, document, self._plan, version):
            return taken
        # What they have written is the task's own.
        extra = tuple(file for file in document.files if file not in old.files)
        return replace(document, files=(*old.files, *extra), places=() if extra else old.places)


def _is_of_others(memory: BatchMemory, entry: Mapping[str, Any], since: float) -> bool:
    """Whether another task instance has read it, after a time. Most lines are neither: this is to be quick."""
    reader = entry.get("read_by" if entry.get("status") == DocumentStatus.SKIPPED else "run")
    submitted_at = entry.get("submitted_at")
    is_after = isinstance(submitted_at, int | float) and submitted_at > since
    return is_after and reader != memory.run and _is_of(memory, entry)


def versions_of(images: list[str], plan: BatchPlan) -> dict[str, str]:
    """
    Return the versions of documents; one that cannot be looked at has none, which is told when its turn comes.

    :param images: paths or URIs.
    :param plan: with the documents' connection.
    """

    def look(image: str) -> str | None:
        try:
            return version_of(image, plan.storage_conn_id)
        except AsposeOcrError:
            return None

    for image in images[:1]:
        with suppress(AsposeOcrError):
            # What this process has listed before may not be true any more.
            storage_path(image, plan.storage_conn_id).fs.invalidate_cache()
    with ThreadPoolExecutor(_LOOKERS) as lookers:
        found = zip(images, lookers.map(look, images), strict=True)
        return {image: version for image, version in found if version}
