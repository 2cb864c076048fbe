"""What the emulator does for each endpoint: a row for each, as in :mod:`airflow_provider_asposeocr.api.endpoints`."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import count
from types import MappingProxyType

from msgspec.structs import replace
from PIL import Image

from airflow_provider_asposeocr.api.answers import ResponseStatusCode, ResultEntry
from airflow_provider_asposeocr.api.endpoints import ENDPOINTS, Endpoint
from airflow_provider_asposeocr.api.settings import DsrConfidence, DsrMode, RegionRecognitionSettings, Settings
from airflow_provider_asposeocr.api.values import Value
from airflow_provider_asposeocr.emulator import fonts, invoices, tables
from airflow_provider_asposeocr.emulator.decoding import Sheet, UnreadableImageError, decoded
from airflow_provider_asposeocr.emulator.documents import as_png, region_of, rendered
from airflow_provider_asposeocr.emulator.files import pdf_from_djvu, pdf_pages
from airflow_provider_asposeocr.emulator.filters import binarized, dewarped, straightened, upsampled
from airflow_provider_asposeocr.emulator.jobs import JobFailedError, Outcome
from airflow_provider_asposeocr.emulator.languages import READABLE_LANGUAGES, TESSERACT_LANGUAGES
from airflow_provider_asposeocr.emulator.page import Box, Fragment, Page, TextBlock
from airflow_provider_asposeocr.emulator.reading import PageReader, Preparation
from airflow_provider_asposeocr.emulator.speech import wav_of
from airflow_provider_asposeocr.emulator.spelling import corrector
from airflow_provider_asposeocr.emulator.tesseract import TesseractReader

MASKED_WORD = 10
"""
The trial endpoint masks every tenth word. Source: docs.aspose.cloud/ocr/subscription/#evaluation-tier, to which
"Sending image for recognition" (docs.aspose.cloud/ocr/send-image-for-recognition/) leads.
"""
TRIAL_CHARACTERS = 500
"""The trial of text to speech takes no more. Source: "Fetching audio", docs.aspose.cloud/ocr/fetch-voice/."""

DoWork = Callable[[PageReader, bytes, Settings], Outcome]
ImageFilter = Callable[[Image.Image], tuple[Image.Image, list[str]]]

# The order in which each endpoint applies the filters that are asked for, by the vendor's pages of it.
_USUAL_ORDER = ("contrast", "binarize", "skew", "upsample")
_RECEIPT_ORDER = ("contrast", "binarize", "upsample", "skew")
_LABEL_ORDER = ("skew", "upsample")
_INVOICE_ORDER = ("binarize", "upsample", "skew")
_SWITCHES = {
    "contrast": "make_contrast_correction",
    "binarize": "make_binarization",
    "skew": "make_skew_correct",
    "upsample": "make_upsampling",
}
_SHOWING_THE_PAGE = frozenset({"Pdf", "ImagePNG"})
# The emulator has one way to find text: these modes do what `Regions` does.
_MODES_WITH_EFFECT = (DsrMode.REGIONS, DsrMode.NO_DSR_NO_FILTER)


class EmulatedEndpoint(Value, frozen=True):
    """
    An endpoint that the emulator serves.

    :param endpoint: its row in the table of the protocol: path, settings, authorization.
    :param do: does a job of it, from the bytes of the file (or the text, in UTF-8) and the settings.
    """

    endpoint: Endpoint
    do: DoWork


def _recognize(
    order: Sequence[str], reader: PageReader, data: bytes, settings: Settings, *, masked: bool = False
) -> Outcome:
    page = _read(reader, _sheet_from(data), settings, order)
    pages = [_masked(page) if masked else page]
    return Outcome(_entries(pages, settings), [*page.warnings, *_notices(settings)])


def _recognize_pdf(reader: PageReader, data: bytes, settings: Settings) -> Outcome:
    pages = [_without_pixels(_read(reader, sheet, settings, _USUAL_ORDER), settings) for sheet in pdf_pages(data)]
    return Outcome(_entries(pages, settings), [*_once(pages), *_notices(settings)])


def _without_pixels(page: Page, settings: Settings) -> Page:
    """The page without its image, where no result shows that: hundreds of pages as pixels would take all memory."""
    shown = _SHOWING_THE_PAGE.intersection(settings.result_parts)
    return page if shown else replace(page, image=Image.new("RGB", (1, 1)))


def _recognize_regions(reader: PageReader, data: bytes, settings: Settings) -> Outcome:
    assert isinstance(settings, RegionRecognitionSettings)
    sheet = _sheet_from(data)
    eyes, preparation = _eyes(reader, settings), _preparation(settings, _USUAL_ORDER)
    results: list[ResultEntry] = []
    warnings = [*sheet.warnings, *_notices(settings)]
    outside = 0
    # `sorted` is stable: regions of the same order stay as the client sent them.
    for region in sorted(settings.regions, key=lambda region: region.order):
        page = eyes.read_region(sheet, Box(*region.rect.corners), preparation)
        if page is None:
            outside += 1
            warnings.append(
                f"Region {region.rect.corners} lies outside of the image, which has {sheet.size[0]} x {sheet.size[1]} "
                "pixels. Its result is empty."
            )
            results += [_entry(part, b"") for part in settings.result_parts]
        else:
            results += _entries([_corrected(page, settings)], settings)
    code = ResponseStatusCode.OK
    if outside:
        everything = outside == len(settings.regions)
        code = ResponseStatusCode.NO_ANY_RESULT_DATA if everything else ResponseStatusCode.PARTIALLY_NOT_FOUND
    return Outcome(results, warnings, code)


def _detect_regions(reader: PageReader, data: bytes, settings: Settings) -> Outcome:
    page = _read(reader, _sheet_from(data), settings, _USUAL_ORDER)
    blocks = page.blocks
    if getattr(settings, "dsr_mode", None) is DsrMode.LINE_DETECTOR:
        blocks = tuple(TextBlock((line,)) for block in page.blocks for line in block.lines)
    found = json.dumps([region_of(block) for block in blocks]).encode()
    return Outcome([_entry("Other", found)], [*page.warnings, *_notices(settings, DsrMode.LINE_DETECTOR)])


def _recognize_table(reader: PageReader, data: bytes, settings: Settings) -> Outcome:
    page = _read(reader, _sheet_from(data), settings, _USUAL_ORDER)
    rows = tables.rows_of(page)
    makers = {"Text": tables.as_text, "Csv": tables.as_csv, "Excel": tables.as_workbook}
    return Outcome(
        [_entry(part, makers[part](rows)) for part in settings.result_parts], [*page.warnings, *_notices(settings)]
    )


def _parse_invoice(reader: PageReader, data: bytes, settings: Settings) -> Outcome:
    page = _read(reader, _sheet_from(data), settings, _INVOICE_ORDER)
    fields = invoices.parsed(
        [line.text for block in page.blocks for line in block.lines],
        [[fragment.text for line in block.lines for fragment in line.fragments] for block in page.blocks],
    )
    found = json.dumps(fields, ensure_ascii=False).encode()
    return Outcome([_entry("Text", found)], [*page.warnings, *_notices(settings)])


def _identify_font(reader: PageReader, data: bytes, settings: Settings) -> Outcome:
    page = _read(reader, _sheet_from(data), settings, _USUAL_ORDER)
    found = fonts.as_service_text(*fonts.identified(page))
    return Outcome([_entry("Text", found)], [*page.warnings, *_notices(settings)])


def _filter_image(change: ImageFilter, _reader: PageReader, data: bytes, _settings: Settings) -> Outcome:
    sheet = _sheet_from(data)
    image, notices = change(sheet.image)
    png = as_png(image, bilevel=sheet.bilevel or change is _to_black_and_white)
    return Outcome([_entry("ImagePNG", png)], [*sheet.warnings, *notices])


def _to_black_and_white(image: Image.Image) -> tuple[Image.Image, list[str]]:
    return binarized(image)[0], []


def _straight(image: Image.Image) -> tuple[Image.Image, list[str]]:
    return straightened(image)[0], []


def _larger(image: Image.Image) -> tuple[Image.Image, list[str]]:
    larger = upsampled(image)[0]
    return larger, [] if larger.size != image.size else ["The image is as large as the emulator makes any: unchanged."]


def _djvu_to_pdf(_reader: PageReader, data: bytes, _settings: Settings) -> Outcome:
    return Outcome([_entry("Pdf", pdf_from_djvu(data))])


def _speak(_reader: PageReader, data: bytes, _settings: Settings) -> Outcome:
    return Outcome([_entry("WavFile", wav_of(data.decode()))])


def _speak_trial(reader: PageReader, data: bytes, settings: Settings) -> Outcome:
    length = len(data.decode())
    if length > TRIAL_CHARACTERS:
        raise JobFailedError(f"The evaluation endpoint speaks at most {TRIAL_CHARACTERS} characters, got {length}.")
    return _speak(reader, data, settings)


_WORK: Mapping[str, DoWork] = {
    "RecognizeImage": partial(_recognize, _USUAL_ORDER),
    "RecognizeImageTrial": partial(_recognize, _USUAL_ORDER, masked=True),
    "DetectRegions": _detect_regions,
    "RecognizeRegions": _recognize_regions,
    "RecognizePdf": _recognize_pdf,
    "RecognizeTable": _recognize_table,
    "RecognizeReceipt": partial(_recognize, _RECEIPT_ORDER),
    "RecognizeLabel": partial(_recognize, _LABEL_ORDER),
    "RecognizeAndParseInvoice": _parse_invoice,
    "IdentifyFont": _identify_font,
    "BinarizeImage": partial(_filter_image, _to_black_and_white),
    "DeskewImage": partial(_filter_image, _straight),
    "DewarpImage": partial(_filter_image, dewarped),
    "UpscaleImage": partial(_filter_image, _larger),
    "DjVu2PDF": _djvu_to_pdf,
    "ConvertTextToSpeech": _speak,
    "ConvertTextToSpeechTrial": _speak_trial,
}
EMULATED_ENDPOINTS: Mapping[str, EmulatedEndpoint] = MappingProxyType(
    {name: EmulatedEndpoint(ENDPOINTS[name], do) for name, do in _WORK.items()}
)
"""By name of the endpoint."""


def _sheet_from(data: bytes) -> Sheet:
    try:
        return decoded(data)
    except UnreadableImageError as error:
        raise JobFailedError(str(error)) from error


def _read(reader: PageReader, sheet: Sheet, settings: Settings, order: Sequence[str]) -> Page:
    return _corrected(_eyes(reader, settings).read_page(sheet, _preparation(settings, order)), settings)


def _eyes(reader: PageReader, settings: Settings) -> PageReader:
    """What reads the language that is asked for."""
    language = getattr(settings, "language", "English")
    if language in READABLE_LANGUAGES:
        return reader
    if language in TESSERACT_LANGUAGES:
        return reader.with_reader(TesseractReader(language))
    raise JobFailedError(
        f"The emulator cannot read {language}: its engines know languages in Latin script, Chinese, Japanese, and what "
        "Tesseract has data for. Aspose.OCR Cloud itself may read it."
    )


def _preparation(settings: Settings, order: Sequence[str]) -> Preparation:
    return Preparation(
        rotate=getattr(settings, "rotate", 0),
        filters=tuple(name for name in order if getattr(settings, _SWITCHES[name], False)),
        find_columns=getattr(settings, "dsr_mode", None) is not DsrMode.NO_DSR_NO_FILTER,
        language=getattr(settings, "language", "English"),
    )


def _corrected(page: Page, settings: Settings) -> Page:
    correct = corrector(getattr(settings, "language", "")) if getattr(settings, "make_spell_check", False) else None
    return page if correct is None else page.changed(lambda fragment: fragment.reworded(correct))


def _notices(settings: Settings, *further_modes: DsrMode) -> list[str]:
    """What of the settings the emulator does not do as the service does."""
    notices = []
    mode = getattr(settings, "dsr_mode", DsrMode.REGIONS)
    if mode not in (*_MODES_WITH_EFFECT, *further_modes):
        notices.append(f"The emulator has one way to find text: dsrMode {mode} acts as Regions does.")
    confidence = getattr(settings, "dsr_confidence", DsrConfidence.DEFAULT)
    if confidence not in (DsrConfidence.DEFAULT, DsrConfidence.MID):
        notices.append(f"The emulator has one way to find text: dsrConfidence {confidence} has no effect.")
    language = getattr(settings, "language", "")
    if getattr(settings, "make_spell_check", False) and corrector(language) is None:
        notices.append(f"The emulator has no dictionary of {language}: makeSpellCheck was left out.")
    return notices


def _once(pages: Iterable[Page]) -> list[str]:
    return list(dict.fromkeys(warning for page in pages for warning in page.warnings))


def _entries(pages: Sequence[Page], settings: Settings) -> list[ResultEntry]:
    return [_entry(part, data) for part in settings.result_parts for data in rendered(pages, part)]


def _entry(kind: str, data: bytes) -> ResultEntry:
    return ResultEntry(type=kind, data=b64encode(data).decode("ascii"))


def _masked(page: Page) -> Page:
    def counted() -> Callable[[Fragment], Fragment]:
        numbers = count(1)

        def masked(fragment: Fragment) -> Fragment:
            words = [
                "*" * len(word) if word and next(numbers) % MASKED_WORD == 0 else word
                # Double spaces give empty words, which do not count.
                for word in fragment.text.split(" ")
            ]
            return Fragment(" ".join(words), fragment.confidence, fragment.corners)

        return masked

    # Numbered anew for each of the two: they hold the same words.
    sent, shown = counted(), counted()
    return replace(
        page,
        blocks=tuple(block.changed(sent) for block in page.blocks),
        image_blocks=tuple(block.changed(shown) for block in page.image_blocks),
    )
