"""A batch's store in files, where Airflow has none (below 3.3), or the task is told not to use it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_asposeocr.batches.lines import put
from airflow_provider_asposeocr.exceptions import AsposeOcrBatchError
from airflow_provider_asposeocr.storage.failures import remembering

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


class FileStore:
    """
    Stands in for Airflow's task state store where there is none: a file per key.

    :param folder: where.
    """

    def __init__(self, folder: ObjectStoragePath) -> None:
        self._folder = folder

    def get(self, key: str, default: Any = None) -> Any:
        """
        Return a value.

        :param key: its name.
        :param default: what to return where there is none.
        """
        path = self._folder / f"{key}.json"
        with remembering(f"{path} cannot be read"):
            try:
                with path.open("rb") as file:
                    kept = file.read()
            except (FileNotFoundError, NotADirectoryError):
                return default
        try:
            return json.loads(kept)
        except ValueError as error:
            # As after a loss of power. To take it for nothing would bill again what it spoke of.
            raise AsposeOcrBatchError(
                f"{path} is damaged, so what is paid for already is not known. Nothing was submitted. Jobs that run "
                "are in the log; their results can be fetched by their ids for 24 hours, by the sensor or by get_task "
                f"of the hook. Delete {self._folder}, and a retry reads everything anew that has no result."
            ) from error

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        """
        Keep a value.

        :param key: its name.
        :param value: plain JSON.
        :param retention: is not kept to: the folder goes with the batch.
        """
        path = self._folder / f"{key}.json"
        with remembering(f"{path} cannot be written"):
            put(path, json.dumps(value).encode())

    def delete(self, key: str) -> None:
        """
        Forget a value.

        :param key: its name.
        """
        path = self._folder / f"{key}.json"
        with remembering(f"{path} cannot be deleted"), suppress(FileNotFoundError):
            path.unlink()
