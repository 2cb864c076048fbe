"""
THE table of endpoints: one row per endpoint of Aspose.OCR Cloud.

Whatever differs between two endpoints stands in a row here and nowhere else: the path, the settings and the files it
takes, how its results are read and whether it wants a token.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from airflow_provider_asposeocr.api.file_settings import ImageFileSettings, PdfFileSettings, SpeechSettings
from airflow_provider_asposeocr.api.formats import DJVU_FORMATS, IMAGE_FORMATS, PDF_FORMATS, TEXT_FORMATS
from airflow_provider_asposeocr.api.paper_settings import FontSettings, InvoiceSettings, LabelSettings, TableSettings
from airflow_provider_asposeocr.api.settings import (
    DetectionSettings,
    RecognitionSettings,
    RegionRecognitionSettings,
    Settings,
)
from airflow_provider_asposeocr.api.values import Value

API_HOST = "https://api.aspose.cloud"
"""The vendor's API root. Source: "Sending image for recognition", as every page of the vendor's."""
API_VERSION = "v5.0"
"""The version segment of the path. Source: the same."""
TOKEN_PATH = "connect/token"  # noqa: S105 - a path
"""Below the API root. Source: "Authorization", docs.aspose.cloud/ocr/authorization/."""
STATUS_PATH = "Utilities/GetTaskStatus"
"""State without results, for jobs of any authorized endpoint. Source: the vendor's API reference."""


class ResultShape(enum.Enum):
    """How the ``results`` of a completed job are to be read."""

    ENTRIES = "one entry per requested result type"
    PER_REGION = "one entry per region, in ascending order of `order`"
    RECTANGLES = "one entry of type Other: a JSON array of [x1, y1, x2, y2] in pixels"
    TABLE = "one entry per requested type of table: text, CSV, a workbook"
    INVOICE = "one entry of type Text: a JSON object of the invoice's fields"
    FONTS = "one entry of type Text: an object in single quotes, with a style and a list of fonts"
    FILE = "one file: an image, a PDF, a sound"


class Endpoint(Value, frozen=True):
    """
    One endpoint of the queue protocol: POST enqueues, GET asks, DELETE cancels, all on one path.

    :param name: the path below ``/v5.0/ocr/``, and the endpoint's name everywhere in this provider.
    :param settings_model: the model its settings are of.
    :param result_shape: how its results are read.
    :param formats: the kinds of files it takes, as :mod:`airflow_provider_asposeocr.api.formats` tells them.
    :param payload: the property of the request body that holds the document: ``image``, as Base64, or ``text``.
    :param authorized: whether it wants a bearer token. The trial endpoints take none.
    :param trial: the name of its trial endpoint, where it has one.
    :param sources: the vendor's pages that the facts of this row are from: title and address.
    """

    name: str
    settings_model: type[Settings]
    result_shape: ResultShape
    sources: tuple[str, ...]
    formats: tuple[str, ...] = IMAGE_FORMATS
    payload: str = "image"
    authorized: bool = True
    trial: str | None = None

    @property
    def status_path(self) -> str:
        """Where to ask for the state alone; an endpoint without authorization answers only on its own path."""
        return STATUS_PATH if self.authorized else self.name


_SENDING_IMAGE = "Sending image for recognition, https://docs.aspose.cloud/ocr/send-image-for-recognition/"
_FETCHING_TEXT = "Fetching image recognition result, https://docs.aspose.cloud/ocr/fetch-image-recognition-result/"
_DETECTING = "Detecting image regions, https://docs.aspose.cloud/ocr/send-for-detection/"
_FETCHING_REGIONS = "Fetching image regions, https://docs.aspose.cloud/ocr/fetch-regions/"
_SENDING_REGIONS = (
    "Sending image regions for recognition, https://docs.aspose.cloud/ocr/send-image-regions-for-recognition/"
)
_FETCHING_REGION_TEXTS = (
    "Fetching regions recognition result, https://docs.aspose.cloud/ocr/fetch-region-recognition-result/"
)
_SENDING_TABLE = "Sending table for recognition, https://docs.aspose.cloud/ocr/send-table-for-recognition/"
_FETCHING_TABLE = "Fetching table recognition result, https://docs.aspose.cloud/ocr/fetch-table-recognition-result/"
_FETCHING_PDF = "Fetching PDF recognition result, https://docs.aspose.cloud/ocr/fetch-pdf-recognition-result/"
_SENDING_LABEL = "Sending label for recognition, https://docs.aspose.cloud/ocr/send-label-for-recognition/"
_SENDING_INVOICE = "Sending invoice for recognition, https://docs.aspose.cloud/ocr/send-invoice-for-recognition/"
_FETCHING_INVOICE = (
    "Fetching invoice processing result, https://docs.aspose.cloud/ocr/fetch-invoice-recognition-result/"
)
_FETCHING_FONT = "Fetching font identification result, https://docs.aspose.cloud/ocr/fetch-font-identification-result/"
_FETCHING_BINARIZED = "Fetching binarized image, https://docs.aspose.cloud/ocr/fetch-binarization-result/"
_FETCHING_AUDIO = "Fetching audio, https://docs.aspose.cloud/ocr/fetch-voice/"
_CLIENT = "aspose-ocr-cloud 24.11.0, the vendor's Python client"


def _table(rows: Iterable[Endpoint]) -> Mapping[str, Endpoint]:
    return MappingProxyType({row.name: row for row in rows})


ENDPOINTS: Mapping[str, Endpoint] = _table(
    (
        Endpoint(
            "RecognizeImage",
            RecognitionSettings,
            ResultShape.ENTRIES,
            (_SENDING_IMAGE, _FETCHING_TEXT),
            trial="RecognizeImageTrial",
        ),
        Endpoint(
            "RecognizeImageTrial",
            RecognitionSettings,
            ResultShape.ENTRIES,
            (_SENDING_IMAGE, _FETCHING_TEXT),
            authorized=False,
        ),
        Endpoint("DetectRegions", DetectionSettings, ResultShape.RECTANGLES, (_DETECTING, _FETCHING_REGIONS)),
        Endpoint(
            "RecognizeRegions",
            RegionRecognitionSettings,
            ResultShape.PER_REGION,
            (_SENDING_REGIONS, _FETCHING_REGION_TEXTS),
        ),
        Endpoint(
            "RecognizePdf", RecognitionSettings, ResultShape.ENTRIES, (_FETCHING_PDF, _CLIENT), formats=PDF_FORMATS
        ),
        Endpoint("RecognizeTable", TableSettings, ResultShape.TABLE, (_SENDING_TABLE, _FETCHING_TABLE)),
        Endpoint("RecognizeReceipt", RecognitionSettings, ResultShape.ENTRIES, (_CLIENT,)),
        Endpoint("RecognizeLabel", LabelSettings, ResultShape.ENTRIES, (_SENDING_LABEL,)),
        Endpoint(
            "RecognizeAndParseInvoice", InvoiceSettings, ResultShape.INVOICE, (_SENDING_INVOICE, _FETCHING_INVOICE)
        ),
        Endpoint("IdentifyFont", FontSettings, ResultShape.FONTS, (_FETCHING_FONT, _CLIENT)),
        *(
            Endpoint(name, ImageFileSettings, ResultShape.FILE, (_FETCHING_BINARIZED, _CLIENT))
            for name in ("BinarizeImage", "DeskewImage", "DewarpImage", "UpscaleImage")
        ),
        Endpoint("DjVu2PDF", PdfFileSettings, ResultShape.FILE, (_CLIENT,), formats=DJVU_FORMATS),
        Endpoint(
            "ConvertTextToSpeech",
            SpeechSettings,
            ResultShape.FILE,
            (_FETCHING_AUDIO, _CLIENT),
            formats=TEXT_FORMATS,
            payload="text",
            trial="ConvertTextToSpeechTrial",
        ),
        Endpoint(
            "ConvertTextToSpeechTrial",
            SpeechSettings,
            ResultShape.FILE,
            (_FETCHING_AUDIO, _CLIENT),
            formats=TEXT_FORMATS,
            payload="text",
            authorized=False,
        ),
    )
)
