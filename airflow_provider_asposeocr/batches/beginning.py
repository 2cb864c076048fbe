"""How a try at a batch begins: with a list of its own, or with what an earlier try has left."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from airflow_provider_asposeocr.batches.documents import DONE, BatchDocument, DocumentStatus
from airflow_provider_asposeocr.batches.known import News, known_before, taken_over, versions_of
from airflow_provider_asposeocr.batches.lines import entry_of, line_of, lines_in
from airflow_provider_asposeocr.batches.listing import Listing
from airflow_provider_asposeocr.batches.manifest import last_words
from airflow_provider_asposeocr.batches.memory import BatchMemory
from airflow_provider_asposeocr.batches.names import canonical, result_names
from airflow_provider_asposeocr.batches.plan import BatchPlan
from airflow_provider_asposeocr.batches.slots import printable
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.storage.failures import NOTHING_SENT, before_sending, remembering

log = logging.getLogger(__name__)

_LONGEST_LINE = 1024 * 1024
MOST_ATTEMPTS = 6
"""At one document, or at one job's state, while others go well."""
MOST_ERRORS = 2
"""How often a document is submitted whose job ends as ``Error``."""


@dataclass(slots=True)
class Start:
    """
    What a try begins with.

    :param total: how many documents the batch has.
    :param counts: of what they have come to, by status; what is to be done is ``Waiting`` or ``Running``.
    :param waiting: how many stand in the list of what is to be done.
    :param offset: where to read that on.
    :param submissions: how many there were in all tries.
    :param calls: how many polls there were in all tries, as far as that is known.
    """

    total: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    offset: int = 0
    submissions: int = 0
    calls: int = 0

    def count(self, status: DocumentStatus) -> None:
        """
        Count a document.

        :param status: what it has come to.
        """
        self.counts[status] = self.counts.get(status, 0) + 1


def drawn_up(listing: Listing, plan: BatchPlan, memory: BatchMemory, *, durable: bool) -> Iterator[BatchDocument]:
    """
    Decide of each document whether it is to be read; nothing is written.

    An earlier run's document that has not changed, read with the same settings, is skipped. What that run wrote is ours
    to replace. Where all is to be overwritten, that holds for what this very task instance has read: a clear is not a
    new bill.

    :param listing: the documents.
    :param plan: what to do.
    :param memory: of this task instance.
    :param durable: whether what earlier tries and runs have done counts.
    :raises AsposeOcrInputError: where the output folder is another task's, or a result or the manifest would take the
        place of an input, or of somebody's file.
    """
    spelt_alike = [canonical(image) for image in listing.images]
    with before_sending(f"{memory.folder} cannot be looked into"):
        known = known_before(memory, plan, frozenset(spelt_alike))
    if not plan.overwrite:
        _refuse_to_replace_others(memory)
    names = result_names(spelt_alike, listing.root)
    _refuse_to_replace_inputs(spelt_alike, names, plan)
    _refuse_to_add_inputs(listing, names, plan)
    versions = dict(listing.versions)
    if durable:
        again = (image for image, key in zip(listing.images, spelt_alike, strict=True) if key in known)
        versions |= versions_of([image for image in again if image not in versions], plan)
    for number, (image, key, name) in enumerate(zip(listing.images, spelt_alike, names, strict=True)):
        document = BatchDocument(image, number=number, name=name, version=versions.get(image), run=memory.run)
        old = known.get(key)
        if old is not None:
            is_own = old.reader == memory.run
            # What this task instance has read, it may replace after a clear.
            read_by = memory.run if is_own and old.status in DONE else None
            document = replace(document, files=old.files, places=old.places, read_by=read_by)
            if durable and not (is_own and plan.resubmit_on_clear):
                document = taken_over(old, document, plan, document.version) or document
        yield replace(document, fingerprint=plan.fingerprint)


def frozen(documents: Iterable[BatchDocument], memory: BatchMemory) -> Start:
    """
    Freeze the list, and see thereby that the output folder can be written to.

    :param documents: all of them.
    :param memory: of this task instance.
    :raises AsposeOcrInputError: where it cannot be.
    """
    start, running = Start(), []

    def lines() -> Iterator[bytes]:
        for document in documents:
            start.total += 1
            start.count(document.status)
            if document.status is DocumentStatus.RUNNING:
                running.append(document)
            elif document.status is DocumentStatus.WAITING:
                start.waiting += 1
            yield line_of(document.to_json())

    with before_sending(f"The results cannot be written to {memory.folder}"):
        memory.write_list(lines())
    memory.slots.keep(*running)
    return start


def gone_on_with(header: Mapping[str, Any], plan: BatchPlan, memory: BatchMemory, *, cleared: bool) -> Start:
    """
    Find what earlier tries have left to do, and write it down.

    :param header: the last that was remembered of the batch as a whole; more may have been done since.
    :param plan: what to do.
    :param memory: of this task instance.
    :param cleared: whether a user has cleared the task since.
    :raises AsposeOcrBatchError: where the list is gone, or the storage not well.
    """
    memory.recover(int(header["total"]))
    start = Start(calls=int(header.get("calls", 0)))
    running: list[BatchDocument] = []
    settled: list[BatchDocument] = []
    underway = memory.slots.documents

    def lines() -> Iterator[bytes]:
        for document, now in _gone_on_with(memory, plan, cleared=cleared):
            start.total += 1
            start.submissions += document.submissions
            start.count(now.status)
            if now.status is DocumentStatus.RUNNING:
                running.append(now)
                continue
            if now.status is DocumentStatus.WAITING:
                start.waiting += 1
                yield line_of(now.to_json())
            # What a clear allows holds for all tries after it, and what was billed counts, also where this try does not
            # come to it.
            if now.number in underway or (now != document and (cleared or now.status is not DocumentStatus.WAITING)):
                settled.append(now)

    with remembering(f"What is left to do cannot be written to {memory.folder}"):
        memory.write_list(lines())
    for document in settled:
        memory.record(document)
    memory.slots.keep(*running)
    memory.flush()
    memory.slots.release(number for number in underway if number not in {each.number for each in running})
    return start


def looked_at(header: Mapping[str, Any], plan: BatchPlan, memory: BatchMemory, *, cleared: bool) -> list[BatchDocument]:
    """
    Return the documents that earlier tries have begun with, as a try would go on with them; nothing is written.

    :param header: as of :func:`gone_on_with`.
    :param plan: what to do.
    :param memory: of this task instance.
    :param cleared: whether a user has cleared the task since.
    :raises AsposeOcrBatchError: where the list is gone.
    """
    memory.recover(int(header["total"]))
    return [now for _, now in _gone_on_with(memory, plan, cleared=cleared)]


def _gone_on_with(
    memory: BatchMemory, plan: BatchPlan, *, cleared: bool
) -> Iterator[tuple[BatchDocument, BatchDocument]]:
    """Each document as an earlier try has left it, and as one begins with it now, after what others have done since."""
    news = News.since(memory, plan)
    left = ((document, _begun(document, plan, cleared=cleared)) for document, _ in last_words(memory))
    return news.told_to(left) if news else left


def resubmits_in_doubt(plan: BatchPlan, document: BatchDocument) -> bool:
    """
    Say whether a document may be submitted again by itself that may have been accepted.

    Each such submission may be billed: they are counted over all tries and deferrals.

    :param plan: of the batch.
    :param document: as it is remembered.
    """
    return plan.resubmit_on_ambiguity and document.submissions < MOST_ATTEMPTS


def _begun(old: BatchDocument, plan: BatchPlan, *, cleared: bool) -> BatchDocument:
    """A document of an earlier try, as it begins now."""
    if old.status in DONE:
        return old
    if old.status is DocumentStatus.RUNNING:
        return replace(old, error=None)
    if old.status is DocumentStatus.SUBMITTING and not (resubmits_in_doubt(plan, old) or cleared):
        return (
            old
            if old.error
            else replace(
                old,
                error=f"An earlier try was cut off while it submitted {printable(old.image)}, which may have been "
                f"billed{_way_out(plan, old)}.",
            )
        )
    if old.errors >= MOST_ERRORS and not (cleared or plan.resubmit_failed_jobs):
        return old if old.status is DocumentStatus.REFUSED else replace(old, status=DocumentStatus.REFUSED)
    return replace(old.afresh(), errors=0 if cleared else old.errors)


def _way_out(plan: BatchPlan, old: BatchDocument) -> str:
    if plan.resubmit_on_ambiguity:
        return f", as {old.submissions} submissions in all: clear the task to submit it anew"
    return ": clear the task to submit it anew, or set resubmit_on_ambiguity=True"


def _refuse_to_replace_others(memory: BatchMemory) -> None:
    """A file of somebody else may bear the name of the manifest."""
    with before_sending(f"{memory.manifest} cannot be looked into"):
        try:
            first = next((line for _, line in lines_in(memory.manifest, longest=_LONGEST_LINE) if line.strip()), b"{}")
        except ValueError:
            first = b""
    if entry_of(first) is None:
        raise AsposeOcrInputError(
            f"{memory.manifest} is no manifest of a batch, and would be replaced by one: set output_path to another "
            f"folder, or overwrite=True. {NOTHING_SENT}"
        )


def _refuse_to_replace_inputs(images: list[str], names: list[str], plan: BatchPlan) -> None:
    """A result of type ImagePNG beside its document could bear its name."""
    folder = canonical(str(plan.folder))
    inputs = {image for image in images if image.startswith(f"{folder}/")}
    for name in names if inputs else ():
        for extension in plan.extensions:
            if f"{folder}/{name}{extension}" in inputs:
                raise AsposeOcrInputError(
                    f"{folder}/{name}{extension} is a document, and would be replaced by a result: set output_path to "
                    f"another folder. {NOTHING_SENT}"
                )


def _refuse_to_add_inputs(listing: Listing, names: list[str], plan: BatchPlan) -> None:
    """A result of type ImagePNG in the folder of the documents would be read, and billed, by the next run."""
    if listing.takes is None:
        return
    extensions = plan.extensions
    for name in names:
        for extension in extensions:
            if listing.takes(f"{name}{extension}"):
                raise AsposeOcrInputError(
                    f"{plan.folder}/{name}{extension} would be a document of the next run: set output_path to another "
                    f"folder, or one below, or leave its results out by `exclude`. {NOTHING_SENT}"
                )


def header_of(start: Start, plan: BatchPlan, **more: Any) -> Mapping[str, Any]:
    """
    Return what is to be remembered of a batch as a whole.

    :param start: how the try began, or how it stands.
    :param plan: what to do.
    :param more: facts.
    """
    return {
        "fingerprint": plan.fingerprint,
        "max_tries": plan.max_tries,
        "total": start.total,
        "counts": {str(status): number for status, number in start.counts.items()},
        "waiting": start.waiting,
        "offset": start.offset,
        "submissions": start.submissions,
        "calls": start.calls,
        **more,
    }
