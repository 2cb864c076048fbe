"""
THE table of endpoints: one row per endpoint of Aspose.OCR Cloud.

Whatever differs between two endpoints stands in a row here and nowhere else: the path, the settings it takes, how its
results are read and whether it wants a token.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from airflow_provider_asposeocr.exceptions import AsposeOcrInputError

if TYPE_CHECKING:
    from airflow_provider_asposeocr.api.settings import Settings

API_HOST = "https://api.aspose.cloud"
"""The vendor's API root. Source: seeds, every page."""
API_VERSION = "v5.0"
"""The version segment of the path. Source: seeds, every page."""
TOKEN_PATH = "connect/token"  # noqa: S105 - a path
"""Below the API root. Source: vendor's documentation, "Authorization"."""
STATUS_PATH = "Utilities/GetTaskStatus"
"""State without results, for jobs of any authorized endpoint. Source: vendor's documentation."""


class ResultShape(enum.Enum):
    """How the ``results`` of a completed job are to be read."""

    ENTRIES = "one entry per requested result type"
    PER_REGION = "one entry per region, in ascending order of `order`"
    RECTANGLES = "one entry of type Other: a JSON array of [x1, y1, x2, y2] in pixels"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    One endpoint of the queue protocol: POST enqueues, GET asks, DELETE cancels, all on one path.

    :param name: the path below ``/v5.0/ocr/``, and the endpoint's name everywhere in this provider.
    :param settings_model_name: the model in :mod:`airflow_provider_asposeocr.api.settings` its settings are of.
    :param result_shape: how its results are read.
    :param authorized: whether it wants a bearer token. The trial endpoints take none.
    :param trial: the name of its trial endpoint, where it has one.
    :param source: the page the facts of this row are from.
    """

    name: str
    settings_model_name: str
    result_shape: ResultShape
    source: str
    authorized: bool = True
    trial: str | None = None

    @property
    def settings_model(self) -> type[Settings]:
        """The model of its settings. Loaded when first used: a DAG file that is only parsed needs none."""
        module = import_module("airflow_provider_asposeocr.api.settings")
        model: type[Settings] = getattr(module, self.settings_model_name)
        return model

    @property
    def status_path(self) -> str:
        """Where to ask for the state alone; an endpoint without authorization answers only on its own path."""
        return STATUS_PATH if self.authorized else self.name


def _table(rows: Iterable[Endpoint]) -> Mapping[str, Endpoint]:
    return MappingProxyType({row.name: row for row in rows})


ENDPOINTS: Mapping[str, Endpoint] = _table(
    (
        Endpoint(
            name="RecognizeImage",
            settings_model_name="RecognitionSettings",
            result_shape=ResultShape.ENTRIES,
            trial="RecognizeImageTrial",
            source="seeds/send-image-for-recognition.txt",
        ),
        Endpoint(
            name="RecognizeImageTrial",
            settings_model_name="RecognitionSettings",
            result_shape=ResultShape.ENTRIES,
            authorized=False,
            source="seeds/send-image-for-recognition.txt",
        ),
        Endpoint(
            name="DetectRegions",
            settings_model_name="DetectionSettings",
            result_shape=ResultShape.RECTANGLES,
            source="seeds/send-image-for-region-detection.txt, seeds/fetch-detected-regions.txt",
        ),
        Endpoint(
            name="RecognizeRegions",
            settings_model_name="RegionRecognitionSettings",
            result_shape=ResultShape.PER_REGION,
            source="seeds/send-regions-for-recognition.txt, seeds/fetch-region-recognition-result.txt",
        ),
    )
)


def endpoint_named(name: str | Endpoint) -> Endpoint:
    """
    Return the row of an endpoint.

    :param name: the endpoint's name, in any case (the service does not distinguish case in paths), or the row itself.
    :raises AsposeOcrInputError: where there is no such endpoint; the message lists all names.
    """
    if isinstance(name, Endpoint):
        return name
    for row in ENDPOINTS.values():
        if row.name.lower() == str(name).lower():
            return row
    raise AsposeOcrInputError(f"Unknown endpoint {name!r}. Allowed: {', '.join(ENDPOINTS)}.")


_OCR_TASK_ID = re.compile(r"(?:TTS[-_]?)?[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def checked_ocr_task_id(ocr_task_id: str) -> str:
    """
    Return a job id that may enter a URL: a GUID, or for text to speech a GUID with a prefix.

    :param ocr_task_id: the id, white space around it is dropped.
    :raises AsposeOcrInputError: where it cannot be an id of the service.
    """
    candidate = ocr_task_id.strip() if isinstance(ocr_task_id, str) else ""
    if not _OCR_TASK_ID.fullmatch(candidate):
        raise AsposeOcrInputError(
            f"{ocr_task_id!r:.80} is not a job id of Aspose.OCR Cloud (a GUID such as "
            "a197aade-bba9-4c7a-92c7-46851b3dceaa, as an AsposeOcr operator with wait_for_completion=False returns it)."
        )
    return candidate
