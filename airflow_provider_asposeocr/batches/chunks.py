"""A folder cut into chunks: one mapped batch each, on many machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_asposeocr.api.checks import endpoint_named
from airflow_provider_asposeocr.batches.listing import names_in
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.storage.documents import kind_of, storage_path
from airflow_provider_asposeocr.storage.failures import before_sending


def chunks(
    folder: Any,
    size: int = 1000,
    *,
    storage_conn_id: str | None = None,
    output_path: Any = None,
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    endpoint: str = "RecognizeImage",
) -> list[dict[str, Any]]:
    """
    Cut a folder into chunks, for ``AsposeOcrBatchOperator.partial(...).expand(images=chunks(...))`` in a task.

    A chunk is a range of names, not a list of them: an XCom of a hundred chunks is small, the results of all keep the
    structure of the whole folder, and a document that comes meanwhile is in one of them.

    :param folder: a path or URI.
    :param size: how many documents a chunk has.
    :param storage_conn_id: the Airflow connection of the storage, where it needs one.
    :param output_path: the folder for the results, where it lies below: what is in it is no document.
    :param include: patterns as of the operator; give it the same.
    :param exclude: likewise.
    :param endpoint: likewise: which files of the folder are documents depends on it.
    :returns: the chunks, as ``images`` takes them; none where there are no documents.
    :raises AsposeOcrInputError: where there is no such folder, or it cannot be listed.
    """
    if size < 1:
        raise AsposeOcrInputError(f"A chunk has at least 1 document, got size={size}.")
    place = storage_path(folder, storage_conn_id)
    # What this process has listed before may not be true any more.
    place.fs.invalidate_cache()
    with before_sending(f"{folder} cannot be listed"):
        is_folder = kind_of(place) == "directory"
    if not is_folder:
        raise AsposeOcrInputError(f"There is no folder {folder}.")
    # Where no results are said to be, none are left out: a folder is not below itself.
    output = place if output_path is None else storage_path(str(output_path).rstrip("/"), storage_conn_id)
    names = names_in(place, output, include, exclude, endpoint_named(endpoint).formats)
    bounds = [names[at - 1] for at in range(size, len(names), size)]
    if not names:
        return []
    return [
        {"folder": str(folder), "after": after, "until": until}
        for after, until in zip([None, *bounds], [*bounds, None], strict=True)
    ]
