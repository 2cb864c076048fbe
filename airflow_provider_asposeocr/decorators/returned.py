"""What a TaskFlow function returns, as the arguments of an operator; and these as JSON, for another process or try."""

from __future__ import annotations

import enum
import io
import json
import logging
import numbers
import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath
from pydantic import BaseModel

from airflow_provider_asposeocr.api.settings import Settings
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError
from airflow_provider_asposeocr.jobs.memory import RETENTION, TaskStateStore
from airflow_provider_asposeocr.storage.failures import NOTHING_SENT, what_broke

log = logging.getLogger(__name__)

KEY = "aspose_ocr_asked"
"""Where the task state store keeps what was submitted; beside the record of the job."""
ARGUMENTS = (
    *("image", "text", "settings", "regions", "trial", "output_path", "overwrite", "max_xcom_bytes"),
    *("storage_conn_id", "aspose_ocr_conn_id"),
)
"""What a function may say of a document, where its operator takes it. The rest is the decorator's."""
_PLACE = (str, os.PathLike, ObjectStoragePath, type(None))
_KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("trial", "overwrite"), (bool,)),
    **{"max_xcom_bytes": (int,), "output_path": _PLACE, "storage_conn_id": (str, type(None))},
    "aspose_ocr_conn_id": (str,),
}
"""Of what is looked at after the bill only, or where text would pass for true."""
_LONGEST_KEPT = 32 * 1024
"""Characters of JSON: Airflow's task state store is for small values."""


def arguments_of(returned: Any, document: str, allowed: Collection[str]) -> dict[str, Any]:
    """
    Return the operator's arguments that a function has returned.

    :param returned: a document, or a mapping of arguments with one.
    :param document: the name of the argument that is the document: ``image``, or ``text``.
    :param allowed: the names of the arguments that may be returned.
    :raises AsposeOcrInputError: for anything else. No document is quoted.
    """
    arguments = dict(returned) if isinstance(returned, Mapping) else {document: returned}
    for name in arguments:
        if name not in allowed:
            raise AsposeOcrInputError(
                f"The function returned the unknown argument {name!r:.80}; allowed: {', '.join(allowed)}. What is the "
                f"same for all documents stands in the decorator. {NOTHING_SENT}"
            )
        if not isinstance(arguments[name], _KINDS.get(name, (object,))):
            wanted = " or ".join(kind.__name__ for kind in _KINDS[name]).replace("NoneType", "None")
            raise AsposeOcrInputError(
                f"The function returned a {type(arguments[name]).__name__} as `{name}`: it must be {wanted}. "
                f"{NOTHING_SENT}"
            )
    if arguments.get("max_xcom_bytes", 0) < 0:
        raise AsposeOcrInputError(f"The function returned a `max_xcom_bytes` below 0. {NOTHING_SENT}")
    if document not in arguments:
        raise AsposeOcrInputError(f"The function returned arguments, but no `{document}` among them. {NOTHING_SENT}")
    arguments[document] = _checked(arguments[document], document)
    for name in ("settings", "regions"):
        if not isinstance(arguments.get(name), str | Settings | None):
            arguments[name] = _written_down(arguments[name], name)
    return arguments


def _written_down(value: Any, name: str) -> Any:
    """
    Settings or regions as plain JSON, once and for all: who delivers reads them again, in another process as well, and
    after the bill.
    """
    try:
        return json.loads(json.dumps(value, default=_simpler))
    except (TypeError, ValueError, RecursionError) as error:
        raise AsposeOcrInputError(
            f"The function returned `{name}` that cannot be written as JSON ({what_broke(error)}). {NOTHING_SENT}"
        ) from None


def _simpler(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, numbers.Real):
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable) and not isinstance(value, bytes | bytearray | memoryview):
        return list(value)
    raise TypeError(f"it holds a {type(value).__name__}")


def _checked(value: Any, document: str) -> Any:
    if isinstance(value, str) and value.strip():
        return value
    if document == "image":
        if isinstance(value, os.PathLike | ObjectStoragePath) or hasattr(value, "read"):
            return value
        if isinstance(value, bytes | bytearray | memoryview):
            # Airflow shows an operator's fields: not the content of a document.
            return io.BytesIO(bytes(value))
    got = "an empty string" if isinstance(value, str) else f"a {type(value).__name__}"
    wanted = "an image (a path or URI, an ObjectStoragePath, bytes, an open file)" if document == "image" else "a text"
    many = f" For many, map the task: .expand(...), one {document} each." if isinstance(value, list | tuple) else ""
    raise AsposeOcrInputError(
        f"The function returned {'None' if value is None else got}: it must return {wanted}, or a mapping of the "
        f"operator's arguments with `{document}`.{many} {NOTHING_SENT}"
    )


def as_json(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return arguments as plain JSON: enough to deliver a result, and without the content of a document.

    :param arguments: as of :func:`arguments_of`.
    """
    kept = dict(arguments)
    image = kept.get("image")
    if not isinstance(image, str | os.PathLike | ObjectStoragePath | None):
        name = getattr(image, "name", None)
        kept["image"] = name if isinstance(name, str) else None
    plain: dict[str, Any] = json.loads(json.dumps(kept, default=_plain))
    return plain


def _plain(value: Any) -> Any:
    return value.to_wire() if isinstance(value, Settings) else str(value)


def keep(store: TaskStateStore | None, arguments: Mapping[str, Any]) -> None:
    """
    Keep what is about to be submitted, for a try whose function fails. Never raises.

    :param store: Airflow's task state store, where there is one.
    :param arguments: plain JSON.
    """
    if store is None:
        return
    try:
        if len(json.dumps(arguments)) > _LONGEST_KEPT:
            # Those of another submission must not pass for these.
            store.delete(KEY)
        else:
            store.set(KEY, dict(arguments), retention=RETENTION)
    except Exception as error:  # noqa: BLE001 - whatever the store has: the submission has its own record
        log.warning("What the function returned could not be kept for a later try: %s", what_broke(error))


def kept(store: TaskStateStore | None) -> dict[str, Any] | None:
    """
    Return what was kept. Never raises.

    :param store: Airflow's task state store, where there is one.
    """
    try:
        found = store.get(KEY) if store is not None else None
    except Exception as error:  # noqa: BLE001 - likewise
        log.warning("What an earlier try has asked for could not be read: %s", what_broke(error))
        return None
    return dict(found) if isinstance(found, Mapping) else None
