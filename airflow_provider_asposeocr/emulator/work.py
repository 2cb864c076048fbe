"""
What the emulator does for each endpoint: one row per endpoint, as in :mod:`airflow_provider_asposeocr.api.endpoints`.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from types import MappingProxyType

from PIL import Image

from airflow_provider_asposeocr.api.endpoints import ENDPOINTS, Endpoint
from airflow_provider_asposeocr.api.results import ResultEntry
from airflow_provider_asposeocr.api.settings import (
    DsrMode,
    RecognitionSettings,
    RegionRecognitionSettings,
    Settings,
)
from airflow_provider_asposeocr.emulator.documents import region_of, rendered
from airflow_provider_asposeocr.emulator.engine import PageReader, Preparation, UnreadableImageError, decoded
from airflow_provider_asposeocr.emulator.jobs import JobFailedError, Outcome
from airflow_provider_asposeocr.emulator.languages import READABLE_LANGUAGES
from airflow_provider_asposeocr.emulator.page import Box, Fragment, Page, TextBlock, TextLine

MASKED_WORD = 10
"""The trial endpoint masks every tenth word. Source: vendor's documentation, "10 % of the words"."""

DoWork = Callable[[PageReader, bytes, Settings], Outcome]


@dataclass(frozen=True, slots=True)
class EmulatedEndpoint:
    """
    An endpoint that the emulator serves.

    :param endpoint: its row in the table of the protocol: path, settings, authorization.
    :param do: does a job of it, from the bytes of the file and the settings.
    :param payload: the property of the request body that holds the file as Base64.
    """

    endpoint: Endpoint
    do: DoWork
    payload: str = "image"


def _recognize_image(reader: PageReader, image: bytes, settings: Settings) -> Outcome:
    _refuse_unreadable_language(settings)
    page = reader.read_page(_image_from(image), _preparation(settings))
    return Outcome(_entries(page, settings), _notices(settings))


def _recognize_image_trial(reader: PageReader, image: bytes, settings: Settings) -> Outcome:
    _refuse_unreadable_language(settings)
    page = _masked(reader.read_page(_image_from(image), _preparation(settings)))
    return Outcome(_entries(page, settings), _notices(settings))


def _recognize_regions(reader: PageReader, image: bytes, settings: Settings) -> Outcome:
    _refuse_unreadable_language(settings)
    assert isinstance(settings, RegionRecognitionSettings)
    sheet = _image_from(image)
    results: list[ResultEntry] = []
    warnings = _notices(settings)
    # `sorted` is stable: regions of the same order stay as the client sent them.
    for region in sorted(settings.regions, key=lambda region: region.order):
        page = reader.read_region(sheet, Box(*region.rect.corners), _preparation(settings))
        if page is None:
            warnings.append(
                f"Region {region.rect.corners} lies outside of the image, which has {sheet.width} x {sheet.height} "
                "pixels. Its result is empty."
            )
            results += [_entry(part, b"") for part in settings.result_parts]
        else:
            results += _entries(page, settings)
    return Outcome(results, warnings)


def _detect_regions(reader: PageReader, image: bytes, settings: Settings) -> Outcome:
    _refuse_unreadable_language(settings)
    page = reader.read_page(_image_from(image), _preparation(settings))
    blocks = page.blocks
    if settings.dsr_mode is DsrMode.LINE_DETECTOR:
        blocks = tuple(TextBlock((line,)) for block in page.blocks for line in block.lines)
    data = json.dumps([region_of(block) for block in blocks]).encode()
    return Outcome([_entry("Other", data)])


EMULATED_ENDPOINTS: Mapping[str, EmulatedEndpoint] = MappingProxyType(
    {
        row.endpoint.name: row
        for row in (
            EmulatedEndpoint(ENDPOINTS["RecognizeImage"], _recognize_image),
            EmulatedEndpoint(ENDPOINTS["RecognizeImageTrial"], _recognize_image_trial),
            EmulatedEndpoint(ENDPOINTS["DetectRegions"], _detect_regions),
            EmulatedEndpoint(ENDPOINTS["RecognizeRegions"], _recognize_regions),
        )
    }
)
"""By name of the endpoint."""


def _image_from(data: bytes) -> Image.Image:
    try:
        return decoded(data)
    except UnreadableImageError as error:
        raise JobFailedError(str(error)) from error


def _preparation(settings: Settings) -> Preparation:
    # The other analysis modes and `dsrConfidence` choose among the vendor's own models: the emulator has one.
    return Preparation(
        rotate=settings.rotate,
        contrast=settings.make_contrast_correction,
        binarize=settings.make_binarization,
        upsample=settings.make_upsampling,
        correct_skew=settings.make_skew_correct,
        find_columns=settings.dsr_mode is not DsrMode.NO_DSR_NO_FILTER,
    )


def _refuse_unreadable_language(settings: Settings) -> None:
    if settings.language not in READABLE_LANGUAGES:
        raise JobFailedError(
            f"The emulator cannot read {settings.language}: its engine knows languages in Latin script, and Chinese. "
            "Aspose.OCR Cloud itself may read it."
        )


def _notices(settings: Settings) -> list[str]:
    if isinstance(settings, RecognitionSettings) and settings.make_spell_check:
        return ["The emulator has no dictionaries: makeSpellCheck was left out."]
    return []


def _entries(page: Page, settings: Settings) -> list[ResultEntry]:
    return [_entry(part, rendered(page, part)) for part in settings.result_parts]


def _entry(kind: str, data: bytes) -> ResultEntry:
    return ResultEntry(type=kind, data=b64encode(data).decode("ascii"))


def _masked(page: Page) -> Page:
    return replace(page, blocks=_masked_blocks(page.blocks), image_blocks=_masked_blocks(page.image_blocks))


def _masked_blocks(blocks: tuple[TextBlock, ...]) -> tuple[TextBlock, ...]:
    numbers = count(1)

    def words(text: str) -> Iterator[str]:
        for word in text.split(" "):
            # Double spaces give empty words, which do not count.
            yield "*" * len(word) if word and next(numbers) % MASKED_WORD == 0 else word

    def fragment(found: Fragment) -> Fragment:
        return replace(found, text=" ".join(words(found.text)))

    return tuple(
        TextBlock(tuple(TextLine(tuple(fragment(found) for found in line.fragments)) for line in block.lines))
        for block in blocks
    )
