"""
What a batch remembers across tries and deferrals.

- **The list**: all its documents, frozen by the first try, as a file of JSON lines. Each later try writes a shorter one
  of what is still to be done, so that a wake reads on from where the last one stopped, and nothing before.
- **The journal**: what each document has come to, as files of JSON lines that are only ever added.
- **The header and the slots**: where reading stopped, the counts, and the documents that are on their way, in Airflow's
  task state store; below 3.3 in files beside the journal.

List and journal lie in a hidden folder of the output folder, named after the task instance. At the end they become the
manifest.
"""

from __future__ import annotations

import hashlib
import logging
import math
import posixpath
import re
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_asposeocr.batches.before import keep_what_goes, read_before
from airflow_provider_asposeocr.batches.documents import BatchDocument, DocumentStatus
from airflow_provider_asposeocr.batches.ended import ended, keep_end
from airflow_provider_asposeocr.batches.file_store import FileStore
from airflow_provider_asposeocr.batches.lines import entries_in, entry_of, line_of, lines_in, names_in, put
from airflow_provider_asposeocr.batches.slots import HEADER, RETENTION, Slots
from airflow_provider_asposeocr.events import Event, warned
from airflow_provider_asposeocr.exceptions import AsposeOcrBatchError, AsposeOcrBatchRefusedError
from airflow_provider_asposeocr.jobs.memory import TaskStateStore
from airflow_provider_asposeocr.storage.failures import before_sending, remembering
from airflow_provider_asposeocr.storage.lineage import LOCAL_PROTOCOLS
from airflow_provider_asposeocr.storage.writing import make_folder

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

WORK_FOLDER = ".aspose-ocr"
MANIFEST = "manifest"
TABLE = "results"
PIECE_LINES = 500
"""Changes after which the journal gets a new piece."""


class BatchMemory:
    """
    What one task instance remembers of its batch.

    :param store: Airflow's task state store; ``None`` where there is none.
    :param folder: the output folder.
    :param run: the task instance: dag, task, run and map index.
    """

    def __init__(self, store: TaskStateStore | None, folder: ObjectStoragePath, run: str) -> None:
        self.run = run
        self.folder = folder
        map_index = run.rpartition("/")[2]
        numbered = f"-{map_index}" if int(map_index) >= 0 else ""
        self.manifest = folder / f"{MANIFEST}{numbered}.jsonl"
        self.table = folder / f"{TABLE}{numbered}.parquet"
        self._work = folder / WORK_FOLDER / hashlib.sha256(run.encode()).hexdigest()[:16]
        self._store: TaskStateStore = store if store is not None else FileStore(self._work)
        self.slots = Slots(self._store)
        self._buffer: list[bytes] = []
        self._buffered: list[int] = []
        self._pieces = 0
        self._lists = 0
        self.bytes_written = 0
        self._header: Mapping[str, Any] = {}
        self.since = math.inf
        """When the first try of this task instance began, in seconds since the epoch, as far as a header tells."""
        self._flushing = threading.Lock()

    # The header

    def header(self, *, may_run: bool = False) -> dict[str, Any] | None:
        """
        Return what was remembered of the batch as a whole; ``None`` where nothing was.

        :param may_run: whether jobs may run though no store knows of them: it was deferred, or this is a retry.
        :raises AsposeOcrBatchError: where that cannot be read, and jobs may run.
        :raises AsposeOcrInputError: where it cannot be read before anything is sent.
        """
        what = f"{self.folder} cannot be looked into"
        try:
            header = self._left_in_files()
        except Exception:
            with (remembering if may_run or self._store.get(HEADER) is not None else before_sending)(what):
                raise
        if header is None:
            header = self._store.get(HEADER)
        if not isinstance(header, Mapping):
            with (remembering if may_run else before_sending)(what):
                header = ended(self._work.parent, self.run)
        self._header = header if isinstance(header, Mapping) else {}
        self.since = float(self._header.get("since") or self._header.get("began_at") or math.inf)
        return dict(header) if isinstance(header, Mapping) else None

    def _left_in_files(self) -> dict[str, Any] | None:
        """
        What a try has left that had no store: Airflow has been upgraded to 3.3 since, or the task was told to remember
        nothing then. It stays there. The list is of the try that has begun last, so that no header in a store is of it.
        """
        if isinstance(self._store, FileStore) or self._work.name not in names_in(self._work.parent):
            return None
        left = FileStore(self._work)
        header = left.get(HEADER)
        if not isinstance(header, Mapping):
            return None
        try:
            self._store.delete(HEADER)
        except Exception as error:  # noqa: BLE001 - it may be why the task was told to remember nothing
            warned(
                log, Event.RECORD_FAILED, "What the store knows of an earlier list could not be forgotten: %s", error
            )
        self._store, self.slots = left, Slots(left)
        return dict(header)

    def header_of_deferral(self) -> dict[str, Any] | None:
        """
        Return what was remembered when the batch was deferred; ``None`` where it has ended since and left nothing.

        :raises AsposeOcrBatchRefusedError: where it is gone, and jobs may run: no retry may bill them again.
        """
        header = self.header(may_run=True)
        with remembering(f"{self.manifest} cannot be read"):
            if header is not None or any(entry.get("run") == self.run for entry in entries_in(self.manifest)):
                return header
        raise AsposeOcrBatchRefusedError(
            f"What this batch has remembered in {self._work} is gone: has the folder been deleted, or is its volume "
            "not mounted? Its jobs have been billed, and no more were submitted. Their ids are in the log; the results "
            "can be fetched by them for 24 hours, by the sensor or by get_task of the hook. Put the folder back and "
            "clear the task: it goes on. Without it, a clear reads everything anew that has no result, which is billed."
        )

    def keep_header(self, header: Mapping[str, Any]) -> Mapping[str, Any]:
        """
        Remember the batch as a whole.

        :param header: plain JSON.
        :returns: the same, with what is remembered besides.
        """
        self.since = min(self.since, float(header.get("began_at") or math.inf))
        kept = {**header, "run": self.run, "keys": self.slots.keys, "pieces": self._pieces, "lists": self._lists}
        if math.isfinite(self.since):
            kept["since"] = self.since
        self._store.set(HEADER, kept, retention=RETENTION)
        self._header = header
        return kept

    def keep_calls(self, calls: int) -> None:
        """
        Remember how many polls there were, while there are more: a try that is killed can tell it no more.

        :param calls: in all tries.
        """
        if not self._header or self._header.get("calls") == calls:
            return
        # Where reading stopped is not true any more, once there was something to ask for.
        header = {name: value for name, value in self._header.items() if name != "offset"}
        # A count is worth no failure.
        with suppress(Exception):
            self.keep_header({**header, "calls": calls})

    def go_on(self, header: Mapping[str, Any]) -> None:
        """
        Go on where the one who wrote a header stopped, without reading more.

        :param header: what :meth:`header` returned.
        """
        self._pieces, self._lists = int(header["pieces"]), int(header["lists"])
        self.slots.recall(int(header["keys"]))

    def recover(self, total: int) -> None:
        """
        Go on where an earlier try died: its header may be older than its journal and its slots.

        :param total: how many documents the batch has.
        :raises AsposeOcrBatchError: where the list is gone, or cannot be looked for.
        """
        if not self._files(re.escape(self._list(1).name)):
            raise self.lost(total)
        self._pieces = max((int(path.name[8:14]) for path in self._journal()), default=0)
        self._lists = max((int(path.name[5:11]) for path in self._files(r"list-\d{6}\.jsonl")), default=0)
        self.slots.recall()

    # The list

    def write_list(self, lines: Iterable[bytes]) -> None:
        """
        Freeze the list, or write what of it is still to be done.

        :param lines: of documents, in their order.
        """
        self._lists += 1
        path = self._list(self._lists)
        make_folder(path.parent)
        with path.fs.open(path.path, "wb") as file:
            for line in lines:
                file.write(line)
                self.bytes_written += len(line)

    def to_do(self, offset: int) -> Iterator[tuple[int, BatchDocument]]:
        """
        Read what is to be done, each document with the offset of the next.

        :param offset: where to begin.
        """
        for following, line in self._lines(self._list(self._lists), offset):
            entry = entry_of(line)
            # What is skipped, and what runs since an earlier run, stands in the list, too.
            if entry is not None and entry["status"] == DocumentStatus.WAITING:
                yield following, BatchDocument.remembered(entry)

    def listed(self) -> Iterator[bytes]:
        """Read the whole frozen list."""
        for _, line in self._lines(self._list(1)):
            yield line

    def lost(self, total: int, found: int = 0) -> AsposeOcrBatchError:
        """
        Return the error of a batch whose list is not there any more.

        :param total: how many documents it had.
        :param found: of how many something is known.
        """
        return AsposeOcrBatchError(
            f"The list of {total} documents that this batch has frozen in {self._work} is gone, and what has become of "
            f"{total - found} of them is not known: has the folder {WORK_FOLDER} been deleted? Jobs that run may have "
            "been billed, and no more were submitted. Put it back and retry, or clear the task with "
            "resubmit_on_clear=True to read everything anew."
        )

    def _list(self, number: int) -> ObjectStoragePath:
        return self._work / f"list-{number:06}.jsonl"

    # The journal

    def record(self, document: BatchDocument) -> bool:
        """
        Note what a document has come to; it is kept after the next :meth:`flush`.

        :param document: which.
        :returns: whether it is time for that.
        """
        self._buffer.append(line_of(document.to_json()))
        self._buffered.append(document.number)
        return len(self._buffer) >= PIECE_LINES

    def flush(self) -> None:
        """Add what was noted to the journal, and release the slots of those documents."""
        with self._flushing:
            lines, numbers = self._buffer, self._buffered
            self._buffer, self._buffered = [], []
            if not lines:
                return
            try:
                self._add(b"".join(lines))
            except BaseException:
                self._buffer, self._buffered = lines + self._buffer, numbers + self._buffered
                raise
            self.slots.release(numbers)

    def settle(self, waiting: Iterable[BatchDocument]) -> None:
        """
        Keep all that is on its way at the end of a try, or of a part of it.

        The ids of jobs that the store does not take are added to the journal: what is paid for is fetched by them.

        :param waiting: those of which nothing is known but that they are to be submitted again.
        """
        try:
            self.flush()
            self.slots.keep(*waiting)
            self.slots.flush()
        except Exception:
            lines = [line_of(each.to_json()) for each in self.slots.unwritten if each.ocr_task_id]
            if lines:
                # The store's own error is what is to be told.
                with self._flushing, suppress(Exception):
                    self._add(b"".join(lines))
            raise

    def _add(self, content: bytes) -> None:
        """Add a piece to the journal."""
        path = self._work / f"journal-{self._pieces + 1:06}-{secrets.token_hex(3)}.jsonl"
        with remembering(f"{path} cannot be written"):
            put(path, content)
        self._pieces += 1
        self.bytes_written += len(content)

    def journal(self) -> Iterator[bytes]:
        """Read the journal, oldest first: a document's last line is what it has come to."""
        for path in self._journal():
            for _, line in self._lines(path):
                yield line

    def _journal(self) -> list[ObjectStoragePath]:
        return self._files(r"journal-\d{6}-[0-9a-f]{6}\.jsonl")

    def _files(self, pattern: str) -> list[ObjectStoragePath]:
        with remembering(f"{self._work} cannot be looked into"):
            return [self._work / name for name in names_in(self._work) if re.fullmatch(pattern, name)]

    @staticmethod
    def _lines(path: ObjectStoragePath, offset: int = 0) -> Iterator[tuple[int, bytes]]:
        with remembering(f"{path} cannot be read"):
            yield from lines_in(path, offset)

    # The end

    @property
    def task(self) -> str:
        """DAG and task."""
        return "/".join(self.run.split("/")[:2])

    def keep_what_goes(self, stay: Mapping[str, tuple[float, int]]) -> None:
        """
        Keep what the manifest of another run says of documents that are not in the list, or were read later there.

        :param stay: of those in the list, by their canonical names, how old their lines are.
        """
        keep_what_goes(self.manifest, self._work.parent, self.task, stay)

    def earlier(self) -> Iterator[dict[str, Any]]:
        """
        Read what task instances have left in the output folder: journals, manifests, and what these would have lost.

        In this order: others may end meanwhile, and what they take from one of them they have put into the next before.
        """
        work = self.folder / WORK_FOLDER
        for place in names_in(work):
            # The journals of one task instance are in a folder; what stands beside is read above.
            if posixpath.splitext(place)[1]:
                continue
            for name in names_in(work / place):
                if name.startswith("journal-"):
                    yield from entries_in(work / place / name)
        for name in names_in(self.folder):
            if re.fullmatch(rf"{MANIFEST}(-\d+)?\.jsonl", name):
                yield from entries_in(self.folder / name)
        yield from read_before(work, self.task)

    def begin_anew(self) -> None:
        """Forget the list, the journal and the slots of this task instance."""
        self.slots.recall()
        self.slots.clear()
        self.slots = Slots(self._store)
        with before_sending(f"{self._work} cannot be removed"):
            # What is known of the batch stays known until there is another header.
            self._remove_work(but=f"{HEADER}.json" if isinstance(self._store, FileStore) else None)
        self._pieces = self._lists = 0

    def end(self, header: Mapping[str, Any], *, may_bill_again: bool) -> None:
        """
        Remember that the batch has succeeded, and remove the list and the journal: the manifest says the rest.

        :param header: as of :meth:`keep_header`.
        :param may_bill_again: whether a clear may read anew what the manifest says.
        """
        kept = self.keep_header({**header, "finished": True})
        if may_bill_again and isinstance(self._store, FileStore):
            # It goes with the work folder.
            keep_end(self._work.parent, kept)
        self._remove_work()

    def _remove_work(self, but: str | None = None) -> None:
        names = names_in(self._work) if but is not None else ()
        if but in names:
            for name in names:
                if name != but:
                    with suppress(FileNotFoundError):
                        self._work.fs.rm((self._work / name).path)
            return
        with suppress(FileNotFoundError):
            self._work.fs.rm(self._work.path, recursive=True)
        if self._work.protocol in LOCAL_PROTOCOLS:
            with suppress(OSError):
                # If no other task instance works in it. Elsewhere there are hardly any empty folders, and what removes
                # one there (`UPath.rmdir`, too) often removes what is in it: the work of the other mapped tasks.
                Path(self._work.parent.path).rmdir()
