"""
What a user asks for, checked before anything is sent: the endpoint, the job's id, settings and regions.

The models say what is right (:mod:`airflow_provider_asposeocr.api.settings`); what is said to a user who got it wrong
stands here.
"""

from __future__ import annotations

import difflib
import enum
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic.alias_generators import to_snake

from airflow_provider_asposeocr.api.endpoints import ENDPOINTS, Endpoint
from airflow_provider_asposeocr.api.images import ImageFacts
from airflow_provider_asposeocr.api.settings import Rectangle, Region, Settings
from airflow_provider_asposeocr.exceptions import AsposeOcrInputError


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


def switch(value: object, name: str) -> bool:
    """
    Return what a user says by True or False.

    :param value: what was given. ``"False"``, as from a template, is a text and no answer: it would count as true.
    :param name: of the parameter, for the message.
    :raises AsposeOcrInputError: for anything else.
    """
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise AsposeOcrInputError(f"{name} must be True or False, got {value!r:.80}.")


# "Fetching audio", docs.aspose.cloud/ocr/fetch-voice/: TTS01232-9d40-4f2d-8eda-f1fc0b12bce6.
_OCR_TASK_ID = re.compile(r"(?:TTS[0-9A-Fa-f]{5}|(?:TTS[-_]?)?[0-9A-Fa-f]{8})(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def is_ocr_task_id(text: str) -> bool:
    """
    Say whether a text can be a job's id: a GUID, or for text to speech a GUID with a prefix.

    :param text: any.
    """
    return _OCR_TASK_ID.fullmatch(text) is not None


def checked_ocr_task_id(ocr_task_id: str) -> str:
    """
    Return a job id that may enter a URL: a GUID; that of a text to speech job begins with TTS.

    :param ocr_task_id: the id, white space around it is dropped.
    :raises AsposeOcrInputError: where it cannot be an id of the service.
    """
    candidate = ocr_task_id.strip() if isinstance(ocr_task_id, str) else ""
    if not is_ocr_task_id(candidate):
        raise AsposeOcrInputError(
            f"{ocr_task_id!r:.80} is not a job id of Aspose.OCR Cloud (a GUID such as "
            "a197aade-bba9-4c7a-92c7-46851b3dceaa, as an AsposeOcr operator with wait_for_completion=False returns it)."
        )
    return candidate


def parse_settings(
    endpoint: str | Endpoint, settings: Settings | Mapping[str, Any] | str | None, regions: Any = None
) -> Settings:
    """
    Return the typed settings of a job, or say what is wrong with them.

    :param endpoint: the endpoint (name or row) they are for.
    :param settings: a mapping in the vendor's camelCase or in snake_case, a JSON object as a string (what a template
        renders to), a settings model, or ``None`` for the service's defaults.
    :param regions: for RecognizeRegions: ``[[x1, y1, x2, y2], ...]``, as DetectRegions returns them, or a list of
        ``{"rect": [..] | {"topLeftX": ..}, "order": n}``, or the JSON of either. Pixels.
    :raises AsposeOcrInputError: for an unknown setting or value, with the list of the right ones, and for regions that
        are missing, empty or upside down.
    """
    row = endpoint_named(endpoint)
    values = _as_mapping(settings)
    if regions is not None:
        if values.get("regions") is not None:
            raise AsposeOcrInputError("Regions are given twice: as `regions` and in `settings`. Give them once.")
        values["regions"] = _from_json(regions, "regions") if isinstance(regions, str) else regions
    takes_regions = "regions" in row.settings_model.model_fields
    if takes_regions and not _any_region(values.get("regions")):
        raise AsposeOcrInputError(
            f"{row.name} needs at least one region: pass `regions`, a list of [x1, y1, x2, y2] in pixels, such as the "
            '`regions` that DetectRegions returns (`regions=detect.output["regions"]`). For the whole image use '
            "RecognizeImage.",
            endpoint=row.name,
        )
    try:
        return row.settings_model.model_validate(values)
    except ValidationError as error:
        raise AsposeOcrInputError(_explain(row, error), endpoint=row.name) from None


def has_no_regions(settings: Settings | Mapping[str, Any] | str | None, regions: Any) -> bool:
    """
    Say whether an empty list of regions was given, as DetectRegions returns it of a blank page.

    :param settings: as of :func:`parse_settings`.
    :param regions: likewise.
    :raises AsposeOcrInputError: for a string that is not JSON.
    """
    given = _as_mapping(settings).get("regions") if regions is None else regions
    if isinstance(given, str):
        given = _from_json(given, "regions")
    return given is not None and not _any_region(given)


def regions_inside(settings: Settings, facts: ImageFacts) -> tuple[Settings, list[str]]:
    """
    Cut regions at the edges of the image, and refuse those that lie outside of it.

    :param settings: the settings, with or without regions.
    :param facts: the size of the image, as far as it is known.
    :returns: the settings to be sent, and a warning for each region that was cut.
    :raises AsposeOcrInputError: naming the region and the size of the image.
    """
    regions: tuple[Region, ...] = getattr(settings, "regions", ())
    width, height = _reach(settings, facts)
    size = f", which is {facts.width} x {facts.height} pixels" if facts.width and facts.height else ""
    fitting, warnings = [], []
    for position, region in enumerate(regions):
        left, top, right, bottom = region.rect.corners
        if right <= 0 or bottom <= 0 or left >= width or top >= height:
            raise AsposeOcrInputError(
                f"Region {position} {region.rect.corners} lies outside the image{size}. Regions are [x1, y1, x2, y2] "
                "in pixels of the image as it is sent. Nothing was sent."
            )
        inside = [max(left, 0), max(top, 0), int(min(right, width)), int(min(bottom, height))]
        if inside != region.rect.corners:
            warnings.append(
                f"Region {position} {region.rect.corners} reaches beyond the image{size}: {inside} of it is recognized."
            )
            region = region.model_copy(update={"rect": Rectangle.model_validate(inside)})  # noqa: PLW2901
        fitting.append(region)
    return (settings.model_copy(update={"regions": tuple(fitting)}) if warnings else settings), warnings


def _reach(settings: Settings, facts: ImageFacts) -> tuple[float, float]:
    """How far to the right and down a region may reach: without end where the size is unknown."""
    if not facts.width or not facts.height:
        return math.inf, math.inf
    if getattr(settings, "rotate", 0) % 180:
        # The corners may then be meant in the turned image: no edge can lie beyond its diagonal.
        diagonal = round((facts.width**2 + facts.height**2) ** 0.5)
        return diagonal, diagonal
    if facts.is_turned:
        # The corners may be meant in the image as it is seen, or as it is stored.
        return max(facts.width, facts.height), max(facts.width, facts.height)
    return facts.width, facts.height


def _as_mapping(settings: Settings | Mapping[str, Any] | str | None) -> dict[str, Any]:
    if settings is None:
        return {}
    if isinstance(settings, Settings):
        return settings.to_wire()
    if isinstance(settings, str):
        settings = _from_json(settings, "settings")
    if not isinstance(settings, Mapping):
        raise AsposeOcrInputError(
            f"`settings` must be a mapping such as {{'language': 'German'}} or a settings model, "
            f"got {type(settings).__name__}."
        )
    return dict(settings)


def _from_json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise AsposeOcrInputError(
            f"`{what}` is a string that is not JSON: {text!r:.120}. Pass the object itself, or set "
            "render_template_as_native_obj=True on the DAG where it comes from a template."
        ) from None


def _any_region(regions: Any) -> bool:
    return regions is not None and not (isinstance(regions, Sequence) and len(regions) == 0)


def _explain(row: Endpoint, error: ValidationError) -> str:
    """Say in plain words what pydantic found, naming what would be right."""
    allowed = [field.alias or name for name, field in row.settings_model.model_fields.items()]
    lines = []
    for found in error.errors(include_url=False):
        at = ".".join(str(part) for part in found["loc"]) or "settings"
        if found["type"] == "extra_forbidden" and len(found["loc"]) == 1:
            lines.append(_not_taken(str(at), allowed))
        elif found["type"] == "enum":
            values = ", ".join(_choices(row.settings_model, str(found["loc"][0])))
            lines.append(f"{at}: {found['input']!r} is not allowed; allowed: {values}")
        else:
            lines.append(f"{at}: {found['msg'].removeprefix('Value error, ')} (got {found['input']!r:.80})")
    return f"{row.name} cannot take these settings: {'; '.join(lines)}."


def _not_taken(setting: str, allowed: Sequence[str]) -> str:
    """Why an endpoint does not take a setting: no endpoint has it, or which ones do."""
    takers = [row.name for row in ENDPOINTS.values() if to_snake(setting) in row.settings_model.model_fields]
    what = f"allowed: {', '.join(allowed)}" if allowed else "it takes no settings"
    if takers:
        shown = ", ".join(takers[:3]) + (", ..." if len(takers) > 3 else "")
        return f"unknown setting {setting!r}: it is one of {shown}, not of this endpoint; {what}"
    near = difflib.get_close_matches(setting, allowed, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"unknown setting {setting!r}{hint}; {what}"


def _choices(model: type[Settings], setting: str) -> list[str]:
    """The values of a setting that is an enumeration."""
    enumeration = model.model_fields[to_snake(setting)].annotation
    assert isinstance(enumeration, type)
    assert issubclass(enumeration, enum.StrEnum)
    return [member.value for member in enumeration]
