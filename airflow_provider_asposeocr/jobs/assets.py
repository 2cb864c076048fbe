"""
Result files as assets: an event for each outlet, with counts and never a word of the document.

An asset alias becomes the files themselves, so that other DAGs run on them; a plain asset, which Airflow makes an event
for anyway, gets the counts.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.providers.common.compat.sdk import Asset, AssetAlias

from airflow_provider_asposeocr.events import Event, warned
from airflow_provider_asposeocr.storage.lineage import asset_uri

log = logging.getLogger(__name__)


def announce(
    context: Mapping[str, Any], outlets: Sequence[Any], files: Sequence[str], extra: Mapping[str, Any]
) -> None:
    """
    Add the asset events of a task.

    :param context: Airflow's task context.
    :param outlets: of the task.
    :param files: paths or URIs of what it has written.
    :param extra: of the events.
    """
    if not outlets:
        return
    try:
        events = context["outlet_events"]
        for outlet in outlets:
            if isinstance(outlet, AssetAlias):
                for file in files:
                    events[outlet].add(Asset(uri=asset_uri(file)), extra={**extra, "file": file})
            elif isinstance(outlet, Asset):
                events[outlet].extra.update(extra)
    except Exception as error:  # noqa: BLE001 - providers check the URIs of assets; what is paid for is not lost for that
        sentence = "Not all files became asset events: %s: %s"
        warned(log, Event.LINEAGE_FAILED, sentence, type(error).__name__, error)
