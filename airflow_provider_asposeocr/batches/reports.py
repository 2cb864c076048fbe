"""What a batch tells the platform of itself: places and counts of the whole, not of a hundred thousand documents."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_asposeocr.jobs.reports import MOST_DATASETS, JobFacts

_COUNTS = ("documents", "completed", "skipped", "failed", "submissions", "calls")
_FIXED = re.compile(r"([^*?\[]*)/")


def places(images: Any) -> tuple[str, ...]:
    """
    Return where the documents of a batch are: the folder, that of a glob or a chunk, or the first of a list.

    :param images: as the operator takes them.
    """
    if isinstance(images, Mapping):
        return (str(images.get("folder")),)
    if isinstance(images, str | os.PathLike | ObjectStoragePath):
        text = str(images)
        fixed = _FIXED.match(text) if any(mark in text for mark in "*?[") else None
        return (fixed[1] if fixed else text,)
    return tuple(str(image) for image in islice(images, MOST_DATASETS)) if isinstance(images, Iterable) else ()


def batch_facts(xcom: Mapping[str, Any], images: Any) -> JobFacts:
    """
    Return what may be told of a batch that has ended.

    :param xcom: of the batch.
    :param images: as the operator takes them.
    """
    return JobFacts(
        endpoint=xcom["endpoint"],
        inputs=places(images),
        outputs=(xcom["manifest"],),
        counts={name: xcom[name] for name in _COUNTS},
    )
